"""Charts whose arms or places are rows: bars from the left, and cells of percent."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import altair as alt

from whyformer.plots.inspection.tokens import text_width, wrapped
from whyformer.why.book.figures.plot import Plot, data, domain_around, log_ticks
from whyformer.why.book.figures.svg import CHART_FONT_SIZE, CHART_GROUND, CHART_INK, CHART_SOFT, HATCHED
from whyformer.why.book.labels import REFUSED
from whyformer.why.book.numbers import brief
from whyformer.why.question import Place, Text

_WIDTH, _STAMP = 366, (132, 72)  # pixels of a whole chart
_NAMES = (92, 120, 150)  # pixels that names of rows may be wide
_LINE = 15  # pixels from one line of text to the next
_RAMP = ((238, 244, 250), (107, 174, 214), (8, 69, 136))
_DARK, _LIGHT = "#101418", "#fefefe"  # text on cells, the same on light and dark pages


class _Row(NamedTuple):
    """A bar; or, without a number, the gap between groups of bars."""

    name: str
    arm: int = 0
    value: float | None = None
    seeds: Sequence[float] = ()


class _Names(NamedTuple):
    """Names of rows at the left, in lines."""

    lines: Sequence[Sequence[str]]
    width: int

    @classmethod
    def of(cls, names: Sequence[str]) -> "_Names":
        """Names of one line each if there is room, else as narrow as leaves them two."""
        tried = [[wrapped(name, CHART_FONT_SIZE, width) for name in names] for width in _NAMES]
        fitting = [each for most in (1, 2) for each in tried if max(map(len, each)) <= most]
        lines = (fitting or tried[-1:])[0]
        widest = max((text_width(line, CHART_FONT_SIZE) for name in lines for line in name), default=0)
        return cls(lines, math.ceil(widest) + 6)

    @property
    def tallest(self) -> int:
        return _LINE * max(map(len, self.lines))

    def layers(self) -> list[alt.Chart]:
        """The names beside their rows, each in the middle of its lines."""
        return [
            alt.Chart(data([{"row": row}]))
            .mark_text(
                text=[*lines], align="right", baseline="middle", fontSize=CHART_FONT_SIZE, color=CHART_INK,
                lineHeight=_LINE, dy=-_LINE * (len(lines) - 1) / 2,
            )
            .encode(y=alt.Y("row:O", axis=None), x=alt.value(-6))
            for row, lines in enumerate(self.lines) if lines
        ]  # fmt: skip


def bars(plot: Plot) -> alt.LayerChart:
    """A bar for each arm and place with a dot for each seed; dots alone where the axis is logarithmic."""
    rows = _rows(plot)
    log = plot.figure.log is not None
    names = _Names.of([row.name for row in rows])
    width = _STAMP[0] if plot.small else _WIDTH - names.width
    values = [value for row in rows if row.value is not None for value in (*row.seeds, row.value)]
    # A bar is as long as its number only if it begins at 0.
    ends = [level.at for level in plot.figure.levels] + ([] if log else [0.0])
    low, high = domain_around([*values, *ends], log=log)
    if not plot.small:  # room for the numbers at the right
        high = high * (high / low) ** 0.3 if log else high + 0.22 * (high - low)
    start = low if log else 0.0
    kind: Any = "log" if log else "linear"
    ticks: Any = log_ticks(low, high, most=4) if log else {"tickCount": 4}
    across = alt.X(
        "value:Q",
        title=plot.figure.unit.say(plot.lang),
        scale=alt.Scale(type=kind, domain=[low, high], nice=False, zero=False),
        axis=None if plot.small else alt.Axis(labelFlush=True, **ticks),
    )
    up = alt.Y(
        "row:O",
        axis=None,
        scale=alt.Scale(domain=[*range(len(rows))], paddingInner=0.25, paddingOuter=0.1),
    )
    shown = [
        {
            "row": at,
            "value": row.value,
            "start": start,
            "arm": str(row.arm),
            "end": max(row.value, *row.seeds),
        }
        for at, row in enumerate(rows)
        if row.value is not None and math.isfinite(row.value)
    ]
    base = alt.Chart(data(shown)).encode(
        y=up, x=across, color=plot.color("square" if _grouped(plot) else None)
    )
    if log:
        mean = base.mark_point(filled=True, size=90, shape="diamond", opacity=1)
        layers: list[Any] = [base.mark_rule(strokeWidth=1.5, opacity=0.5).encode(x2="start:Q"), mean]
    else:
        layers = [base.mark_bar(opacity=0.85).encode(x2="start:Q")]
    if not plot.small:
        layers += [*_levels(plot), *_numbers(rows, shown, up, across), *names.layers()]
        layers += _refused(plot, rows, up)
    step = _STAMP[1] / len(rows) if plot.small else max(22, names.tallest + 6)
    if _grouped(plot) and not plot.small:
        step = max(18, names.tallest / len(plot.arms))
    return alt.LayerChart(layer=layers, width=width, height=round(step * len(rows)))


def _grouped(plot: Plot) -> bool:
    return len(plot.arms) > 1 and len(plot.places) > 1


def _rows(plot: Plot) -> list[_Row]:
    """A row for each arm; in groups, named by their place, where there are several of both."""
    means = plot.means()
    numbers = plot.findings.numbers(plot.figure)
    grouped = _grouped(plot)
    rows: list[_Row] = []
    for place in plot.places:
        if grouped and rows:
            rows.append(_Row(""))
        arms = [arm for arm in plot.arms if (arm, place) in means]
        for at, arm in enumerate(arms):
            name = plot.say(arm) if len(plot.arms) > 1 else plot.name(place)
            if grouped:
                name = plot.name(place) if at == (len(arms) - 1) // 2 else ""
            rows.append(_Row(name, plot.arms.index(arm), means[arm, place], numbers[arm, place]))
    return rows


def _levels(plot: Plot) -> list[alt.Chart]:
    charts: list[alt.Chart] = []
    for level in plot.figure.levels:
        at = alt.Chart(data([{"value": level.at}])).encode(x="value:Q")
        charts.append(at.mark_rule(color=CHART_SOFT, strokeDash=[2, 3], strokeWidth=1.3))
        text = at.mark_text(
            text=level.name.say(plot.lang),
            color=CHART_SOFT,
            baseline="bottom",
            dy=-3,
            fontSize=CHART_FONT_SIZE,
        )
        charts.append(text.encode(y=alt.value(0)))
    return charts


def _numbers(rows: Sequence[_Row], shown: Sequence[dict[str, Any]], up: alt.Y, across: alt.X) -> list[Any]:
    """A dot for each seed, and the mean as a number."""
    seeds = [
        {"row": at, "value": value}
        for at, row in enumerate(rows)
        for value in row.seeds
        if math.isfinite(value)
    ]
    dots = alt.Chart(data(seeds)).mark_point(size=14, filled=True, color=CHART_INK, opacity=1)
    texts = alt.Chart(data([{**row, "text": brief(row["value"])} for row in shown]))
    numbers = texts.mark_text(align="left", dx=7, color=CHART_INK, fontSize=CHART_FONT_SIZE)
    return [
        dots.encode(y=up, x=across),
        numbers.encode(y=up, x=alt.X("end:Q"), text="text:N"),
    ]


def _refused(plot: Plot, rows: Sequence[_Row], up: alt.Y) -> list[Any]:
    """Hatching with a word where there is no number."""
    gone = [
        {"row": at} for at, row in enumerate(rows) if row.value is not None and not math.isfinite(row.value)
    ]
    if not gone:
        return []
    base = alt.Chart(data(gone)).encode(y=up, x=alt.value(0))
    word = base.mark_text(
        text=REFUSED.say(plot.lang), align="left", dx=52, color=CHART_SOFT, fontSize=CHART_FONT_SIZE
    )
    return [base.mark_bar(color=HATCHED).encode(x2=alt.value(46)), word]


def cells(plot: Plot) -> alt.LayerChart:
    """A cell for each arm and place: its mean over the seeds, from 0 to 100."""
    means = plot.means()
    names = _Names.of([plot.say(arm) for arm in plot.arms])
    if plot.small:
        side, tall = _STAMP[0] / len(plot.places), _STAMP[1] / len(plot.arms)
    else:
        side = min(72, (_WIDTH - names.width) / len(plot.places))
        tall = max(32, names.tallest + 6)
    shown = [_cell(plot, arm, place, means.get((arm, place))) for arm in plot.arms for place in plot.places]
    columns = [wrapped(plot.name(place), CHART_FONT_SIZE, side - 4) for place in plot.places]
    across = alt.X(
        "column:O",
        title=plot.figure.across.say(plot.lang),
        axis=None if plot.small else alt.Axis(
            labelExpr=f"({columns})[datum.value]", labelAngle=0, ticks=False, domain=False, labelLimit=0,
            orient="bottom",
        ),
    )  # fmt: skip
    base = alt.Chart(data(shown)).encode(x=across, y=alt.Y("row:O", axis=None))
    filled = base.mark_rect(stroke=CHART_GROUND, strokeWidth=2).encode(color=alt.Color("fill:N", scale=None))
    layers: list[Any] = [filled]
    if not plot.small:
        layers += names.layers()
        if side >= 26:
            words = base.transform_filter("isValid(datum.text)").mark_text(
                fontSize=CHART_FONT_SIZE, baseline="middle"
            )
            layers.append(words.encode(text="text:N", color=alt.Color("ink:N", scale=None)))
    return alt.LayerChart(
        layer=layers, width=round(side * len(plot.places)), height=round(tall * len(plot.arms))
    )


def _cell(plot: Plot, arm: Text, place: Place, value: float | None) -> dict[str, Any]:
    at = {"row": plot.arms.index(arm), "column": plot.places.index(place)}
    if value is None:
        return {**at, "fill": CHART_GROUND, "text": None, "ink": CHART_INK}
    if not math.isfinite(value):
        return {**at, "fill": HATCHED, "text": REFUSED.say(plot.lang), "ink": CHART_INK}
    fill = _ramp(value / 100)
    ink = _LIGHT if _luminance(fill) < 0.179 else _DARK
    return {**at, "fill": "#" + bytes(fill).hex(), "text": f"{value:.0f}", "ink": ink}


def _ramp(share: float) -> tuple[int, int, int]:
    share = 2 * min(max(share, 0.0), 1.0)
    first = int(share >= 1)
    low, high = _RAMP[first], _RAMP[first + 1]
    red, green, blue = (round(a + (b - a) * (share - first)) for a, b in zip(low, high, strict=True))
    return red, green, blue


def _luminance(color: Sequence[int]) -> float:
    """Relative luminance as of WCAG; black and white are told from it equally well at 0.179."""
    linear = [(c / 255 / 12.92) if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in color]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
