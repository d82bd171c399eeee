"""Equation 14 of Wu et al. 2016 by hand, its bound, and the ranking of equal scores."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from whyformer.decoding.ranking.highest import highest
from whyformer.decoding.ranking.scorer import Scorer, coverage_penalty, length_penalty


def test_length_penalty_by_hand():
    lengths = torch.tensor([1, 7, 19])
    assert length_penalty(lengths, 0.0).tolist() == [1.0, 1.0, 1.0]
    assert length_penalty(lengths, 1.0).tolist() == [1.0, 2.0, 4.0]
    assert length_penalty(lengths, 0.5).tolist() == pytest.approx([1.0, math.sqrt(2), 2.0])


@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.6, 1.0, 1.7])
def test_length_penalty_is_the_same_among_any_others(alpha: float):
    whole = length_penalty(torch.arange(600), alpha)
    assert whole.dtype == torch.float32
    for first in (0, 3, 592):
        for count in range(1, 9):
            some = torch.arange(first, first + count)
            assert torch.equal(length_penalty(some, alpha), whole[some])
    assert all(length_penalty(torch.tensor(n), alpha) == whole[n] for n in range(600))


def test_coverage_penalty_by_hand():
    # Three target tokens over three source tokens: covered 1.5 (counts as 1), 0.5 and 1.0.
    attention = torch.tensor([[0.5, 0.2, 0.3], [0.6, 0.1, 0.3], [0.4, 0.2, 0.4]])
    assert coverage_penalty(attention.sum(0), 0.2).item() == pytest.approx(0.2 * math.log(0.5))


def test_an_untouched_source_token_keeps_the_penalty_finite():
    assert math.isfinite(coverage_penalty(torch.tensor([0.0, 1.0]), 1.0).item())


def test_the_score_adds_both():
    scorer = Scorer(alpha=1.0, beta=0.2)
    score = scorer.score(torch.tensor([[-6.0]]), torch.tensor([[7]]), torch.tensor([[[0.5, 2.0]]]))
    assert score.item() == pytest.approx(-3 + 0.2 * math.log(0.5))


@settings(deadline=None)
@given(
    total=st.floats(-50, 0, width=32),
    alpha=st.floats(0, 3),
    beta=st.floats(0, 2),
    added=st.lists(st.floats(-5, 0, width=32), min_size=1, max_size=10),
    coverage=st.lists(st.floats(0, 3, width=32), min_size=1, max_size=4),
)
def test_no_descendant_exceeds_the_bound(total, alpha, beta, added, coverage):
    scorer, longest = Scorer(alpha, beta), torch.tensor([12])
    bound = scorer.bound(torch.tensor([[total]]), longest)
    grown = torch.tensor([[total]])
    for length, log_probability in enumerate(added, start=3):
        grown = grown + log_probability
        assert scorer.score(grown, torch.tensor([[length]]), torch.tensor([[coverage]])) <= bound


@settings(deadline=None)
@given(
    rows=st.lists(
        st.lists(st.sampled_from([-math.inf, -2.0, -1.0, 0.0]), min_size=9, max_size=9), min_size=1
    ),
    count=st.integers(1, 12),
)
def test_highest_is_a_stable_sort(rows, count):
    scores = torch.tensor(rows)
    values, places = highest(scores, count)
    expected_values, expected_places = scores.sort(dim=1, descending=True, stable=True)
    assert torch.equal(values, expected_values[:, :count])
    finite = values > -math.inf
    assert torch.equal(places[finite], expected_places[:, :count][finite])


@pytest.mark.parametrize("distinct", [3, 1000, 10**6])
@pytest.mark.parametrize("count", [1, 4, 10])
def test_highest_of_a_large_matrix_is_one_too(distinct, count):
    scores = torch.randint(distinct, (40, 7001), generator=torch.Generator().manual_seed(0)).float()
    scores[0, 7000], scores[1] = 2.0 * distinct, -math.inf
    scores[1, 5] = 0.0
    values, places = highest(scores, count)
    expected_values, expected_places = scores.sort(dim=1, descending=True, stable=True)
    assert torch.equal(values, expected_values[:, :count])
    finite = values > -math.inf
    assert torch.equal(places[finite], expected_places[:, :count][finite])
