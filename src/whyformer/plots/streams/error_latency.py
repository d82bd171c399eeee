"""Error against latency: how much is paid for hearing words sooner, drawn."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import altair as alt

from whyformer.plots.chart import INK, Language, Page, Table, VegaLite
from whyformer.plots.streams.words import STREAM_WORDS, LatencyWords

_WIDTH, _HEIGHT = 380, 260
_COLUMNS = 2
# After Okabe and Ito, told apart by colour-blind readers too, each 3 to 1 or more against white.
_COLORS = ["#0072b2", "#b87a00", "#009e73", "#b85c90", "#3f8fc4", "#d55e00", "#6a3d9a"]
_SHAPES = ["circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "triangle-right"]
_EDGE = 1.9
"""Ratio of the place of the whole signal, which has no latency, to the largest latency."""
_DODGE = 1.03
"""Ratio of neighbours' places, so that bars of one latency stand side by side."""

_Records = Sequence[Mapping[str, Any]]


class _Point(NamedTuple):
    """An evaluation, ready to be drawn."""

    left: str
    """Entry of the legend; empty for the whole signal at once."""
    latency: float | None
    """Milliseconds; None without bound."""
    record: Mapping[str, Any]


def error_latency_page(subject: str, sets: Mapping[str, _Records], lang: Language = "en") -> Page:
    """The page and picture ``latency``: a panel for each set, a line for each number of chunks to the left.

    Args:
        subject: what was evaluated, for the heading.
        sets: by name, what ``whyformer evaluate --json`` says of each size of chunks.
        lang: the language of everything but the names of sets.
    """
    words = STREAM_WORDS[lang].latency
    points = {name: [_point(record, words) for record in records] for name, records in sets.items()}
    chart = _chart({name: found for name, found in points.items() if found}, words)
    heading = words.heading.format(subject=subject)
    whole = any(point.latency is None for found in points.values() for point in found)
    paragraphs = (words.key, words.full) if whole else (words.key,)
    return Page(
        stem="latency",
        lang=lang,
        heading=heading,
        paragraphs=paragraphs,
        interactive=chart,
        still={**chart, "title": {"text": heading, "subtitle": _lines(paragraphs), "offset": 16}},
        tables=tuple(_table(name, found, words) for name, found in points.items()),
    )


def _lines(paragraphs: Sequence[str]) -> list[str]:
    """The sentences, a line each: a picture has no room for a paragraph."""
    return [
        sentence if sentence[-1] in ".。" else f"{sentence}."
        for paragraph in paragraphs
        for sentence in paragraph.replace("。", "。\n").replace(". ", ".\n").split("\n")
        if sentence
    ]


def _point(record: Mapping[str, Any], words: LatencyWords) -> _Point:
    # As the command line writes chunks: "320ms, left 4", or "full".
    _, _, left = str(record["chunks"]).partition(", left ")
    maximum = record["latency"]["maximum"]
    return _Point(words.all if left == "all" else left, None if maximum is None else 1000 * maximum, record)


def _order(left: str) -> tuple[bool, int]:
    """Fewer chunks first, all of them last."""
    return (not left.isdecimal(), int(left) if left.isdecimal() else 0)


def _chart(sets: Mapping[str, Sequence[_Point]], words: LatencyWords) -> VegaLite:
    if not sets:
        return alt.Chart(alt.Data(values=[{}])).mark_text(text=words.nothing, fontSize=14).to_dict()
    every = [point for found in sets.values() for point in found]
    lefts = sorted({point.left for point in every if point.latency is not None}, key=_order)
    latencies = sorted({point.latency for point in every if point.latency is not None})
    edge = latencies[-1] * _EDGE if latencies else 1000.0
    whole = any(point.latency is None for point in every)
    top = max(point.record["wer_interval"][1] for point in every)
    scales = _Scales(lefts, latencies, edge if whole else None, max(top, 1.0))
    panels = [_panel(name, found, scales, words) for name, found in sets.items()]
    return alt.concat(*panels, columns=_COLUMNS, spacing=28).to_dict()


class _Scales(NamedTuple):
    """Places that all panels share."""

    lefts: Sequence[str]
    latencies: Sequence[float]
    edge: float | None
    """Place of the whole signal; None where it was not evaluated."""
    top: float
    """Highest rate."""

    @property
    def x(self) -> list[float]:
        """Ticks of the axis of latencies."""
        return [*self.latencies, *([] if self.edge is None else [self.edge])]

    def place(self, point: _Point) -> float:
        """Where a point stands."""
        if point.latency is None:
            return self.edge or 1.0
        middle = (len(self.lefts) - 1) / 2
        return point.latency * _DODGE ** (self.lefts.index(point.left) - middle)


