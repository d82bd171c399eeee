"""What is said by hand is laid over the recipe's way to search."""

import pytest

from whyformer.decoding.beam import BeamSpec
from whyformer.decoding.greedy import GreedySpec
from whyformer.decoding.overrides import SearchChoice
from whyformer.decoding.sampling import SamplingSpec
from whyformer.errors import DecodingError, RecipeError

BEAM = BeamSpec(size=5, length_penalty=1.0, longest_extra=7, no_repeat_ngram=3)


@pytest.mark.parametrize("default", [BEAM, GreedySpec(), SamplingSpec(seed=3)])
def test_saying_nothing_leaves_the_recipe_as_it_is(default):
    assert SearchChoice().over(default) == default


def test_what_is_said_wins_and_the_rest_stays():
    chosen = SearchChoice("beam", {"size": 8}).over(BEAM, n_best=6, openings=((4, 5),))
    assert chosen == BEAM.model_copy(update={"size": 8, "n_best": 6, "openings": ((4, 5),)})


def test_another_kind_keeps_what_every_kind_has():
    assert SearchChoice("greedy").over(BEAM) == GreedySpec(longest_extra=7, no_repeat_ngram=3)
    sampling = SearchChoice("sampling", {"top_k": 4}).over(BEAM, n_best=2)
    assert sampling == SamplingSpec(longest_extra=7, no_repeat_ngram=3, top_k=4, samples=2)


@pytest.mark.parametrize(
    ("choice", "n_best", "complaint"),
    [
        (
            SearchChoice("beam", {"top_k": 2}),
            None,
            "--top-k means nothing to a beam search; use it with --sample,",
        ),
        (SearchChoice("greedy", {"length_penalty": 1.0}), None, "--length-penalty means nothing to a greedy"),
        (
            SearchChoice("greedy", {"stopping": {"kind": "patience"}}),
            None,
            "--patience means nothing to a greedy search; use it with --beam,",
        ),
        (SearchChoice("greedy"), 2, "--n-best means nothing to a greedy search"),
        (SearchChoice(), 6, "--n-best 6 is more than a beam of 5 can find; use --beam 6"),
    ],
)
def test_what_does_not_fit_together_is_refused(choice, n_best, complaint):
    with pytest.raises(DecodingError, match=complaint):
        choice.over(BEAM, n_best=n_best)


def test_a_value_out_of_range_is_refused():
    with pytest.raises(RecipeError, match=r"temperature: is 0.0; should be float > 0"):
        SearchChoice("sampling", {"temperature": 0.0}).over(BEAM)
