"""Numbers of a figure, colours of its arms and the look of its axes, as charts of all kinds need them."""

import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean
from typing import Any

import altair as alt

from whyformer.plots.chart import Language, VegaLite
from whyformer.plots.inspection.tokens import wrapped
from whyformer.why.arms import COLORS, PALETTE
from whyformer.why.book.figures.svg import CHART_FONT_SIZE, CHART_GRID, CHART_INK, CHART_LINE, CHART_SOFT
from whyformer.why.book.numbers import brief
from whyformer.why.question import Figure, Findings, Place, Text, place_name

MOST_POINTS, MOST_THIN = 60, 30
"""Points of a curve that are drawn, and of the thin one of a seed; more cannot be told apart."""
_LEGEND = 310  # pixels that a legend's line may be wide


@dataclass(frozen=True)
class Plot:
    """A figure's numbers, and how they are drawn."""

    findings: Findings
    figure: Figure
    lang: Language
    small: bool = False
    """Whether it is drawn as small as a stamp, without words."""

    @cached_property
    def arms(self) -> list[Text]:
        """The arms of this figure, in the order in which they were measured."""
        return list(dict.fromkeys(arm for arm, _ in self.findings.numbers(self.figure)))

    @cached_property
    def places(self) -> list[Place]:
        """The places of this figure; numbers in their order."""
        found = list(dict.fromkeys(place for _, place in self.findings.numbers(self.figure)))
        numbers = sorted(place for place in found if not isinstance(place, Text))
        return [*numbers] if len(numbers) == len(found) else found

    @cached_property
    def numbers(self) -> list[float]:
        """Places that are numbers."""
        return [place for place in self.places if not isinstance(place, Text)]

    def say(self, arm: Text) -> str:
        """The name of ``arm`` in a legend."""
        return arm.say(self.lang)

    def name(self, place: Place) -> str:
        """The name of a place on the axis."""
        return place_name(place, self.lang)

    def colors(self) -> Mapping[Text, str]:
        """A colour for each arm of the question, the same in all of its figures."""
        references = {figure.reference for figure in self.findings.question.figures}
        return arm_colors(self.findings.arms, references)

    def dash(self, arm: Text) -> list[int]:
        """The dashes of an arm's line: none for what is compared, as controls often lie on top of it."""
        if self.colors()[arm] == CHART_INK:
            return [5, 4]
        return [9, 3] if arm.en.startswith("control") else [1, 0]

    def color(self, legend: str | None = None) -> alt.Color:
        """The encoding of arms by colour, with a legend that shows this shape if there is one."""
        colors = self.colors()
        scale = alt.Scale(
            domain=[str(at) for at in range(len(self.arms))], range=[colors[arm] for arm in self.arms]
        )
        if legend is None or self.small:
            return alt.Color("arm:N", scale=scale, legend=None)
        texts = json.dumps(
            [wrapped(self.say(arm), CHART_FONT_SIZE, _LEGEND) for arm in self.arms], ensure_ascii=False
        )
        shown = alt.Legend(labelExpr=f"({texts})[datum.label]", title=None, symbolType=legend)
        return alt.Color("arm:N", scale=scale, legend=shown)

    def means(self) -> dict[tuple[Text, Place], float]:
        """The mean of all seeds by arm and place; NaN where not all of them have a number."""
        return {
            key: fmean(values) if len(values) == len(self.findings.measured) else math.nan
            for key, values in self.findings.numbers(self.figure).items()
        }

    def curves(self) -> list[dict[str, Any]]:
        """Points of each seed's lines, in order; arms by their index."""
        index = {arm: str(at) for at, arm in enumerate(self.arms)}
        rows: list[dict[str, Any]] = []
        for arm in self.arms:
            for seed, measured in self.findings.measured.items():
                line = measured.line(self.figure, arm)
                rows += [
                    {"arm": index[arm], "at": at, "value": line[at], "seed": seed}
                    for at in _thinned(sorted(line), MOST_THIN)
                    if self._shows(line[at])
                ]
        return rows

    def mean_curves(self) -> list[dict[str, Any]]:
        """Points of each arm's mean; a seed that ended earlier, having learned, keeps its last number."""
        rows: list[dict[str, Any]] = []
        for at, arm in enumerate(self.arms):
            lines = [measured.line(self.figure, arm) for measured in self.findings.measured.values()]
            places = sorted({place for line in lines for place in line})
            for place in _thinned(places):
                values = [line[max(known)] for line in lines if (known := [p for p in line if p <= place])]
                if len(values) == len(lines) and all(map(self._shows, values)):
                    rows.append({"arm": str(at), "at": place, "value": fmean(values)})
        return rows

    def _shows(self, value: float) -> bool:
        """Whether a line can pass here; a logarithmic axis has no 0, and would draw it beyond its ends."""
        return math.isfinite(value) and (value > 0 or "y" not in (self.figure.log or ""))

    @property
    def is_uneven(self) -> bool:
        """Whether some seeds ended earlier than others."""
        return any(
            len(
                {
                    max(measured.line(self.figure, arm), default=0.0)
                    for measured in self.findings.measured.values()
                }
            )
            > 1
            for arm in self.arms
        )


