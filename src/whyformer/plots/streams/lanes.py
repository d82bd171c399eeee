"""Lanes: what would lie on one another in a row is laid below one another."""

from collections.abc import Sequence
from typing import NamedTuple


class LaneSpan(NamedTuple):
    """Room that one thing takes: of its label alone, and with all that hangs on it."""

    start: float
    label: float
    """End of the label."""
    end: float
    """End of all."""

    @staticmethod
    def of(start: float, label: float, end: float) -> "LaneSpan":
        """The span of a label from ``start`` to ``label``, on which something hangs until ``end``."""
        return LaneSpan(start, label, max(label, end))


def lanes(spans: Sequence[LaneSpan], most: int) -> list[int]:
    """The lane of each span, from 0: the first that is free where it starts.

    Where more than ``most`` would be needed, only labels are kept from lying on one another; and where these
    need more as well, lanes are taken in turn.

    >>> lanes([LaneSpan(0, 1, 3), LaneSpan(1, 2, 3), LaneSpan(3, 4, 5)], 4)
    [0, 1, 0]
    >>> lanes([LaneSpan(0, 1, 9), LaneSpan(1, 2, 9), LaneSpan(3, 4, 9)], 1)
    [0, 0, 0]
    """
    found = _first_free([(span.start, span.end) for span in spans])
    if max(found, default=0) < most:
        return found
    found = _first_free([(span.start, span.label) for span in spans])
    return found if max(found) < most else [lane % most for lane in found]


def _first_free(spans: Sequence[tuple[float, float]]) -> list[int]:
    ends: list[float] = []
    found: list[int] = []
    for start, end in spans:
        lane = next((lane for lane, taken in enumerate(ends) if taken <= start), len(ends))
        ends[lane : lane + 1] = [end]
        found.append(lane)
    return found
