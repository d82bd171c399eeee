"""A comparison, drawn: what ``comparison.json`` says of each cell, seed by seed, with mean and interval."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from whyformer.plots.chart import INK, Language, Page, Table, VegaLite

_WIDTH, _STEP = 340, 34
_COLUMNS = 3
_BLUE = "#0072b2"

_Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class _Words:
    titles: Mapping[str, str]
    """Of the figures, by name; others are titled by their name."""
    heading: str
    """``{subject}`` stands for what was compared."""
    key: str
    rough: str
    one: str
    nothing: str
    settings: str
    columns: tuple[str, str, str, str, str]
    """Cell, mean, low, high, seed."""


_ENGLISH = _Words(
    titles={
        "loss": "loss (nats per token)",
        "nll": "negative log-likelihood (nats per token)",
        "bleu": "BLEU",
        "chrf": "chrF",
        "exact": "exact match (%)",
        "flops_per_token": "FLOPs per target token of training",
        "tokens_per_second": "tokens per second",
    },
    heading="Comparison of {subject}",
    key="Circle: a seed. Diamond: mean. Bar: its 95 % bootstrap interval. "
    "Dashed line: mean of the first row.",
    rough="An interval over a handful of seeds is rough, and narrower than the truth more often than not.",
    one="One seed: there is no interval, and a difference may be chance. Compare at least three seeds.",
    nothing="nothing measured",
    settings="settings of each cell",
    columns=("cell", "mean", "low", "high", "seed"),
)
_CHINESE = _Words(
    titles={
        "loss": "损失（nat / 词元）",
        "nll": "负对数似然（nat / 词元）",
        "bleu": "BLEU",
        "chrf": "chrF",
        "exact": "完全匹配（%）",
        "flops_per_token": "训练时每个目标词元的 FLOPs",
        "tokens_per_second": "每秒词元数",
    },
    heading="比较：{subject}",
    key="圆圈：一个种子。菱形：平均值。粗条：其 95 % bootstrap 区间。虚线：第一行的平均值。",
    rough="只有几个种子时，区间很粗略，而且往往比真实的更窄。",
    one="只有一个种子：没有区间，差别可能出于偶然。请至少比较三个种子。",
    nothing="没有测得任何数值",
    settings="各组设置",
    columns=("设置", "平均值", "下限", "上限", "种子"),
)
_WORDS: Mapping[Language, _Words] = {"en": _ENGLISH, "zh": _CHINESE}


def comparison_page(
    subject: str,
    figures: Mapping[str, _Rows],
    settings: Mapping[str, Mapping[str, str]] | None = None,
    lang: Language = "en",
) -> Page:
    """The page and picture ``comparison``: a panel for each figure, a line for each cell.

    Pointing at a circle marks its seed everywhere.

    Args:
        subject: what was compared, for the heading.
        figures: the rows under "figures" in ``comparison.json``, by name.
        settings: of each cell its changes to the recipe, by key.
        lang: the language of everything but the names of cells and settings.
    """
    words, chart = _WORDS[lang], comparison_chart(figures, lang)
    seeds = max((len(row["values"]) for rows in figures.values() for row in rows), default=0)
    heading = words.heading.format(subject=subject)
    paragraphs = (words.key, words.one if seeds == 1 else words.rough)
    return Page(
        stem="comparison",
        lang=lang,
        heading=heading,
        paragraphs=paragraphs,
        interactive=chart,
        still={**chart, "title": {"text": heading, "subtitle": list(paragraphs), "offset": 16}},
        tables=(
            *(_table(name, rows, words) for name, rows in figures.items()),
            *(_settings(settings, words) if settings else ()),
        ),
    )


def comparison_chart(figures: Mapping[str, _Rows], lang: Language = "en") -> VegaLite:
    """The panels side by side."""
    words = _WORDS[lang]
    drawn = {name: rows for name, rows in figures.items() if any(row["estimate"] for row in rows)}
    if not drawn:
        text = alt.Chart(alt.Data(values=[{}])).mark_text(text=words.nothing, fontSize=14)
        return text.to_dict()
    panels = [_panel(index, name, rows, words) for index, (name, rows) in enumerate(drawn.items())]
    chart = alt.concat(*panels, columns=_COLUMNS, spacing=28).to_dict()
    # One selection for all panels, which altair can only make with a warning.
    pointing = {"type": "point", "fields": ["seed"], "on": "pointerover"}
    views = [f"seeds_{index}" for index in range(len(panels))]
    return {**chart, "params": [{"name": "pointed", "select": pointing, "views": views}]}


def _settings(settings: Mapping[str, Mapping[str, str]], words: _Words) -> Sequence[Table]:
    """What is different in each cell, by the full keys of the recipe."""
    keys = list(dict.fromkeys(key for changes in settings.values() for key in changes))
    rows = [[cell, *(changes.get(key, "–") for key in keys)] for cell, changes in settings.items()]
    return [Table(words.settings, [words.columns[0], *keys], rows)] if keys else []


def _table(name: str, rows: _Rows, words: _Words) -> Table:
    cell, mean, low, high, seed = words.columns
    seeds = list(dict.fromkeys(str(number) for row in rows for number in row["values"]))
    lines: list[list[str]] = []
    for row in rows:
        span = row["estimate"]
        values = {str(number): value for number, value in row["values"].items()}
        of_mean = ["–"] * 3 if span is None else [f"{span[at]:.5g}" for at in ("mean", "low", "high")]
        lines.append([row["cell"], *of_mean, *(f"{values[at]:.5g}" if at in values else "–" for at in seeds)])
    return Table(
        words.titles.get(name, name),
        [cell, mean, low, high, *(f"{seed} {number}" for number in seeds)],
        lines,
    )


def _panel(index: int, name: str, rows: _Rows, words: _Words) -> alt.LayerChart:
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
        axis=alt.Axis(labels=left, ticks=left, labelLimit=420, grid=True),
    )
    title = words.titles.get(name, name)
    x = alt.X(
        "mean:Q",
        title=title,
        scale=alt.Scale(zero=False, padding=12, nice=True),
        axis=alt.Axis(tickCount=5, labelFlush=True, labelOverlap="greedy", labelSeparation=8),
    )
    cell, mean, low, high, seed = words.columns
    named = alt.Tooltip("cell:N", title=cell)
    spans = {"mean": mean, "low": low, "high": high}
    told = [named, *(alt.Tooltip(f"{field}:Q", title=said, format=".4~g") for field, said in spans.items())]
    value = [named, alt.Tooltip("seed:N", title=seed), alt.Tooltip("value:Q", title=title, format=".4~g")]
    # An empty circle: what lies below it, and the page's ground, stay visible.
    fill = alt.FillValue("transparent", condition={"param": "pointed", "empty": False, "value": _BLUE})
    line = alt.Chart(first).mark_rule(color=INK, opacity=0.6, strokeDash=[4, 3])
    bars = alt.Chart(means).mark_rule(strokeWidth=7, opacity=0.35, color=_BLUE)
    circles = alt.Chart(seeds, name=f"seeds_{index}").mark_point(size=55, strokeWidth=1.3, color=_BLUE)
    # Smaller than the circles: with one seed both stand at one point.
    diamonds = alt.Chart(means).mark_point(shape="diamond", size=36, filled=True, style="ink", opacity=1)
    layers = [
        line.encode(x=x),
        bars.encode(x="low:Q", x2="high:Q", y=y, tooltip=told),
        circles.encode(x="value:Q", y=y, fill=fill, tooltip=value),
        diamonds.encode(x="mean:Q", y=y, tooltip=told),
    ]
    return alt.LayerChart(layer=layers, width=_WIDTH, height=alt.Step(_STEP))