def _thinned(places: Sequence[float], most: int = MOST_POINTS) -> list[float]:
    """At most so many of ``places``, both ends among them."""
    if len(places) <= most:
        return [*places]
    step = (len(places) - 1) / (most - 1)
    return [places[round(index * step)] for index in range(most)]


def drawn_figures(findings: Findings) -> list[Figure]:
    """Figures with a mark and some numbers; the first of them decides."""
    return [
        figure for figure in findings.question.figures if figure.mark is not None and findings.numbers(figure)
    ]


def arm_colors(arms: Sequence[Text], references: Collection[Text | None] = ()) -> dict[Text, str]:
    """The book's colour of each arm; others get what the palette has left, and what was computed gets ink."""
    taken = {COLORS[arm] for arm in arms if arm in COLORS}
    free = [color for color in PALETTE if color not in taken] or [*PALETTE]
    found: dict[Text, str] = {}
    others = 0
    for arm in arms:
        if arm in references:
            found[arm] = CHART_INK
        elif arm in COLORS:
            found[arm] = COLORS[arm]
        else:
            found[arm] = free[others % len(free)]
            others += 1
    return found


def domain_around(values: Sequence[float], *, log: bool, zero: bool = True) -> tuple[float, float]:
    """A domain around ``values``; from 0 on where they are not all far from it."""
    known = [value for value in values if math.isfinite(value) and (value > 0 or not log)] or [1.0]
    low, high = min(known), max(known)
    if log:
        margin = (high / low) ** 0.06 if high > low else 2.0
        return low / margin, high * margin
    room = 0.06 * (high - low) or abs(high) or 1.0
    if not zero:
        return low - 0.4 * room, high + 0.4 * room
    if 0 <= low <= 0.5 * high:
        return 0.0, high + room
    return low - room, high + room


def log_ticks(low: float, high: float, *, most: int) -> dict[str, Any]:
    """Settings of a logarithmic axis: few round numbers."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found: list[float] = []
    for digits in ((1,), (1, 3), (1, 2, 5)):
        found = [digit * 10.0**power for power in powers for digit in digits]
        found = [value for value in found if low <= value <= high]
        if len(found) >= 3:
            break
    names = json.dumps({f"{value:.12g}": brief(value) for value in found}, ensure_ascii=False)
    shown = found[:: math.ceil(len(found) / most)]
    return {"values": shown, "labelExpr": f"({names})[format(datum.value, '.12~g')] || datum.label"}


def data(rows: Sequence[Mapping[str, Any]]) -> alt.Data:
    """Rows of a chart."""
    return alt.Data(values=[*rows])


CHART_THEME: VegaLite = {
    "padding": 4,
    "background": None,
    "view": {"stroke": None},
    "axis": {
        "labelColor": CHART_SOFT, "labelFontSize": CHART_FONT_SIZE, "labelPadding": 4, "tickSize": 4,
        "titleColor": CHART_SOFT, "titleFontSize": CHART_FONT_SIZE, "titleFontWeight": "normal",
        "gridColor": CHART_GRID, "domainColor": CHART_LINE, "tickColor": CHART_LINE,
    },
    "legend": {
        "labelColor": CHART_INK, "labelFontSize": CHART_FONT_SIZE, "labelLimit": 0, "title": None,
        "orient": "top", "columns": 1, "offset": 24, "rowPadding": 3,
        "symbolStrokeWidth": 3, "symbolOpacity": 1, "symbolSize": 160,
    },
    "text": {"color": CHART_INK, "fontSize": CHART_FONT_SIZE},
    "title": {"color": CHART_INK},
}  # fmt: skip
"""The look of all charts; where a page is dark its colours are other ones."""
