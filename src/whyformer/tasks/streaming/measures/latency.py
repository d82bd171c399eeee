"""Latencies of a streaming recogniser: each has one definition, and they are given together.

Time here is stream time, in seconds: how much of the signal has arrived. What computing adds is measured
apart (``processing``), as it depends on the machine.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

PERCENTILES = (50, 90, 99)


@dataclass(frozen=True)
class AlgorithmicLatency:
    """Waiting time that the layout of chunks imposes, whatever the machine and the speaker.

    What arrives t seconds after its chunk began waits chunk - t seconds for the rest of the chunk, and then
    for the look-ahead.
    """

    chunk: float | None
    """Seconds of a chunk; None where the whole signal is one, so that waiting has no bound."""
    look_ahead: float
    """Seconds of signal after the end of a chunk that must have arrived before the chunk can be computed: of
    windows that reach beyond it, and samples that a resampler holds back."""

    @property
    def maximum(self) -> float:
        """Longest waiting time, of what arrives first in a chunk."""
        return math.inf if self.chunk is None else self.chunk + self.look_ahead

    @property
    def mean(self) -> float:
        """Mean waiting time over all that arrives."""
        return math.inf if self.chunk is None else self.chunk / 2 + self.look_ahead

    def record(self) -> dict[str, float | None]:
        """Seconds by name, ready for JSON: None where there is no bound."""
        bounded = self.chunk is not None
        return {
            "maximum": self.maximum if bounded else None,
            "mean": self.mean if bounded else None,
            "look_ahead": self.look_ahead,
        }


@dataclass(frozen=True)
class Delays:
    """Delays of the words of a set: percentiles, in seconds."""

    count: int
    p50: float
    p90: float
    p99: float

    @staticmethod
    def of(delays: Sequence[float]) -> "Delays | None":
        """The percentiles of ``delays``; None where there are none."""
        if not delays:
            return None
        return Delays(len(delays), *(percentile(delays, share) for share in PERCENTILES))

    def record(self) -> dict[str, float]:
        """The percentiles by name, ready for JSON."""
        return {"count": self.count, "p50": self.p50, "p90": self.p90, "p99": self.p99}


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest of ``values`` that at least ``percent`` of 100 of them do not exceed (nearest rank).

    >>> percentile([4.0, 1.0, 3.0, 2.0], 50)
    2.0

    Raises:
        ValueError: there are no values.
    """
    if not values:
        raise ValueError("no values have no percentile")
    rank = max(1, math.ceil(percent / 100 * len(values)))
    return sorted(values)[rank - 1]
