"""Findings as a page and a picture: a panel for each figure, titles in both languages."""

from collections.abc import Sequence
from statistics import fmean
from typing import Any

import altair as alt

from whyformer.plots.chart import Language, Page, VegaLite
from whyformer.plots.glyphs import missing_glyphs
from whyformer.why.book.labels import NO_FONT, SEEDS, VERDICTS
from whyformer.why.book.prose import read_prose, without_marks
from whyformer.why.question import Figure, Findings, Text, place_name

_WIDTH, _HEIGHT, _CELL = 300, 250, (66, 30)
_FEW = 8  # places that each get a tick and a dot
# Okabe and Ito's colours, told apart by colour-blind readers too; black for what was computed.
_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_BLACK = "#222"
_TITLE = {"fontSize": 20, "subtitleFontSize": 14, "subtitlePadding": 6, "offset": 22, "anchor": "start"}
# Set off from the frame, so that titles side by side stand on one line.
_PANEL_TITLE: dict[str, Any] = {"fontSize": 15, "subtitleFontSize": 13, "frame": "group", "offset": 16}


def findings_page(findings: Findings, lang: Language) -> Page:
    """The page and picture of ``findings``, in ``lang`` with titles in both languages.

    Where no font has Chinese, the picture is in English only.
    """
    question = findings.question
    prose = read_prose(question.stem, lang).filled(findings.values())
    words = [question.title.zh, *(figure.title.zh for figure in question.figures)]
    missing = missing_glyphs(words)
    first, *others = _headings(findings, ["en"] if missing else _both(lang))
    return Page(
        stem=question.stem,
        lang=lang,
        heading=_headings(findings, [lang])[0],
        paragraphs=(
            *_headings(findings, _both(lang))[1:],
            *without_marks(prose.paragraphs("Answer")),
            *without_marks(prose.paragraphs("Caveats")),
        ),
        interactive=_chart(findings, _both(lang)),
        still={
            **_chart(findings, ["en"] if missing else _both(lang)),
            "title": {"text": first, "subtitle": others, **_TITLE},
        },
        note=NO_FONT.say(lang) if missing else None,
    )


def _both(lang: Language) -> list[Language]:
    return ["en", "zh"] if lang == "en" else ["zh", "en"]


def _headings(findings: Findings, langs: Sequence[Language]) -> list[str]:
    """The title in all ``langs``, and the verdict."""
    title, *others = (findings.question.title.say(lang) for lang in langs)
    verdict = [VERDICTS[findings.verdict].say(lang) for lang in langs]
    seeds = SEEDS.say(langs[0]).format(seeds=len(findings.measured))
    return [f"Q{findings.question.number:02} · {title}", *others, " · ".join([*verdict, seeds])]


def _chart(findings: Findings, langs: Sequence[Language]) -> VegaLite:
    """The panels side by side, in the first language, titles in all."""
    shown = [figure for figure in findings.question.figures if figure.mark is not None]
    panels: list[alt.LayerChart] = []
    for index, figure in enumerate(shown):
        if figure.mark == "line":
            panel = _lines(findings, figure, langs[0])
        else:
            panel = _cells(findings, figure, langs[0], named=index == 0 or shown[index - 1].mark != "heat")
        title, *others = (figure.title.say(lang) for lang in langs)
        second = {"subtitle": others} if others else {}
        panels.append(panel.properties(title=alt.Title(title, **second, **_PANEL_TITLE)))
    chart = alt.hconcat(*panels, spacing=36)
    return chart.resolve_scale(color="independent", strokeDash="independent").to_dict()


def _means(findings: Findings, figure: Figure, lang: Language) -> list[dict[str, Any]]:
    """A row for each arm and place that all seeds have."""
    return [
        {
            "arm": arm.say(lang),
            "place": place_name(place, lang) if isinstance(place, Text) else place,
            "value": fmean(values),
            "by seed": ", ".join(f"{value:.4g}" for value in values),
        }
        for (arm, place), values in findings.numbers(figure).items()
        if len(values) == len(findings.measured)
    ]


def _singles(findings: Findings, figure: Figure, lang: Language) -> list[dict[str, Any]]:
    """A row for each arm, place and seed."""
    return [
        {"arm": arm.say(lang), "place": place, "value": value, "seed": seed}
        for seed, measured in findings.measured.items()
        for (of, arm, place), value in measured.items()
        if of == figure
    ]


