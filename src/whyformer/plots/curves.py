"""The curves of a training: what ``metrics.jsonl`` says, drawn."""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import altair as alt

from whyformer.files import write_bytes
from whyformer.plots.chart import Language, VegaLite, draw_png
from whyformer.plots.curve_words import WORDS, CurveWords
from whyformer.plots.glyphs import missing_glyphs
from whyformer.plots.panels import Curves

_WIDTH, _HEIGHT = 560, 150
_MOST_POINTS = 1000  # of a line: a long run has more than the picture has pixels
_MOST_DOTS = 60  # of a line whose single points are to be seen
_TICKS = 5  # of a panel, about
# After Okabe and Ito, told apart by colour-blind readers too; their red is for what is no number.
_COLORS = ["#0072b2", "#b87a00", "#009e73", "#b85c90", "#3f8fc4"]
_RED = "#c23b00"


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


def _panels(curves: Curves, words: CurveWords, *, smoothed: bool) -> list[_Panel]:
    """The panels of a training, from the top; ``smoothed`` where its loss is one of smoothed labels."""
    per = words.name(curves.per)
    losses = (
        _Figure("train", "loss", words.smoothed[0] if smoothed else words.events[0]),
        _Figure("train", "nll", words.plain[0]),
        _Figure("valid", "loss", words.smoothed[1] if smoothed else words.events[1]),
        _Figure("valid", "nll", words.plain[1]),
    )
    scores: dict[str, list[_Figure]] = {}
    for curve in curves.scores:
        figure = _Figure("valid", curve.name, words.name(curve.legend))
        scores.setdefault(curve.axis, []).append(figure)
    return [
        _Panel(words.titles.loss.format(per=per), losses, from_zero=False),
        *(
            _Panel(words.name(axis), tuple(figures), from_zero="%" in axis)
            for axis, figures in scores.items()
        ),
        _Panel(words.titles.rate, (_Figure("train", "learning_rate", words.events[0]),)),
        _Panel(words.titles.gradient, (_Figure("train", "gradient_norm", words.events[0]),)),
        _Panel(words.titles.speed.format(per=per), (_Figure("train", "tokens_per_second", words.events[0]),)),
    ]


def _is_smoothed(records: Iterable[_Record]) -> bool:
    pairs = [(_number(record.get("loss")), _number(record.get("nll"))) for _, record in records]
    return any(None not in (loss, nll) and loss != nll for loss, nll in pairs if loss == loss and nll == nll)


class _Line(NamedTuple):
    """A line in the order of its steps, and the steps at which its value is infinite or NaN."""

    legend: str
    points: list[tuple[float, float]]
    broken: list[float]


def curves_chart(records: Iterable[Mapping[str, Any]], curves: Curves, lang: Language = "en") -> VegaLite:
    """Draw the figures of ``records`` against the step, a panel for each kind that occurs.

    ``curves`` are those of the task; ``lang`` is the language of titles and legends.

    A record has a ``step``, an ``event`` ("train" or "valid") and figures by name: losses in nats per token,
    scores from 0 to 100. What is missing is left out; a figure that is infinite or NaN leaves a cross at the
    foot of its panel. Of two records of one event and step the later counts, since a resumed run repeats
    what it did after its checkpoint. The loss without label smoothing appears only where it is another one.
    """
    words = WORDS[lang]
    stepped = [
        (step, record)
        for record in records
        if (step := _number(record.get("step"))) is not None and math.isfinite(step)
    ]
    last = max((step for step, _ in stepped), default=0.0)
    panels = _panels(curves, words, smoothed=_is_smoothed(stepped))
    drawn = [(panel, lines) for panel in panels if (lines := _lines(panel, stepped))]
    charts = [_chart(panel, lines, last, words, lowest=panel is drawn[-1][0]) for panel, lines in drawn]
    if not charts:
        return alt.Chart(alt.Data(values=[{}])).mark_text(text=words.nothing, fontSize=14).to_dict()
    chart = alt.vconcat(*charts, spacing=10).resolve_scale(color="independent").to_dict()
    # The points join the finished chart: altair would look at every single one, which takes seconds.
    return {**chart, "datasets": {panel.title: _points(lines) for panel, lines in drawn}}


def save_curves(
    records: Iterable[Mapping[str, Any]], curves: Curves, path: Path, lang: Language = "en"
) -> None:
    """Write the ``curves`` of ``records`` to the PNG file ``path``, whole or not at all.

    Where no font on this machine has the words of ``lang``, they are English.

    Raises:
        WhyformerError: the folder cannot be written to, or the disk is full.
    """
    if missing_glyphs([WORDS[lang].characters()]):
        lang = "en"
    write_bytes(path, draw_png(curves_chart(records, curves, lang)))


