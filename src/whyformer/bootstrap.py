"""Confidence of a mean: percentile bootstrap (Efron 1979), the same each time it is computed."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum
from statistics import fmean

RESAMPLES = 2000


@dataclass(frozen=True)
class Estimate:
    """A mean and the interval around it."""

    mean: float
    low: float
    high: float


def interval(values: Sequence[float], confidence: float = 0.95, seed: int = 0) -> tuple[float, float]:
    """The middle ``confidence`` of the means of samples drawn with replacement from ``values``.

    From a handful of values it is rough, and narrower than the truth more often than not; a single value
    gives an interval without width, which says nothing at all.

    Raises:
        ValueError: there are no values, or the confidence is not between 0 and 1.
    """
    if not values or not 0.0 < confidence < 1.0:
        raise ValueError(f"{len(values)} values cannot give an interval of confidence {confidence}")
    draw = random.Random(seed)
    means = sorted(fmean(draw.choices(values, k=len(values))) for _ in range(RESAMPLES))
    outside = round(RESAMPLES * (1.0 - confidence) / 2.0)
    return means[outside], means[-1 - outside]


def estimate(values: Sequence[float], confidence: float = 0.95, seed: int = 0) -> Estimate:
    """The mean of ``values`` and its ``interval``."""
    return Estimate(fmean(values), *interval(values, confidence, seed))


def paired_difference(
    a: Sequence[float], b: Sequence[float], confidence: float = 0.95, seed: int = 0
) -> Estimate:
    """The mean of a - b and its ``interval``, where ``a[i]`` and ``b[i]`` belong together.

    Raises:
        ValueError: they are not of one length, or as for ``interval``.
    """
    return estimate([left - right for left, right in zip(a, b, strict=True)], confidence, seed)


def ratio_interval(
    parts: Sequence[float], wholes: Sequence[float], confidence: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """The same for a ratio of sums, Σ parts / Σ wholes, where ``parts[i]`` and ``wholes[i]`` belong together.

    It is what errors over words are: a long utterance has more of both (Bisani & Ney 2004). Samples in which
    the wholes are 0 are left out.

    Raises:
        ValueError: they are not of one length, the wholes are 0, or as for ``interval``.
    """
    pairs = list(zip(parts, wholes, strict=True))
    if not sum(wholes) > 0.0 or not 0.0 < confidence < 1.0:
        raise ValueError(f"{len(pairs)} ratios cannot give an interval of confidence {confidence}")
    draw = random.Random(seed)
    ratios: list[float] = []
    for _ in range(RESAMPLES):
        some = draw.choices(pairs, k=len(pairs))
        whole = fsum(each for _, each in some)
        if whole > 0.0:
            ratios.append(fsum(part for part, _ in some) / whole)
    ratios.sort()
    outside = round(len(ratios) * (1.0 - confidence) / 2.0)
    return ratios[outside], ratios[-1 - outside]
