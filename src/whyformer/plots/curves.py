"""The curves of a training: what ``metrics.jsonl`` says, drawn."""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import altair as alt

from whyformer.files import write_bytes
from whyformer.plots.chart import VegaLite, draw_png
from whyformer.plots.panels import Curves

_WIDTH, _HEIGHT = 560, 150
_MOST_POINTS = 1000  # of a line: a long run has more than the picture has pixels
_MOST_DOTS = 60  # of a line whose single points are to be seen
# Okabe and Ito's colours, told apart by colour-blind readers too; their red is for what is no number.
_COLORS = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9"]
_RED = "#d55e00"


_Record = tuple[float, Mapping[str, Any]]
"""A record of the log, behind its step."""


class _Figure(NamedTuple):
    """Figure that one line shows, of one kind of event, and its name in the legend."""

    event: str
    name: str
    legend: str


class _Panel(NamedTuple):
    """One of the charts that stand above each other."""

    title: str
    figures: tuple[_Figure, ...]
    from_zero: bool = True


def _panels(curves: Curves) -> list[_Panel]:
    """The panels of a training, from the top."""
    losses = (
        _Figure("train", "loss", "training loss"),
        _Figure("train", "nll", "training, not smoothed"),
        _Figure("valid", "loss", "validation loss"),
        _Figure("valid", "nll", "validation, not smoothed"),
    )
    scores: dict[str, list[_Figure]] = {}
    for curve in curves.scores:
        scores.setdefault(curve.axis, []).append(_Figure("valid", curve.name, curve.legend))
    return [
        _Panel(f"loss (nats per {curves.per})", losses, from_zero=False),
        *(_Panel(axis, tuple(figures), from_zero="%" in axis) for axis, figures in scores.items()),
        _Panel("learning rate", (_Figure("train", "learning_rate", "learning rate"),)),
        _Panel("gradient norm", (_Figure("train", "gradient_norm", "gradient norm"),)),
        _Panel(
            f"{curves.per}s per second", (_Figure("train", "tokens_per_second", f"{curves.per}s per second"),)
        ),
    ]


class _Line(NamedTuple):
    """A line in the order of its steps, and the steps at which its value is infinite or NaN."""

    legend: str
    points: list[tuple[float, float]]
    broken: list[float]


def curves_chart(records: Iterable[Mapping[str, Any]], curves: Curves) -> VegaLite:
    """Draw the figures of ``records`` against the step, a panel for each kind that occurs.

    ``curves`` are those of the task.

    A record has a ``step``, an ``event`` ("train" or "valid") and figures by name: losses in nats per token,
    scores from 0 to 100. What is missing is left out; a figure that is infinite or NaN leaves a cross at the
    foot of its panel. Of two records of one event and step the later counts, since a resumed run repeats
    what it did after its checkpoint. A line that lies on another, as the loss without smoothing on the loss
    of a training that does not smooth, appears once.
    """
    stepped = [
        (step, record)
        for record in records
        if (step := _number(record.get("step"))) is not None and math.isfinite(step)
    ]
    last = max((step for step, _ in stepped), default=0.0)
    drawn = [(panel, lines) for panel in _panels(curves) if (lines := _lines(panel, stepped))]
    charts = [_chart(panel, lines, last, panel is drawn[-1][0]) for panel, lines in drawn]
    if not charts:
        return alt.Chart(alt.Data(values=[{}])).mark_text(text="nothing logged yet", fontSize=14).to_dict()
    chart = alt.vconcat(*charts, spacing=12).resolve_scale(color="independent").to_dict()
    # The points join the finished chart: altair would look at every single one, which takes seconds.
    return {**chart, "datasets": {panel.title: _points(lines) for panel, lines in drawn}}


def save_curves(records: Iterable[Mapping[str, Any]], curves: Curves, path: Path) -> None:
    """Write the ``curves`` of ``records`` to the PNG file ``path``, whole or not at all.

    Raises:
        WhyformerError: the folder cannot be written to, or the disk is full.
    """
    write_bytes(path, draw_png(curves_chart(records, curves)))


def _lines(panel: _Panel, records: Sequence[_Record]) -> list[_Line]:
    lines: list[_Line] = []
    for figure in panel.figures:
        line = _line(figure, records)
        if (line.points or line.broken) and line[1:] not in [other[1:] for other in lines]:
            lines.append(line)
    return lines


def _line(figure: _Figure, records: Sequence[_Record]) -> _Line:
    values = {
        step: value
        for step, record in records
        if record.get("event") == figure.event and (value := _number(record.get(figure.name))) is not None
    }
    points = [(step, value) for step, value in sorted(values.items()) if math.isfinite(value)]
    broken = [step for step, value in sorted(values.items()) if not math.isfinite(value)]
    return _Line(figure.legend, _thinned(points), broken)


def _thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the lowest and the highest of every so many neighbours, so that no peak is lost."""
    if len(points) <= _MOST_POINTS:
        return points
    size = math.ceil(2 * len(points) / _MOST_POINTS)
    groups = [points[start : start + size] for start in range(0, len(points), size)]
    return [point for group in groups for point in sorted({min(group, key=_value), max(group, key=_value)})]


def _value(point: tuple[float, float]) -> float:
    return point[1]


def _number(value: object) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        return float(value)
    except OverflowError:  # JSON allows whole numbers of any length
        return math.inf


def _points(lines: Iterable[_Line]) -> list[Mapping[str, object]]:
    finite = [
        {"line": line.legend, "step": step, "value": value} for line in lines for step, value in line.points
    ]
    broken = [{"line": line.legend, "step": step, "value": None} for line in lines for step in line.broken]
    return [*finite, *broken]


def _chart(panel: _Panel, lines: Sequence[_Line], last: float, lowest: bool) -> alt.LayerChart:
    names = [line.legend for line in lines]
    colors = [_COLORS[index] for index, figure in enumerate(panel.figures) if figure.legend in names]
    legend = alt.Legend(title=None, symbolType="stroke", symbolStrokeWidth=2) if len(names) > 1 else None
    dots = max(len(line.points) for line in lines) <= _MOST_DOTS
    data = alt.NamedData(panel.title)
    curves = (
        alt.Chart(data)
        .transform_filter("datum.value !== null")
        .mark_line(point=alt.OverlayMarkDef(size=14) if dots else False, strokeWidth=1.5)
        .encode(
            x=alt.X(
                "step:Q",
                title="step" if lowest else None,
                scale=alt.Scale(domain=[0, last or 1]),
                axis=alt.Axis(tickMinStep=1),
            ),
            y=alt.Y(
                "value:Q",
                title=panel.title,
                scale=alt.Scale(zero=panel.from_zero),
                axis=alt.Axis(minExtent=48),
            ),
            color=alt.Color("line:N", scale=alt.Scale(domain=names, range=colors), legend=legend),
        )
    )
    crosses = (
        alt.Chart(data)
        .transform_filter("datum.value === null")
        .mark_point(shape="cross", angle=45, size=60, filled=True, color=_RED, opacity=1)
        .encode(x="step:Q", y=alt.value(_HEIGHT))
    )
    note = "× infinite or not a number" if any(line.broken for line in lines) else ""
    title = alt.Title(note, color=_RED, fontSize=11, fontWeight="normal", frame="group", offset=4)
    return alt.LayerChart(layer=[curves, crosses], width=_WIDTH, height=_HEIGHT, title=title)
