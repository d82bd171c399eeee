"""Interval around a mean over seeds: Student's t from five seeds on, minimum … maximum of fewer."""

import math
from collections.abc import Sequence
from statistics import fmean, stdev
from typing import NamedTuple

ENOUGH = 5
"""Seeds from which on the interval is of 95 %; a bootstrap of three is their range, and covers 73 %."""
MOST = 30
"""Seeds at most, as the quantiles end here."""

# Quantiles 0.975 of Student's t distribution with 4, 5, … 29 degrees of freedom.
_QUANTILES = (
    2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120,
    2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045,
)  # fmt: skip


class Interval(NamedTuple):
    """Mean over seeds, and an interval around it."""

    mean: float
    low: float
    high: float
    seeds: int
    """Number of values."""

    @property
    def confident(self) -> bool:
        """Whether it is an interval of 95 %; if not, it is the range of the values."""
        return self.seeds >= ENOUGH


def over_seeds(values: Sequence[float]) -> Interval:
    """The interval of ``values``, one for each seed; NaN all over where one of them is.

    >>> over_seeds([1.0, 2.0, 6.0])
    Interval(mean=3.0, low=1.0, high=6.0, seeds=3)

    Raises:
        ValueError: there are no values, or more than ``MOST``.
    """
    count = len(values)
    if not 0 < count <= MOST:
        raise ValueError(f"an interval is made of 1 to {MOST} values, not of {count}")
    if not all(map(math.isfinite, values)):
        return Interval(math.nan, math.nan, math.nan, count)
    mean = fmean(values)
    if count < ENOUGH:
        return Interval(mean, min(values), max(values), count)
    half = _QUANTILES[count - ENOUGH] * stdev(values) / math.sqrt(count)
    return Interval(mean, mean - half, mean + half, count)