def _lines(findings: Findings, figure: Figure, lang: Language) -> alt.LayerChart:
    """A line for each seed; over few places a thick one for their mean besides."""
    seeds, means = _singles(findings, figure, lang), _means(findings, figure, lang)
    references = [other.reference for other in findings.question.figures]
    colors = iter(_COLORS)
    style = {arm.say(lang): _BLACK if arm in references else next(colors) for arm in findings.arms}
    names = list(dict.fromkeys(row["arm"] for row in seeds))
    places = sorted({row["place"] for row in seeds})
    few = len(places) <= _FEW
    ticks = alt.Axis(values=places, format="d", grid=False) if few else alt.Axis(tickCount=5, grid=False)
    dashes = [[4, 6] if style[name] == _BLACK else [1, 0] for name in names]
    legend = alt.Legend(
        title=None, orient="bottom", columns=1, labelLimit=0, labelFontSize=13, symbolOpacity=1,
        symbolType="stroke", symbolStrokeWidth=3,
    )  # fmt: skip
    base = alt.Chart().encode(
        x=alt.X("place:Q", title=figure.across.say(lang), scale=_scale("x", figure), axis=ticks),
        y=alt.Y(
            "value:Q",
            title=figure.unit.say(lang),
            scale=_scale("y", figure),
            axis=alt.Axis(tickCount=5, labelFlush=True),
        ),
        color=alt.Color(
            "arm:N", scale=alt.Scale(domain=names, range=[style[name] for name in names]), legend=legend
        ),
        strokeDash=alt.StrokeDash("arm:N", scale=alt.Scale(domain=names, range=dashes), legend=None),
    )
    value = alt.Tooltip("value:Q", format=".4~g")
    thin = base.mark_line(strokeWidth=1 if few else 1.8, opacity=0.4 if few else 0.9)
    layers = [
        thin.properties(data=alt.Data(values=seeds)).encode(
            detail="seed:N", tooltip=["arm:N", "place:Q", "seed:N", value]
        )
    ]
    if few:
        thick = base.mark_line(strokeWidth=2.5, point=alt.OverlayMarkDef(size=45))
        layers.append(
            thick.properties(data=alt.Data(values=means)).encode(
                tooltip=["arm:N", "place:Q", value, "by seed:N"]
            )
        )
    for level in figure.levels:
        at = alt.Chart(alt.Data(values=[{"at": level.at}]))
        layers.append(at.mark_rule(color=_BLACK, strokeDash=[2, 3]).encode(y="at:Q"))
    return alt.LayerChart(layer=layers, width=_WIDTH, height=_HEIGHT)


def _scale(axis: str, figure: Figure) -> alt.Scale:
    if axis in (figure.log or ""):
        return alt.Scale(type="log", nice=False, padding=12)
    return alt.Scale(zero=axis == "y")


def _cells(findings: Findings, figure: Figure, lang: Language, *, named: bool) -> alt.LayerChart:
    """A cell for each arm and place: its mean over the seeds, from 0 to 100."""
    rows = _means(findings, figure, lang)
    arms, places = (list(dict.fromkeys(row[name] for row in rows)) for name in ("arm", "place"))
    base = alt.Chart(alt.Data(values=rows)).encode(
        x=alt.X(
            "place:O",
            title=figure.across.say(lang),
            sort=places,
            axis=alt.Axis(orient="bottom", labelAngle=0, labelFontSize=13, ticks=False),
        ),
        y=alt.Y(
            "arm:N",
            title=None,
            sort=arms,
            axis=alt.Axis(labels=named, labelFontSize=13, labelLimit=0, ticks=False),
        ),
        tooltip=["arm:N", "place:O", alt.Tooltip("value:Q", format=".1f"), "by seed:N"],
    )
    colors = alt.Scale(domain=[0, 50, 100], range=["#f7f7f7", "#9ecae1", "#08519c"])
    filled = base.mark_rect(stroke="white", strokeWidth=2)
    numbers = base.mark_text(fontSize=14).encode(
        text=alt.Text("value:Q", format=".0f"),
        color=alt.ColorValue(_BLACK, condition={"test": "datum.value > 65", "value": "white"}),
    )
    layers = [filled.encode(color=alt.Color("value:Q", scale=colors, legend=None)), numbers]
    return alt.LayerChart(layer=layers, width=_CELL[0] * len(places), height=_CELL[1] * len(arms))
