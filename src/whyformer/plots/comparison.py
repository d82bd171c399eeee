"""A comparison, drawn: what ``comparison.json`` says of each cell, seed by seed, with mean and interval."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from whyformer.plots.chart import Page, VegaLite

_WIDTH, _STEP = 340, 34
_COLUMNS = 3
_BLUE, _DARK, _GREY = "#0072b2", "#222", "#999"
_TITLES = {
    "loss": "loss (nats per token)",
    "nll": "negative log-likelihood (nats per token)",
    "bleu": "BLEU",
    "chrf": "chrF",
    "exact": "exact match (%)",
    "flops_per_token": "FLOPs per target token of training",
    "tokens_per_second": "tokens per second",
}
_KEY = "Circle: a seed. Diamond: mean. Bar: its 95 % bootstrap interval. Dashed line: mean of the first row."

_Rows = Sequence[Mapping[str, Any]]


def comparison_page(heading: str, figures: Mapping[str, _Rows]) -> Page:
    """The page and picture ``comparison`` of the rows under "figures" in ``comparison.json``, by name.

    A panel for each figure, a line for each cell. Pointing at a circle marks its seed everywhere.
    """
    chart = comparison_chart(figures)
    rough = "An interval over a handful of seeds is rough, and narrower than the truth more often than not."
    return Page(
        stem="comparison",
        lang="en",
        heading=heading,
        paragraphs=(_KEY, rough),
        interactive=chart,
        still={**chart, "title": {"text": heading, "subtitle": [_KEY, rough], "offset": 16}},
    )


def comparison_chart(figures: Mapping[str, _Rows]) -> VegaLite:
    """The panels side by side."""
    drawn = {name: rows for name, rows in figures.items() if any(row["estimate"] for row in rows)}
    if not drawn:
        return alt.Chart(alt.Data(values=[{}])).mark_text(text="nothing measured", fontSize=14).to_dict()
    panels = [_panel(index, name, rows) for index, (name, rows) in enumerate(drawn.items())]
    chart = alt.concat(*panels, columns=_COLUMNS, spacing=28).to_dict()
    # One selection for all panels, which altair can only make with a warning.
    pointing = {"type": "point", "fields": ["seed"], "on": "pointerover"}
    views = [f"seeds_{index}" for index in range(len(panels))]
    return {**chart, "params": [{"name": "pointed", "select": pointing, "views": views}]}


def _panel(index: int, name: str, rows: _Rows) -> alt.LayerChart:
    measured = [row for row in rows if row["estimate"]]
    means = alt.Data(values=[{"cell": row["cell"], **row["estimate"]} for row in measured])
    seeds = alt.Data(
        values=[
            {"cell": row["cell"], "seed": str(seed), "value": value}
            for row in measured
            for seed, value in row["values"].items()
        ]
    )
    first = alt.Data(values=[row["estimate"] for row in rows[:1] if row["estimate"]])
    left = index % _COLUMNS == 0
    y = alt.Y(
        "cell:N",
        title=None,
        scale=alt.Scale(domain=[row["cell"] for row in rows]),
        axis=alt.Axis(labels=left, ticks=left, labelLimit=420, labelFontSize=12, grid=True),
    )
    x = alt.X(
        "mean:Q",
        title=_TITLES.get(name, name),
        scale=alt.Scale(zero=False, padding=12),
        axis=alt.Axis(tickCount=6, labelFlush=False, labelOverlap=True),
    )
    told = ["cell:N", *(alt.Tooltip(f"{field}:Q", format=".4~g") for field in ("mean", "low", "high"))]
    value = ["cell:N", "seed:N", alt.Tooltip("value:Q", title=name, format=".4~g")]
    fill = alt.FillValue("white", condition={"param": "pointed", "empty": False, "value": _BLUE})
    line = alt.Chart(first).mark_rule(color=_GREY, strokeDash=[4, 3])
    bars = alt.Chart(means).mark_rule(strokeWidth=7, opacity=0.25, color=_BLUE)
    circles = alt.Chart(seeds, name=f"seeds_{index}").mark_point(size=55, strokeWidth=1.3, color=_BLUE)
    diamonds = alt.Chart(means).mark_point(shape="diamond", size=90, filled=True, color=_DARK, opacity=1)
    layers = [
        line.encode(x=x),
        bars.encode(x="low:Q", x2="high:Q", y=y, tooltip=told),
        circles.encode(x="value:Q", y=y, fill=fill, tooltip=value),
        diamonds.encode(x="mean:Q", y=y, tooltip=told),
    ]
    return alt.LayerChart(layer=layers, width=_WIDTH, height=alt.Step(_STEP))
