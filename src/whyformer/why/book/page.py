"""Content of one question's page in one language, ready for the template."""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean
from typing import Any, NamedTuple

from markupsafe import Markup

from whyformer.plots.chart import Language
from whyformer.why.book.code import highlighted, used_parts
from whyformer.why.book.figures.charts import figure_svg
from whyformer.why.book.figures.description import described
from whyformer.why.book.figures.dots import beyond_text, bounds_text, dot_axis, within_text
from whyformer.why.book.figures.plot import Plot, drawn_figures
from whyformer.why.book.figures.svg import bare, inline
from whyformer.why.book.labels import OUTCOME_MARKS, REFUSED
from whyformer.why.book.markup import Renderer
from whyformer.why.book.numbers import brief
from whyformer.why.book.plain import plain_text
from whyformer.why.book.prose import Prose, read_prose, without_marks
from whyformer.why.question import Figure, Findings, Judgement, Text

MOST_COLUMNS = 6
"""Columns of a table; with more places, these become its rows."""
MOST_ROWS = 8
"""Rows of a table; of longer curves every second or tenth is shown."""


class ClaimRow(NamedTuple):
    """A claim and what became of it."""

    key: str
    text: str
    control: bool
    outcome: str
    sign: str
    bounds: str
    within: str
    beyond: str
    """Numbers that refute the answer; none where the claim is only needed for support."""
    mean: str
    interval: str
    axis: Markup


class Chart(NamedTuple):
    """A figure with a mark."""

    mark: str
    uneven: bool
    """Whether some seeds ended earlier than others."""
    title: str
    svg: Markup
    description: str


class NumberTable(NamedTuple):
    """The numbers of a figure, means over the seeds."""

    caption: str
    header: Sequence[str]
    rows: Sequence[tuple[str, Sequence[tuple[str, str]]]]
    """The name of each row, and its cells: mean, and range of the seeds where they differ."""
    left_out: bool
    """Whether some places stand in the record only."""


@dataclass(frozen=True)
class Article:
    """All that one page says about a question."""

    findings: Findings
    lang: Language
    prefix: str = ""
    known: Collection[int] = ()
    """Numbers of all questions in the book."""

    @cached_property
    def prose(self) -> Prose:
        """The prose with its numbers."""
        return read_prose(self.findings.question.stem, self.lang).filled(self.findings.values())

    @property
    def renderer(self) -> Renderer:
        """The renderer of its prose."""
        return Renderer(self.lang, self.findings.judgements, self.prefix, self.known)

    def content(self) -> dict[str, Any]:
        """Variables of the template."""
        question, prose, renderer = self.findings.question, self.prose, self.renderer
        charts = [self.chart(figure) for figure in drawn_figures(self.findings)]
        return {
            "question": question,
            "findings": self.findings,
            "p": self.prefix,
            "title": question.title.say(self.lang),
            "headline": self.headline(),
            "expected": prose.verdict == self.findings.verdict,
            "short": self.short(renderer),
            "answer": renderer.block(prose.parts["Answer"]),
            "derivation": renderer.block(prose.parts["Derivation"]),
            "common": [renderer.inline(each) for each in prose.paragraphs("Common")],
            "points": [renderer.inline(each) for each in prose.paragraphs("Points")],
            "follow_ups": [_split(each, renderer) for each in prose.paragraphs("Follow-ups")],
            "caveats": renderer.block(prose.parts["Caveats"]),
            "claims": [_claim_row(judged, self.lang) for judged in self.findings.judgements],
            "charts": charts,
            "tables": [
                number_table(self.findings, figure, self.lang)
                for figure in question.figures
                if self.findings.numbers(figure)
            ],
            "code": highlighted(question),
            "parts": used_parts(question),
            "related": [number for number in question.topic.related if number in self.known],
        }

    def headline(self) -> Markup:
        """The prose's headline, or a plain sentence where the numbers say another thing than it."""
        if self.prose.verdict == self.findings.verdict:
            return self.renderer.inline(self.prose.parts["Headline"])
        return self.renderer.inline(neutral_headline(self.findings, self.lang))

    def short(self, renderer: Renderer, *, marked: bool = True) -> list[Markup]:
        """Paragraphs that one could say in an interview."""
        paragraphs = self.prose.paragraphs("Short")
        return [renderer.inline(each) for each in (paragraphs if marked else without_marks(paragraphs))]

    def chart(self, figure: Figure) -> Chart:
        """A figure, drawn and described."""
        plot = Plot(self.findings, figure, self.lang)
        index = self.findings.question.figures.index(figure)
        name = f"{self.prefix}figure-{index + 1}"
        title, told = figure.title.say(self.lang), described(plot)
        return Chart(
            figure.mark or "heat",
            plot.is_uneven,
            title,
            Markup(inline(figure_svg(plot), name, title, told)),
            told,
        )