def _drawn(points: Sequence[_Point], scales: _Scales, words: LatencyWords) -> list[dict[str, object]]:
    """The points as the chart reads them."""
    return [
        {
            "place": scales.place(point),
            "chunks": point.record["chunks"],
            "left": point.left,
            "rate": point.record["wer"],
            "low": point.record["wer_interval"][0],
            "high": point.record["wer_interval"][1],
            "latency": words.whole if point.latency is None else f"{point.latency:.0f}",
        }
        for point in points
    ]


def _panel(name: str, points: Sequence[_Point], scales: _Scales, words: LatencyWords) -> alt.LayerChart:
    rows = _drawn(points, scales, words)
    streamed = alt.Data(values=[row for row, point in zip(rows, points, strict=True) if point.latency])
    whole = alt.Data(values=[row for row, point in zip(rows, points, strict=True) if point.latency is None])
    ticks, edge = scales.x, 0.999 * (scales.edge or 1e12)
    x = alt.X(
        "place:Q",
        title=words.x,
        scale=alt.Scale(type="log", domain=[0.85 * ticks[0], 1.15 * ticks[-1]], nice=False),
        axis=alt.Axis(
            values=ticks,
            labelExpr=f"datum.value > {edge} ? '{words.whole}' : format(datum.value, '.0f')",
            labelOverlap=True,
            grid=False,
        ),
    )
    y = alt.Y(
        "rate:Q", title=words.y, scale=alt.Scale(domain=[0, 1.05 * scales.top]), axis=alt.Axis(tickCount=6)
    )
    told = [
        alt.Tooltip("chunks:N", title=words.columns[0]),
        alt.Tooltip("latency:N", title=words.x),
        alt.Tooltip("rate:Q", title=words.y, format=".2f"),
        alt.Tooltip("low:Q", title=words.columns[2], format=".2f"),
        alt.Tooltip("high:Q", title=words.columns[3], format=".2f"),
    ]
    legend = alt.Legend(title=words.left) if scales.lefts else None
    color = alt.Color(
        "left:N", scale=alt.Scale(domain=scales.lefts, range=_COLORS[: len(scales.lefts)]), legend=legend
    )
    shape = alt.Shape(
        "left:N", scale=alt.Scale(domain=scales.lefts, range=_SHAPES[: len(scales.lefts)]), legend=legend
    )
    base, one = alt.Chart(streamed), alt.Chart(whole)
    bars = alt.Y("low:Q", title=words.y)
    return alt.LayerChart(
        layer=[
            one.mark_rule(color=INK, strokeDash=[4, 4], strokeWidth=1).encode(y=y),
            one.mark_rule(color=INK, strokeWidth=3).encode(x=x, y=bars, y2="high:Q"),
            one.mark_point(style="ink", filled=True, size=70, opacity=1).encode(x=x, y=y, tooltip=told),
            base.mark_rule(strokeWidth=2, opacity=0.6).encode(x=x, y=bars, y2="high:Q", color=color),
            base.mark_line(strokeWidth=1.5).encode(x=x, y=y, color=color),
            base.mark_point(filled=True, size=60, opacity=1).encode(
                x=x, y=y, color=color, shape=shape, tooltip=told
            ),
        ],
        width=_WIDTH,
        height=_HEIGHT,
        title=alt.Title(name, fontSize=12, fontWeight="normal", frame="group", offset=6),
    )


def _table(name: str, points: Sequence[_Point], words: LatencyWords) -> Table:
    """Every evaluation of a set in a row."""
    rows: list[list[str]] = []
    for point in points:
        record, latency = point.record, point.record["latency"]
        emission = latency["emission"] or {}
        times = [
            latency["maximum"],
            latency["mean"],
            latency["look_ahead"],
            *map(emission.get, ("p50", "p90", "p99")),
        ]
        low, high = record["wer_interval"]
        rates = [f"{rate:.2f}" for rate in (record["wer"], low, high)]
        rows.append(
            [record["chunks"], *rates, *("–" if time is None else f"{1000 * time:.4g}" for time in times)]
        )
    return Table(name, words.columns, rows)
