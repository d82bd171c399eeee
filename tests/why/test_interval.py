"""Intervals cover the mean as often as they say, and say what they are."""

import random
from math import inf, isnan, nan
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whyformer.why.interval import ENOUGH, MOST, over_seeds

ROUNDS = 4000


def coverage(seeds: int) -> float:
    """Percentage of the intervals of normal numbers that hold their mean."""
    draw = random.Random(seeds)
    hits = 0
    for _ in range(ROUNDS):
        interval = over_seeds([draw.gauss(3.0, 2.0) for _ in range(seeds)])
        hits += interval.low <= 3.0 <= interval.high
    return 100 * hits / ROUNDS


# The standard error of 4,000 rounds is 0.34.
@pytest.mark.parametrize("seeds", [5, 8, 30])
def test_from_five_seeds_on_it_covers_95_percent(seeds: int):
    assert coverage(seeds) == pytest.approx(95.0, abs=1.2)


def test_the_range_of_three_covers_75_percent_and_does_not_claim_more():
    assert coverage(3) == pytest.approx(75.0, abs=2.5)
    assert not over_seeds([1.0, 2.0, 3.0]).confident
    assert over_seeds([1.0] * ENOUGH).confident


def test_it_is_students():
    interval = over_seeds([1.0, 2.0, 3.0, 4.0, 5.0])
    # 2.776 · √2.5 / √5
    assert (interval.mean, interval.low, interval.high) == pytest.approx((3.0, 1.037, 4.963), abs=1e-3)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=MOST))
def test_the_mean_lies_within(values: list[float]):
    interval = over_seeds(values)
    slack = 1e-9 * max(1.0, *map(abs, values))
    assert interval.mean == fmean(values)
    assert interval.low - slack <= interval.mean <= interval.high + slack


@pytest.mark.parametrize("odd", [nan, inf, -inf])
def test_a_number_that_is_none_makes_all_unknown(odd: float):
    interval = over_seeds([1.0, 2.0, odd, 3.0, 4.0])
    assert all(map(isnan, interval[:3]))
    assert interval.seeds == 5


@pytest.mark.parametrize("count", [0, MOST + 1])
def test_none_and_too_many_are_refused(count: int):
    with pytest.raises(ValueError, match=f"not of {count}"):
        over_seeds([1.0] * count)