def plain_headline(findings: Findings, lang: Language) -> str:
    """The headline without markup, for titles and pictures."""
    prose = read_prose(findings.question.stem, lang).filled(findings.values())
    if prose.verdict == findings.verdict:
        return " ".join(plain_text(without_marks(prose.paragraphs("Headline"))[0]).split())
    return neutral_headline(findings, lang)


def neutral_headline(findings: Findings, lang: Language) -> str:
    """The verdict as a sentence, computed alone."""
    of = len(findings.judgements)
    return {
        "supported": Text("On these seeds all {of} claims hold.", "在这些随机种子上，{of} 条命题全部成立。"),
        "refuted": Text(
            "On these seeds the answer is refuted: {held} of {of} claims hold.",
            "在这些随机种子上，答案被推翻：{of} 条命题中有 {held} 条成立。",
        ),
        "undecided": Text(
            "On these seeds nothing is decided: {held} of {of} claims hold.",
            "在这些随机种子上尚无定论：{of} 条命题中有 {held} 条成立。",
        ),
    }[findings.verdict].say(lang).format(held=findings.held, of=of)  # fmt: skip


def stamp(findings: Findings) -> Markup:
    """The decisive figure as small as a stamp, without words; empty where none has a mark."""
    figures = drawn_figures(findings)
    return Markup(bare(figure_svg(Plot(findings, figures[0], "en", small=True))) if figures else "")


def number_table(findings: Findings, figure: Figure, lang: Language) -> NumberTable:
    """A row for each arm and a column for each place; the other way round where places are many."""
    plot = Plot(findings, figure, lang)
    numbers, arms, places = findings.numbers(figure), plot.arms, plot.places
    seeds, long = len(findings.measured), len(places) > MOST_COLUMNS
    step = -(-len(places) // MOST_ROWS) if long else 1
    shown = places[::step]
    named = [(plot.name(place), place) for place in shown]
    cells = {
        (arm, place): _cell(numbers.get((arm, place), ()), seeds, lang) for arm in arms for place in shown
    }
    if long:
        header = [figure.across.say(lang), *map(plot.say, arms)]
        rows = [(name, [cells[arm, place] for arm in arms]) for name, place in named]
    else:
        header = [figure.across.say(lang), *(name for name, _ in named)]
        rows = [(plot.say(arm), [cells[arm, place] for place in shown]) for arm in arms]
    unit = figure.unit.say(lang)
    opening, closing = (" (", ")") if lang == "en" else ("（", "）")
    caption = figure.title.say(lang) + (f"{opening}{unit}{closing}" if unit else "")
    return NumberTable(caption, header, rows, step > 1)


def _cell(values: Sequence[float], seeds: int, lang: Language) -> tuple[str, str]:
    """A mean, and under it the range of the seeds, or how many there are if some had ended."""
    if not values:
        return "", ""
    if not all(map(math.isfinite, values)):
        return REFUSED.say(lang), ""
    some = Text(f"{len(values)} of {seeds} seeds", f"{seeds} 个种子中的 {len(values)} 个").say(lang)
    return brief(fmean(values)), _range(min(values), max(values)) if len(values) == seeds else some


def _range(low: float, high: float) -> str:
    """Two numbers; nothing where they read alike."""
    return "" if brief(low) == brief(high) else f"{brief(low)} … {brief(high)}"


def _claim_row(judged: Judgement, lang: Language) -> ClaimRow:
    claim, value = judged.claim, judged.interval
    beyond = "" if claim.tolerated is None else beyond_text(claim.tolerated, lang)
    return ClaimRow(
        key=claim.key,
        text=claim.text.say(lang),
        control=claim.control,
        outcome=judged.outcome,
        sign=OUTCOME_MARKS[judged.outcome],
        bounds=bounds_text(claim.expected, lang),
        within=within_text(claim.expected, lang),
        beyond=beyond,
        mean=brief(value.mean),
        interval=_range(value.low, value.high),
        axis=Markup(dot_axis(judged, lang)),
    )


def _split(entry: str, renderer: Renderer) -> tuple[Markup, Markup]:
    """A follow-up question, and its answer; the question ends with its mark and what it is set in."""
    at = next((index for index, letter in enumerate(entry) if letter in "?？"), len(entry) - 1) + 1
    while entry[at : at + 2] == "**" or entry[at : at + 1] in ("”", '"', "*"):
        at += 2 if entry[at : at + 2] == "**" else 1
    return renderer.inline(entry[:at].replace("**", "")), renderer.inline(entry[at:])
