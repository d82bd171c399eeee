"""A profile, drawn: the time of each part of the model and of each kind of operation."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

import altair as alt

from whyformer.plots.chart import Page

_WIDTH, _STEP = 360, 20
# Okabe and Ito's colours, told apart by colour-blind readers too, for the dearest kinds; grey for the rest.
_COLORS = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442"]
_GREY, _OTHER = "#bbbbbb", "all other kinds"
_KEY = (
    "Left: a bar for each part of the model, in the colours of its operations. Right: a bar for each kind of "
    "operation; the paler end is the backward pass."
)
_SUM = (
    "Every moment is counted once, so the bars of either side add up to the whole. The loss makes its own "
    "gradient on the way forward."
)

_Rows = Sequence[Mapping[str, Any]]


def profile_page(heading: str, records: _Rows) -> Page:
    """The page and picture ``profile`` of the records of one or more pieces of work.

    A record has ``work``, ``unit``, ``count``, ``conditions``, ``traced_ms``, and ``cells``: for a ``part``
    and a ``kind`` of operation the ``ms`` a unit, those of the pass ``backward`` apart.
    """
    shares = [{**cell, "ms": cell["ms"] / each["traced_ms"]} for each in records for cell in each["cells"]]
    kinds = list(_sums(shares, "kind"))
    named = kinds[: len(_COLORS)]
    domain = [*named, _OTHER] if len(kinds) > len(named) else named
    color = alt.Color(
        "colour:N",
        title=None,
        scale=alt.Scale(domain=domain, range=[*_COLORS[: len(named)], _GREY][: len(domain)]),
        legend=alt.Legend(orient="top", columns=4, labelLimit=240),
    )
    panels = [_work(record, kinds, color) for record in records]
    chart = alt.vconcat(*panels, spacing=28).resolve_scale(x="independent", y="independent").to_dict()
    return Page(
        stem="profile",
        lang="en",
        heading=heading,
        paragraphs=(_KEY, _SUM),
        interactive=chart,
        still={**chart, "title": {"text": heading, "subtitle": [_KEY, _SUM], "offset": 16}},
    )


def _work(record: Mapping[str, Any], kinds: Sequence[str], color: alt.Color) -> alt.HConcatChart:
    """The two panels of one piece of work; ``kinds`` are those of all, the dearest first."""
    rows = [
        {
            **cell,
            "colour": cell["kind"] if cell["kind"] in kinds[: len(_COLORS)] else _OTHER,
            "rank": kinds.index(cell["kind"]),
            "pass": "backward" if cell["backward"] else "forward",
            "share": cell["ms"] / record["traced_ms"],
        }
        for cell in record["cells"]
    ]
    unit, ms = record["unit"], record["traced_ms"]
    passes = alt.Scale(domain=["forward", "backward"], range=[1, 0.55])
    parts = _bars(rows, "part", "kind", unit, color, alt.Opacity())
    paler = alt.Opacity("pass:N", scale=passes, legend=None)
    operations = _bars(rows, "kind", "pass", unit, color, paler)
    head = f"{record['work']}: {f'{ms:,.0f}' if ms >= 100 else f'{ms:.3g}'} ms a {unit}"
    title = alt.Title(head, subtitle=f"{record['count']} {unit}s, traced; {record['conditions']}")
    return alt.hconcat(parts, operations, spacing=28).properties(title=title)


def _bars(
    rows: _Rows, by: str, within: str, unit: str, color: alt.Color, opacity: alt.Opacity
) -> alt.LayerChart:
    """A bar for each value of ``by``, the longest first, cut by ``within``, its share at the end."""
    sums = _sums(rows, by)
    y = alt.Y(f"{by}:N", title=None, sort=list(sums), axis=alt.Axis(labelLimit=240, labelFontSize=12))
    x = alt.X("sum(ms):Q", title=f"ms a {unit}", scale=alt.Scale(domain=[0, 1.15 * max(sums.values())]))
    told = [f"{by}:N", f"{within}:N", alt.Tooltip("sum(ms):Q", title="ms", format=".3~r")]
    base = alt.Chart(alt.Data(values=list(rows)))
    order = alt.Order("rank:Q" if within == "kind" else "backward:N")
    bars = base.mark_bar().encode(
        y=y, x=x, color=color, opacity=opacity, detail=f"{within}:N", order=order, tooltip=told
    )
    text = base.mark_text(align="left", dx=4, color="#444", fontSize=11)
    shares = text.encode(y=y, x=x, text=alt.Text("sum(share):Q", format=".1%"))
    return alt.LayerChart(layer=[bars, shares], width=_WIDTH, height=alt.Step(_STEP))


def _sums(rows: _Rows, by: str) -> dict[str, float]:
    """The time of each value of ``by``, the longest first."""
    sums: defaultdict[str, float] = defaultdict(float)
    for row in rows:
        sums[row[by]] += row["ms"]
    return dict(sorted(sums.items(), key=itemgetter(1), reverse=True))
