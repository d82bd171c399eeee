"""Picture of a question's findings, to be shown where a page cannot be."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from whyformer.plots.chart import CHINESE_FONTS, LATIN_FONTS, Language, svg_to_png
from whyformer.plots.glyphs import missing_glyphs
from whyformer.plots.inspection.tokens import wrapped
from whyformer.why.book.figures.charts import figure_chart
from whyformer.why.book.figures.plot import CHART_THEME, Plot, drawn_figures
from whyformer.why.book.figures.svg import CHART_GROUND, CHART_INK, CHART_SOFT, HATCHED, alone, hatching
from whyformer.why.book.labels import NO_FONT, VERDICTS
from whyformer.why.book.page import plain_headline
from whyformer.why.question import Figure, Findings

_COLUMNS, _WIDTH, _NARROW = 2, 640, 440
_TITLE: Mapping[str, Any] = {
    "fontSize": 19, "color": CHART_INK, "offset": 22, "anchor": "start",
    "lineHeight": 25, "subtitleFontSize": 13, "subtitleColor": CHART_SOFT, "subtitlePadding": 8,
}  # fmt: skip
_ROOT = f'<tspan font-family="{LATIN_FONTS}">√</tspan>'
_PANEL: Mapping[str, Any] = {
    "fontSize": 14,
    "color": CHART_INK,
    "anchor": "start",
    "frame": "group",
    "offset": 12,
}


def findings_png(findings: Findings, lang: Language) -> bytes:
    """The result as a sentence, and under it all figures with a mark; English where no font has Chinese."""
    shown = "en" if picture_note(findings, lang) else lang
    svg = _svg(findings, drawn_figures(findings), shown)
    # In Chinese fonts the root has a bar that stands apart.
    svg = re.sub(r">[^<]*√[^<]*<", lambda found: found[0].replace("√", _ROOT), svg)
    if HATCHED in svg:
        start = svg.index(">") + 1
        svg = f"{svg[:start]}<defs>{hatching('h')}</defs>{svg[start:].replace(HATCHED, 'url(#h)')}"
    return svg_to_png(svg)


def decisive_svg(findings: Findings, lang: Language) -> str:
    """The result as a sentence, and under it the decisive figure alone, as a small file."""
    return alone(_svg(findings, drawn_figures(findings)[:1], lang), f"{LATIN_FONTS}, {CHINESE_FONTS}")


def _svg(findings: Findings, figures: Sequence[Figure], lang: Language) -> str:
    import vl_convert

    chart = json.dumps(_chart(findings, figures, lang), ensure_ascii=False)
    return vl_convert.vegalite_to_svg(chart, allowed_base_urls=[])


def picture_note(findings: Findings, lang: Language) -> str | None:
    """A sentence on what the picture cannot show on this machine; None if nothing is missing."""
    words = [findings.question.title.zh, *(figure.title.zh for figure in findings.question.figures)]
    return NO_FONT.say(lang) if lang == "zh" and missing_glyphs(words) else None


def _unbroken(text: str) -> str:
    """The same with blanks that end no line within ``n = 512`` and before ``%``."""
    return re.sub(r" ([=≤≥<>]) (?=\S)", "\u00a0\\1\u00a0", text.replace(" %", "\u00a0%"))


def _chart(findings: Findings, figures: Sequence[Figure], lang: Language) -> dict[str, Any]:
    question = findings.question
    panels = [
        {
            **figure_chart(Plot(findings, figure, lang)),
            "title": {"text": wrapped(figure.title.say(lang), _PANEL["fontSize"], 340), **_PANEL},
        }
        for figure in figures
    ]
    subtitle = f"Q{question.number:02} {question.title.say(lang)} · {VERDICTS[findings.verdict].say(lang)}"
    seeds = f"{len(findings.measured)} {'seeds' if lang == 'en' else '个随机种子'}"
    width = _WIDTH if len(panels) > 1 else _NARROW
    title = wrapped(_unbroken(plain_headline(findings, lang)), _TITLE["fontSize"], width)
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "concat": panels,
        "columns": _COLUMNS,
        "spacing": 28,
        "resolve": {
            "scale": {
                "color": "independent",
                "strokeDash": "independent",
                "x": "independent",
                "y": "independent",
            }
        },
        "title": {"text": title, "subtitle": f"{subtitle} · {seeds}", **_TITLE},
        "background": CHART_GROUND,
        "padding": 16,
        "config": {
            **CHART_THEME,
            "padding": 16,
            "background": CHART_GROUND,
            "font": CHINESE_FONTS if lang == "zh" else f"{LATIN_FONTS}, {CHINESE_FONTS}",
        },
    }
