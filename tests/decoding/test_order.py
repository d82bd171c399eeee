"""Orders of what a search has found: agreement by its definition, minimum Bayes risk by brute force."""

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from whyformer.decoding.beam import BeamSpec
from whyformer.decoding.hypothesis import Hypothesis
from whyformer.decoding.ranking.agreement import agreements, reference_agreement
from whyformer.decoding.ranking.order import ByScore, MinimumBayesRisk
from whyformer.engines.rescoring import rescored

SENTENCES = [(4, 5, 4), (5,), (4, 4, 5, 5), (6, 4)]
SEQUENCES = st.lists(st.lists(st.integers(3, 6), max_size=9), min_size=1, max_size=6)


def hypothesis(tokens: tuple[int, ...], score: float) -> Hypothesis:
    return Hypothesis(tokens, score, 3 * score, (), finished=True)


def test_agreement_by_hand():
    # 1-grams 3 of 4, 2-grams 2 of 3, 3-grams 1 of 2, 4-grams 0 of 1: 6 of 10
    assert reference_agreement((4, 5, 6, 7), (4, 5, 6, 8)) == pytest.approx(0.6)
    # of the longer: 4 + 3 + 2 + 1 n-grams of one, 2 + 1 of the other, all of which it has
    assert reference_agreement((4, 5, 6, 7), (5, 6)) == pytest.approx(3 / 10)
    # what comes twice in one and once in the other is shared once
    assert reference_agreement((4, 4), (4,)) == pytest.approx(1 / 3)
    assert reference_agreement((), (4,)) == 0.0
    assert reference_agreement((), ()) == 1.0


@given(SEQUENCES)
def test_all_agreements_at_once_are_those_of_the_definition(sequences: list[list[int]]):
    found = agreements(sequences)
    for row, one in zip(found.tolist(), sequences, strict=True):
        assert row == [reference_agreement(one, other) for other in sequences]


@given(SEQUENCES, st.lists(st.floats(-9, 0), min_size=6, max_size=6), st.floats(0, 20))
def test_the_expected_agreement_is_the_score(
    sequences: list[list[int]], scores: list[float], sharpness: float
):
    pairs = zip(map(tuple, sequences), scores, strict=False)
    found = sorted((hypothesis(*pair) for pair in pairs), key=lambda one: -one.score)
    likely = [math.exp(sharpness * each.score) for each in found]
    if sum(likely) == 0:
        return
    expected = {
        each.tokens: sum(
            p / sum(likely) * reference_agreement(each.tokens, other.tokens)
            for p, other in zip(likely, found, strict=True)
        )
        for each in found
    }
    ranked = MinimumBayesRisk(sharpness=sharpness).ranked(found)
    assert sorted(each.tokens for each in ranked) == sorted(each.tokens for each in found)
    assert [each.score for each in ranked] == pytest.approx([expected[each.tokens] for each in ranked])
    assert all(one.score >= other.score for one, other in pairwise(ranked))


def test_what_stands_alone_comes_after_what_many_say():
    found = [hypothesis((9, 9, 9), -0.50), hypothesis((4, 5, 6), -0.51), hypothesis((4, 5, 7), -0.52)]
    assert MinimumBayesRisk().ranked(found)[0].tokens == (4, 5, 6)
    # Believing in the likeliest alone is to rank by score; believing in all alike is not to look at scores.
    assert MinimumBayesRisk(sharpness=1e6).ranked(found)[0].tokens == (9, 9, 9)
    lonely = [hypothesis((9, 9, 9), -0.1), hypothesis((4, 5, 6), -30.0), hypothesis((4, 5, 7), -31.0)]
    assert MinimumBayesRisk(sharpness=0.0).ranked(lonely)[0].tokens == (4, 5, 6)
    assert MinimumBayesRisk().ranked(lonely)[0].tokens == (9, 9, 9)


def test_of_equals_the_likelier_one_stays_before():
    found = [hypothesis((4, 5), -1.0), hypothesis((6, 7), -1.0), hypothesis((8, 9), -1.0)]
    assert [each.tokens for each in MinimumBayesRisk().ranked(found)] == [each.tokens for each in found]
    assert MinimumBayesRisk().ranked([]) == []


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("size", [1, 3, 6])
def test_a_beam_compares_all_that_it_would_return(toy, decode, size: int, seed: int):
    model = toy(seed)
    wide = BeamSpec(size=size, n_best=size, longest_factor=1, longest_extra=5)
    risk = MinimumBayesRisk(sharpness=1.0)
    every = decode(model, SENTENCES, wide)
    for n_best in {1, size}:
        found = decode(model, SENTENCES, wide.model_copy(update={"n_best": n_best, "ranking": risk}))
        assert found == [risk.ranked(each)[:n_best] for each in every]
    assert decode(model, SENTENCES, wide.model_copy(update={"ranking": ByScore()})) == every


def test_it_changes_what_is_best(toy, decode):
    """Else nothing above would have been tried."""
    spec = BeamSpec(size=6, longest_factor=1, longest_extra=5)
    other = spec.model_copy(update={"ranking": MinimumBayesRisk(sharpness=0.1)})
    best = [[each[0].tokens for each in decode(toy(seed), SENTENCES, spec)] for seed in range(8)]
    risk = [[each[0].tokens for each in decode(toy(seed), SENTENCES, other)] for seed in range(8)]
    assert best != risk


def test_probabilities_that_are_told_later_leave_the_order(toy):
    """An engine that gives none for tokens: its hypotheses are read by the model once more."""
    model = toy(1)
    source = torch.tensor([SENTENCES[0]])
    valid = torch.ones_like(source, dtype=torch.bool)
    found = [[hypothesis((4,), 0.9), hypothesis((5, 5), 0.4)]]
    told = rescored(model, source, valid, found, BeamSpec(size=2, n_best=2, ranking=MinimumBayesRisk()))
    assert [(each.tokens, each.score) for each in told[0]] == [((4,), 0.9), ((5, 5), 0.4)]
    assert [len(each.token_log_probabilities) for each in told[0]] == [2, 3]
    assert all(each.log_probability == pytest.approx(sum(each.token_log_probabilities)) for each in told[0])
    plain = rescored(model, source, valid, found, BeamSpec(size=2, n_best=2))
    assert {each.score for each in plain[0]}.isdisjoint({0.9, 0.4})
