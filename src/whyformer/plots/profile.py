"""A profile, drawn: the time of each part of the model and of each kind of operation."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

import altair as alt

from whyformer.plots.chart import Language, Page, Table
from whyformer.plots.profile_words import WORDS, ProfileWords

_WIDTH, _STEP = 360, 20
# After Okabe and Ito, told apart by colour-blind readers too, each 3 to 1 or more against white.
_COLORS = ["#0072b2", "#b87a00", "#009e73", "#b85c90", "#3f8fc4", "#d55e00", "#6a3d9a"]
_GREY = "#8f8f8f"
_BUSY = 1.1
"""Ratio of the time undisturbed to that traced from which the machine must have been busy."""

_Rows = Sequence[Mapping[str, Any]]


def profile_page(subject: str, records: _Rows, lang: Language = "en") -> Page:
    """The page and picture ``profile`` of the records of one or more pieces of work on ``subject``.

    A record has ``work``, ``unit``, ``count``, ``conditions``, ``ms`` and ``traced_ms``, and ``cells``: for a
    ``part`` and a ``kind`` of operation the ``ms`` a unit, those of the pass ``backward`` apart.
    """
    words = WORDS[lang]
    heading = words.templates.heading.format(subject=subject)
    shares = [{**cell, "ms": cell["ms"] / each["traced_ms"]} for each in records for cell in each["cells"]]
    kinds = list(_sums(shares, "kind"))
    named = kinds[: len(_COLORS)]
    names = [words.name(kind) for kind in named] + ([words.other] if len(kinds) > len(named) else [])
    color = alt.Color(
        "colour:N",
        title=None,
        scale=alt.Scale(domain=names, range=[*_COLORS[: len(named)], _GREY][: len(names)]),
        legend=alt.Legend(orient="top", columns=4, labelLimit=240),
    )
    panels = [_work(record, kinds, color, words) for record in records]
    chart = alt.vconcat(*panels, spacing=28).resolve_scale(x="independent", y="independent").to_dict()
    busy = any(record["ms"] > _BUSY * record["traced_ms"] for record in records)
    paragraphs = (words.sentences.key, words.sentences.sum, *([words.sentences.busy] if busy else []))
    return Page(
        stem="profile",
        lang=lang,
        heading=heading,
        paragraphs=paragraphs,
        interactive=chart,
        still={**chart, "title": {"text": heading, "subtitle": list(paragraphs), "offset": 16}},
        tables=tuple(_table(record, by, words) for record in records for by in ("part", "kind")),
    )


def _work(
    record: Mapping[str, Any], kinds: Sequence[str], color: alt.Color, words: ProfileWords
) -> alt.HConcatChart:
    """The two panels of one piece of work; ``kinds`` are those of all, the dearest first."""
    rows = [
        {
            **cell,
            "part": words.name(cell["part"]),
            "kind": words.name(cell["kind"]),
            "colour": words.name(cell["kind"]) if cell["kind"] in kinds[: len(_COLORS)] else words.other,
            "rank": kinds.index(cell["kind"]),
            "late": int(cell["backward"]),
            "pass": words.passes[cell["backward"]],
            "share": cell["ms"] / record["traced_ms"],
        }
        for cell in record["cells"]
    ]
    unit = words.per[record["unit"]]
    parts = _bars(rows, "part", "kind", unit, color, words)
    operations = _bars(rows, "kind", "pass", unit, color, words)
    both = alt.hconcat(parts, operations, spacing=28)
    return both.properties(title=alt.Title(_head(record, words), subtitle=_conditions(record, words)))


def _head(record: Mapping[str, Any], words: ProfileWords) -> str:
    work, unit = words.works[record["work"]], words.per[record["unit"]]
    return words.templates.head.format(
        work=work, unit=unit, traced=_ms(record["traced_ms"]), undisturbed=_ms(record["ms"])
    )


def _conditions(record: Mapping[str, Any], words: ProfileWords) -> str:
    said = record["conditions"]
    for english, own in words.names.conditions:
        said = re.sub(english, own, said)
    count = record["count"]
    unit = words.names.units[record["unit"]][count != 1]
    return words.templates.counted.format(count=count, unit=unit, conditions=said)


def _ms(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _bars(
    rows: _Rows,
    by: str,
    within: str,
    unit: str,
    color: alt.Color,
    words: ProfileWords,
) -> alt.LayerChart:
    """A bar for each value of ``by``, the longest first, cut by ``within``, its share at the end."""
    sums = _sums(rows, by)
    y = alt.Y(f"{by}:N", title=None, sort=list(sums), axis=alt.Axis(labelLimit=240))
    x = alt.X(
        "sum(ms):Q",
        title=unit,
        scale=alt.Scale(domain=[0, 1.15 * max(sums.values())]),
        axis=alt.Axis(tickCount=5),
    )
    told = [
        alt.Tooltip(f"{by}:N", title=words.columns[by]),
        alt.Tooltip(f"{within}:N", title=words.columns[within]),
        alt.Tooltip("sum(ms):Q", title="ms", format=".3~r"),
    ]
    base = alt.Chart(alt.Data(values=list(rows)))
    order = alt.Order("rank:Q" if within == "kind" else "late:Q")
    bars = base.mark_bar().encode(y=y, x=x, color=color, detail=f"{within}:N", order=order, tooltip=told)
    if within == "pass":
        paler = alt.Scale(domain=[0, 1], range=[1, 0.55])
        bars = bars.encode(opacity=alt.Opacity("late:Q", scale=paler, legend=None))
    text = base.mark_text(align="left", dx=4, fontSize=12)
    shares = text.encode(y=y, x=x, text=alt.Text("sum(share):Q", format=".1%"))
    return alt.LayerChart(layer=[bars, shares], width=_WIDTH, height=alt.Step(_STEP))


def _table(record: Mapping[str, Any], by: str, words: ProfileWords) -> Table:
    """The time of each value of ``by``, the longest first; the passes apart where there are two."""
    cells, total = record["cells"], record["traced_ms"]
    back = _sums([cell for cell in cells if cell["backward"]], by)
    rows: list[list[str]] = []
    for name, ms in _sums(cells, by).items():
        times = [f"{ms - back.get(name, 0.0):.3g}", f"{back.get(name, 0.0):.3g}"] if back else []
        rows.append([words.name(name), *times, f"{ms:.3g}", f"{ms / total:.1%}"])
    ms, share = words.per[record["unit"]], words.columns["share"]
    header = [words.columns[by], *(words.passes if back else ()), ms, share]
    return Table(f"{_head(record, words)} · {words.columns[by]}", header, rows)


def _sums(rows: _Rows, by: str) -> dict[str, float]:
    """The time of each value of ``by``, the longest first."""
    sums: defaultdict[str, float] = defaultdict(float)
    for row in rows:
        sums[row[by]] += row["ms"]
    return dict(sorted(sums.items(), key=itemgetter(1), reverse=True))