def _lines(panel: _Panel, records: Sequence[_Record]) -> list[_Line]:
    lines: list[_Line] = []
    for figure in panel.figures:
        line = _line(figure, records)
        repeated = figure.name == "nll" and line[1:] in [other[1:] for other in lines]
        if (line.points or line.broken) and not repeated:
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


def _ticks(values: Sequence[float], *, from_zero: bool) -> tuple[list[float], str]:
    """Return the ticks of an axis, from below the least of ``values`` to above the largest; and their format.

    >>> _ticks([2.355], from_zero=False)
    ([2.3, 2.35, 2.4, 2.45], ',.2f')
    >>> _ticks([0.0, 0.0], from_zero=True)
    ([0.0, 0.5, 1.0], ',.1f')
    >>> _ticks([1e-5, 2e-4], from_zero=True)
    ([0.0, 5e-05, 0.0001, 0.00015, 0.0002], '.3~e')
    """
    # What is beyond would overflow, or lies beside 0 wherever it is drawn.
    shown = [math.copysign(min(abs(value), 1e300), value) if abs(value) > 1e-300 else 0.0 for value in values]
    shown += [0.0] if from_zero else []
    low, high = min(shown), max(shown)
    largest = max(abs(low), abs(high))
    if high - low <= 1e-9 * largest:
        # One value alone: the axis shows where it lies.
        room = 0.02 * largest or 1.0
        low, high = (low, high + room) if from_zero else (low - room, high + room)
    rough = (high - low) / (_TICKS - 1)
    magnitude = 10.0 ** math.floor(math.log10(rough))
    step = next(nice * magnitude for nice in (1, 2, 5, 10) if nice * magnitude >= rough * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    ticks = [float(f"{index * step:.12g}") for index in range(first, last + 1)]
    if step < 1e-4 or largest >= 1e7:
        return ticks, ".3~e"
    digits = next(digits for digits in range(8) if abs(step - round(step, digits)) <= 1e-6 * step)
    return ticks, f",.{digits}f"


def _chart(
    panel: _Panel, lines: Sequence[_Line], last: float, words: CurveWords, *, lowest: bool
) -> alt.LayerChart:
    names = [line.legend for line in lines]
    colors = [_COLORS[index] for index, figure in enumerate(panel.figures) if figure.legend in names]
    longest = max(len(line.points) for line in lines)
    dots, single = longest <= _MOST_DOTS, longest == 1
    data = alt.NamedData(panel.title)
    ticks, digits = _ticks(
        [value for line in lines for _, value in line.points] or [0.0], from_zero=panel.from_zero
    )
    curves = (
        alt.Chart(data)
        .transform_filter("datum.value !== null")
        .mark_line(point=alt.OverlayMarkDef(size=50 if single else 14) if dots else False, strokeWidth=1.5)
        .encode(
            x=alt.X(
                "step:Q",
                title=words.step if lowest else None,
                scale=alt.Scale(domain=[0, last or 1], nice=False),
                # One axis for all panels: the others have its lines alone.
                axis=alt.Axis(tickMinStep=1, tickCount=8, labels=lowest, ticks=lowest, labelOverlap=True),
            ),
            y=alt.Y(
                "value:Q",
                title=None,
                scale=alt.Scale(domain=[ticks[0], ticks[-1]], nice=False, zero=False),
                axis=alt.Axis(
                    values=ticks,
                    format=digits,
                    labelExpr="datum.value === 0 ? '0' : datum.label",
                    minExtent=56,
                    labelOverlap=True,
                ),
            ),
            color=alt.Color(
                "line:N",
                scale=alt.Scale(domain=names, range=colors),
                legend=alt.Legend(title=None, symbolType="stroke", symbolStrokeWidth=2, labelLimit=260),
            ),
        )
    )
    crosses = (
        alt.Chart(data)
        .transform_filter("datum.value === null")
        .mark_point(shape="cross", angle=45, size=60, filled=True, color=_RED, opacity=1)
        .encode(x="step:Q", y=alt.value(_HEIGHT))
    )
    title = alt.Title(panel.title, fontSize=12, fontWeight="normal", frame="group", offset=6)
    if any(line.broken for line in lines):
        title.subtitle, title.subtitleColor = words.broken, _RED
    return alt.LayerChart(layer=[curves, crosses], width=_WIDTH, height=_HEIGHT, title=title)
