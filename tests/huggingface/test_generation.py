"""Ways to search that transformers has none for: what is left out is told."""

import warnings

import pytest

from whyformer.decoding.beam import BeamSpec
from whyformer.decoding.ranking.order import MinimumBayesRisk
from whyformer.decoding.stopping_rules import Bound, Patience
from whyformer.errors import WhyformerNote
from whyformer.huggingface.generation import read_search, written_search
from whyformer.huggingface.tokenizers.token_ids import TokenIds

IDS = TokenIds((0, 1, 2, 3), 30)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (BeamSpec(ranking=MinimumBayesRisk()), r"decoding\.ranking is minimum_bayes_risk in the recipe"),
        (BeamSpec(stopping=Patience(factor=2)), r"decoding\.stopping\.factor is 2\.0 in the recipe"),
        (BeamSpec(coverage_penalty=0.3), r"decoding\.coverage_penalty is 0\.3 in the recipe"),
    ],
)
def test_what_cannot_be_said_there_is_told_here(settings: BeamSpec, said: str):
    with pytest.warns(WhyformerNote, match=f"{said}, which generation_config.json cannot say"):
        told = written_search(settings, IDS, prompted=False, longest=20)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert written_search(BeamSpec(), IDS, prompted=False, longest=20) == told


@pytest.mark.parametrize("stopping", [Bound(), Patience()])
def test_patience_goes_out_and_comes_back(stopping: Bound | Patience):
    before = BeamSpec(size=3, stopping=stopping, length_penalty=0.0)
    told = written_search(before, IDS, prompted=False, longest=20)
    assert told.get("early_stopping") == (True if stopping == Patience() else None)
    # Their default decides, not what a recipe would have that says nothing.
    default = BeamSpec(size=5, stopping=Patience(factor=2))
    after = read_search(told, default, IDS, prompted=False, say=pytest.fail)
    assert isinstance(after, BeamSpec)
    assert (after.size, after.stopping) == (3, stopping)


@pytest.mark.parametrize("early", [False, None, "never"])
def test_without_early_stopping_nothing_better_can_come(early: object):
    told = {"num_beams": 3, "length_penalty": 0.0, "early_stopping": early}
    after = read_search(told, BeamSpec(), IDS, prompted=False, say=pytest.fail)
    assert isinstance(after, BeamSpec)
    assert after.stopping == Bound()
