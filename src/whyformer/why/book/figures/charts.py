"""Charts of figures: lines, bars and cells that are legible at the width of a phone."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import altair as alt

from whyformer.plots.chart import CHINESE_FONTS, LATIN_FONTS, VegaLite
from whyformer.why.book.figures.frame import Frame, LineNames, names_beside
from whyformer.why.book.figures.plot import CHART_THEME, Plot, data
from whyformer.why.book.figures.rows import bars, cells
from whyformer.why.book.figures.svg import CHART_FONT_SIZE, CHART_SOFT

PANEL_WIDTH, PANEL_HEIGHT = 300, 210
"""Pixels between the axes of a chart."""
STAMP_SIZE = (132, 72)
"""Pixels of a small chart without words."""
_FEW = 8  # places that each get a tick and a dot
# The name of a vertical axis stands upright above it.
_UPRIGHT: Mapping[str, Any] = {
    "titleAngle": 0, "titleAlign": "left", "titleAnchor": "end", "titleX": -34, "titleY": -10,
    "titleBaseline": "bottom",
}  # fmt: skip


def figure_svg(plot: Plot) -> str:
    """The drawing of a figure that has a mark, as the renderer gives it."""
    import vl_convert

    fonts = f"{LATIN_FONTS}, {CHINESE_FONTS}"
    chart = {**figure_chart(plot), "config": {**CHART_THEME, "font": fonts}}
    return vl_convert.vegalite_to_svg(json.dumps(chart), allowed_base_urls=[])


def figure_chart(plot: Plot) -> VegaLite:
    """The chart of a figure that has a mark."""
    size = STAMP_SIZE if plot.small else (PANEL_WIDTH, PANEL_HEIGHT)
    match plot.figure.mark:
        case "line":
            chart = _lines(plot, Frame.around(plot, *size))
        case "bar":
            chart = bars(plot)
        case _:
            chart = cells(plot)
    return chart.to_dict()


def _lines(plot: Plot, frame: Frame) -> alt.LayerChart:
    """A thin line for each seed, a thick one for their mean."""
    names = LineNames() if plot.small else names_beside(plot, frame)
    frame = replace(frame, width=frame.width - names.margin)
    few = len(plot.places) <= _FEW
    ticks = frame.ticks_across(plot.numbers, few=few)
    keys, dashes = [str(at) for at in range(len(plot.arms))], [plot.dash(arm) for arm in plot.arms]
    legend = "stroke" if not names.texts and len(plot.arms) > 1 else None
    base = alt.Chart().encode(
        x=_axis("x", plot, frame, {"grid": False, "labelFlush": True, **ticks}),
        y=_axis("y", plot, frame, {**frame.ticks_up(), **_UPRIGHT}),
        color=plot.color(legend),
        strokeDash=alt.StrokeDash("arm:N", scale=alt.Scale(domain=keys, range=dashes), legend=None),
    )
    seeds, means = plot.curves(), plot.mean_curves()
    layers = _levels(plot, frame)
    if not plot.small:
        thin = base.mark_line(strokeWidth=1, opacity=0.45)
        layers.append(thin.properties(data=data(seeds)).encode(detail="seed:N"))
    dots: Any = {"point": alt.OverlayMarkDef(size=36, filled=True)} if few and not plot.small else {}
    layers.append(base.mark_line(strokeWidth=2.5, **dots).properties(data=data(means or seeds)))
    layers += [_words(row) for row in names.texts]
    return alt.LayerChart(layer=layers, width=frame.width, height=frame.height)


def _axis(axis: Literal["x", "y"], plot: Plot, frame: Frame, settings: Mapping[str, Any]) -> Any:
    """The encoding of numbers by an axis of the frame."""
    channel, name, domain, title = alt.X, "at:Q", frame.across, plot.figure.across
    if axis == "y":
        channel, name, domain, title = alt.Y, "value:Q", frame.up, plot.figure.unit
    kind: Any = "log" if axis in frame.log else "linear"
    return channel(
        name,
        title=title.say(plot.lang),
        scale=alt.Scale(type=kind, domain=[*domain], nice=False, zero=False),
        axis=None if plot.small else alt.Axis(**settings),
    )


def _words(row: Mapping[str, Any]) -> alt.Chart:
    """Words beside a line, at pixels."""
    text = alt.Chart(data([{}])).mark_text(
        text=row["text"], color=row["color"], align="left", baseline="middle", fontSize=CHART_FONT_SIZE
    )
    return text.encode(x=alt.value(row["x"]), y=alt.value(row["y"]))


def _levels(plot: Plot, frame: Frame) -> list[Any]:
    """Dotted lines with names: at the left those in the upper half, where curves begin low, else right."""
    charts: list[Any] = []
    for level in plot.figure.levels:
        at = frame.y(level.at)
        ends = {"y": alt.value(at), "x": alt.value(0), "x2": alt.value(frame.width)}
        rule = alt.Chart(data([{}])).mark_rule(color=CHART_SOFT, strokeDash=[2, 3], strokeWidth=1.3)
        charts.append(rule.encode(**ends))
        if not plot.small:
            high = at < frame.height / 2
            text = alt.Chart(data([{}])).mark_text(
                text=level.name.say(plot.lang), color=CHART_SOFT, align="left" if high else "right",
                baseline="bottom", fontSize=CHART_FONT_SIZE,
            )  # fmt: skip
            charts.append(text.encode(x=alt.value(3 if high else frame.width - 3), y=alt.value(at - 2)))
    return charts
