"""Intervals: against the whole bootstrap distribution of a small sample, and what always holds."""

from itertools import product
from statistics import NormalDist, fmean, stdev

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whyformer.bootstrap import Estimate, estimate, interval, paired_difference, ratio_interval

VALUES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=8)


def test_three_values_give_the_quantiles_of_all_their_resamples():
    values = [1.0, 2.0, 6.0]
    means = sorted(fmean(sample) for sample in product(values, repeat=3))
    # Each of the 27 resamples is equally likely: 1/27 lies above 2.5 %, so the extremes are the quantiles.
    assert interval(values) == (means[0], means[-1]) == (1.0, 6.0)
    # With 80 %, the tenth part at either end is left out: two and a half resamples of 27.
    assert interval(values, confidence=0.8) == pytest.approx((means[2], means[-3]))


def test_many_values_give_nearly_the_interval_of_the_normal_distribution():
    values = [float(number % 17) for number in range(400)]
    reach = NormalDist().inv_cdf(0.975) * stdev(values) / 20
    assert interval(values) == pytest.approx((fmean(values) - reach, fmean(values) + reach), abs=0.1 * reach)


@settings(max_examples=20)
@given(VALUES)
def test_an_interval_holds_the_mean_and_lies_within_the_values(values: list[float]):
    found = estimate(values)
    slack = 1e-9 * max(map(abs, values))
    assert min(values) - slack <= found.low <= found.mean + slack
    assert found.mean - slack <= found.high <= max(values) + slack
    assert estimate(values) == found


@pytest.mark.parametrize("count", [1, 3])
def test_equal_values_give_no_width(count: int):
    assert estimate([0.5] * count) == Estimate(0.5, 0.5, 0.5)


@settings(max_examples=20)
@given(st.lists(st.floats(-100, 100), min_size=2, max_size=6), st.floats(-5, 5))
def test_what_both_sides_share_leaves_no_width_in_a_paired_difference(values: list[float], shift: float):
    found = paired_difference([value + shift for value in values], values)
    assert (found.mean, found.low, found.high) == pytest.approx((shift, shift, shift), abs=1e-9)


@pytest.mark.parametrize(("values", "confidence"), [([], 0.95), ([1.0], 0.0), ([1.0], 1.0)])
def test_nothing_and_impossible_confidence_are_refused(values: list[float], confidence: float):
    with pytest.raises(ValueError, match="cannot give an interval"):
        interval(values, confidence)


def test_pairs_of_unequal_length_are_refused():
    with pytest.raises(ValueError):
        paired_difference([1.0], [1.0, 2.0])


def test_ratios_of_equal_wholes_are_means():
    values = [1.0, 2.0, 6.0]
    assert ratio_interval(values, [2.0] * 3) == tuple(bound / 2 for bound in interval(values))


def test_a_ratio_weighs_parts_by_their_wholes():
    """Of two, the long one is drawn twice, once or never; the mean of ratios would be 0.5 in the middle."""
    samples = sorted(
        sum(one) / sum(other) for one, other in [((0, 0), (9, 9)), ((0, 1), (9, 1)), ((1, 1), (1, 1))]
    )
    assert ratio_interval([0.0, 1.0], [9.0, 1.0]) == (samples[0], samples[-1]) == (0.0, 1.0)
    assert ratio_interval([0.0, 1.0], [9.0, 1.0], confidence=0.01) == pytest.approx((0.1, 0.1))


def test_samples_of_nothing_are_left_out():
    assert ratio_interval([1.0, 0.0], [2.0, 0.0]) == (0.5, 0.5)
    for parts, wholes in (([], []), ([1.0], [0.0])):
        with pytest.raises(ValueError, match="cannot give"):
            ratio_interval(parts, wholes)
    with pytest.raises(ValueError, match="zip"):
        ratio_interval([1.0], [1.0, 2.0])
