"""Frame of a chart of lines: where a number stands in it, and whether names fit beside their lines."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from whyformer.plots.inspection.tokens import text_width
from whyformer.why.book.figures.plot import Plot, domain_around, log_ticks
from whyformer.why.book.figures.svg import CHART_FONT_SIZE

_ROW = 16  # pixels from one name to the next
_WIDEST = 112  # name beside a line
_GAP = 7  # pixels between a line's end and its name


@dataclass(frozen=True)
class Frame:
    """A rectangle with an axis across and one upwards."""

    width: int
    height: int
    across: tuple[float, float]
    """The numbers at its left and right."""
    up: tuple[float, float]
    """The numbers at its bottom and top."""
    log: str = ""
    """Which axes are logarithmic."""

    @classmethod
    def around(cls, plot: Plot, width: int, height: int) -> Self:
        """The frame that holds all numbers and levels of ``plot``."""
        log = plot.figure.log or ""
        rows = plot.curves()
        values = [row["value"] for row in rows] + [level.at for level in plot.figure.levels]
        places = [row["at"] for row in rows]
        return cls(
            width,
            height,
            domain_around(places, log="x" in log, zero=False),
            domain_around(values, log="y" in log),
            log,
        )

    def x(self, at: float, width: float | None = None) -> float:
        """Pixels from the left."""
        return _share(at, self.across, log="x" in self.log) * (width or self.width)

    def y(self, at: float) -> float:
        """Pixels from the top."""
        return (1 - _share(at, self.up, log="y" in self.log)) * self.height

    def ticks_across(self, places: Sequence[float], *, few: bool) -> dict[str, Any]:
        """Settings of the axis across; few places each get a tick."""
        if few:
            # By a format alone Vega would take as few digits as tell the ticks apart: 3e+1.
            return {"values": self._apart(places), "labelExpr": "format(datum.value, '.6~g')"}
        return log_ticks(*self.across, most=5) if "x" in self.log else {"tickCount": 4}

    def _apart(self, places: Sequence[float]) -> list[float]:
        """Places among ``places`` whose names do not run over each other."""
        kept: list[float] = []
        for place in places:
            room = text_width(f"{place:g}", CHART_FONT_SIZE) + 8
            if not kept or self.x(place) - self.x(kept[-1]) >= room:
                kept.append(place)
        return kept

    def ticks_up(self) -> dict[str, Any]:
        """Settings of the upward axis."""
        return log_ticks(*self.up, most=6) if "y" in self.log else {"tickCount": 4}


def _share(at: float, domain: tuple[float, float], *, log: bool) -> float:
    low, high = domain
    if log:
        at, low, high = math.log(max(at, 1e-300)), math.log(low), math.log(high)
    return (at - low) / (high - low)


@dataclass(frozen=True)
class LineNames:
    """Names that stand beside their lines; none where a legend must tell them apart."""

    margin: int = 0
    """Pixels that they need at the right."""
    texts: list[dict[str, Any]] = field(default_factory=list)


def names_beside(plot: Plot, frame: Frame) -> LineNames:
    """Names at the ends of the lines, unless one is too long, far from its line, or would cover another."""
    ends = _ends(plot)
    widths = [text_width(plot.say(arm), CHART_FONT_SIZE) for arm in plot.arms]
    if len(ends) < len(plot.arms) or len(ends) < 2 or max(widths) > _WIDEST:
        return LineNames()
    margin = math.ceil(max(widths)) + _GAP
    width = frame.width - margin
    points = [(frame.x(row["at"], width), frame.y(row["value"]), row["arm"]) for row in plot.curves()]
    # Only lines that all end at the right have names there that cover no other line.
    if any(frame.x(row["at"], width) < 0.9 * width for row in ends):
        return LineNames()
    wanted = sorted((frame.y(row["value"]), index) for index, row in enumerate(ends))
    placed: dict[int, float] = {}
    last = -math.inf
    for y, index in wanted:
        last = max(y, last + _ROW)
        placed[index] = last
    shift = max(0.0, last - frame.height)
    colors = plot.colors()
    right = max(x for x, _, _ in points) + _GAP
    texts = [
        {"text": plot.say(arm), "color": colors[arm], "x": right, "y": placed[index] - shift}
        for index, arm in enumerate(plot.arms)
    ]
    if any(abs(placed[index] - shift - y) > 2 * _ROW for y, index in wanted):
        return LineNames()
    return LineNames(margin, texts)


def _ends(plot: Plot) -> list[dict[str, Any]]:
    """The last point of each arm's mean."""
    last: dict[str, dict[str, Any]] = {}
    for row in plot.mean_curves():
        last[row["arm"]] = row
    return [last[key] for key in sorted(last, key=int)]
