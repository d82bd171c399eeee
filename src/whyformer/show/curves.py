"""The curves of a training: what `metrics.jsonl` says, drawn."""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import altair as alt

from whyformer.files import write_bytes
from whyformer.show.chart import Page, VegaLite

_WIDTH, _HEIGHT = 560, 150
_MOST_POINTS = 1000
# Okabe and Ito's colours, told apart by colour-blind readers too.
_COLORS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"]


class _Line(NamedTuple):
    """One line of a panel: which figure of which event, and its name in the legend."""

    event: str
    figure: str
    name: str


class _Panel(NamedTuple):
    """One of the charts that stand above each other."""

    title: str
    lines: tuple[_Line, ...]
    from_zero: bool = False


_PANELS = (
    _Panel(
        "loss (nats per token)",
        (
            _Line("train", "loss", "training loss"),
            _Line("train", "nll", "training, not smoothed"),
            _Line("valid", "loss", "validation loss"),
            _Line("valid", "nll", "validation, not smoothed"),
        ),
    ),
    _Panel(
        "score (%)",
        (
            _Line("valid", "bleu", "BLEU"),
            _Line("valid", "chrf", "chrF"),
            _Line("valid", "exact", "exact match"),
        ),
        from_zero=True,
    ),
    _Panel("learning rate", (_Line("train", "learning_rate", "learning rate"),), from_zero=True),
    _Panel("gradient norm", (_Line("train", "gradient_norm", "gradient norm"),), from_zero=True),
    _Panel("tokens per second", (_Line("train", "tokens_per_second", "tokens per second"),), from_zero=True),
)


def curves_chart(records: Sequence[Mapping[str, Any]]) -> VegaLite:
    """Draw the figures of ``records`` against the step, a panel for each kind that occurs.

    A record has ``step``, ``event`` ("train" or "valid") and figures by name. A figure that is missing is
    left out, one that is not a finite number too; a panel without figures does not appear.
    """
    panels = [(panel, list(_points(panel, records))) for panel in _PANELS]
    last = max((int(record["step"]) for record in records), default=1)
    charts = [_chart(panel, points, last) for panel, points in panels if points]
    if not charts:
        charts = [
            alt.Chart(alt.Data(values=[{}])).mark_text(text="nothing logged yet").properties(width=_WIDTH)
        ]
    return alt.vconcat(*charts).resolve_scale(color="independent").to_dict()


def save_curves(records: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write the curves of ``records`` to the PNG file ``path``, whole or not at all.

    Raises:
        WhyformerError: the folder cannot be written to, or the disk is full.
    """
    chart = curves_chart(records)
    page = Page(stem=path.stem, lang="en", heading="curves", paragraphs=(), interactive=chart, still=chart)
    write_bytes(path, page.png())


def _points(panel: _Panel, records: Iterable[Mapping[str, Any]]) -> Iterable[dict[str, object]]:
    listed = list(records)
    for line in panel.lines:
        points = [
            {"step": record["step"], "value": float(record[line.figure]), "line": line.name}
            for record in listed
            if record.get("event") == line.event and _is_number(record.get(line.figure))
        ]
        # A long run has more points than the picture has pixels.
        yield from points[:: max(1, len(points) // _MOST_POINTS)]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _chart(panel: _Panel, points: Sequence[dict[str, object]], last: int) -> alt.Chart:
    present = {point["line"] for point in points}
    names = [line.name for line in panel.lines if line.name in present]
    colors = alt.Scale(domain=names, range=_COLORS[: len(names)])
    legend = alt.Legend(title=None, orient="right") if len(names) > 1 else None
    return (
        alt.Chart(alt.Data(values=list(points)))
        .mark_line(point=alt.OverlayMarkDef(size=12), strokeWidth=1.5)
        .encode(
            x=alt.X("step:Q", title="step", scale=alt.Scale(domain=[0, last])),
            y=alt.Y("value:Q", title=panel.title, scale=alt.Scale(zero=panel.from_zero)),
            color=alt.Color("line:N", scale=colors, legend=legend),
            tooltip=["step:Q", "line:N", alt.Tooltip("value:Q", format=".4g")],
        )
        .properties(width=_WIDTH, height=_HEIGHT)
    )
