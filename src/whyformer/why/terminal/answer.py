"""Findings in words, numbers and a drawing for the terminal, and their files."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean

from rich.table import Table
from rich.text import Text as Line

from whyformer.files import write_bytes, write_text
from whyformer.language import LANGUAGES
from whyformer.plots.chart import Language
from whyformer.why.book.figures.plot import drawn_figures
from whyformer.why.book.labels import (
    CLAIM,
    CONTROL,
    EXPECTED,
    MARKS,
    MEASURED,
    MEASURED_RANGE,
    ORIGIN,
    OTHER_VERDICT,
    OUTCOME,
    OUTCOME_MARKS,
    OUTCOMES,
    VERDICT,
    VERDICTS,
)
from whyformer.why.book.picture import findings_png, picture_note
from whyformer.why.book.plain import plain_text
from whyformer.why.book.prose import read_prose, without_marks
from whyformer.why.book.site import write_page
from whyformer.why.question import Figure, Findings, Judgement, place_name
from whyformer.why.results import result_record
from whyformer.why.terminal.plots import draw_figure, short

_MOST_COLUMNS = 8  # of a table; a learning curve has more, and stands in the record
_STYLES = {"holds": "green", "fails": "red", "open": "yellow"}


def save_findings(findings: Findings, folder: Path, lang: Language) -> tuple[list[Path], str | None]:
    """Write the record, the page and a picture in each language into ``folder``.

    Returns:
        The files, and what the pictures cannot show on this machine, if anything.

    Raises:
        WhyformerError: the folder cannot be written to, or the disk is full.
    """
    path = folder / f"{findings.question.stem}.json"
    write_text(path, json.dumps(result_record(findings), ensure_ascii=False, indent=2) + "\n")
    page = write_page(findings, folder, lang)
    note = picture_note(findings, lang)
    pictures = [folder / f"{findings.question.stem}.{each}.png" for each in LANGUAGES]
    for each, picture in zip(LANGUAGES, pictures, strict=True):
        write_bytes(picture, findings_png(findings, each))
    return [path, page, *pictures], note


def render(findings: Findings, lang: Language) -> Iterator[Line | Table]:
    """Parts to print: question, headline, short answer, claims, the decisive figure, numbers, verdict."""
    question = findings.question
    prose = read_prose(question.stem, lang).filled(findings.values())
    yield Line(f"Q{question.number:02} {question.title.say(lang)}", style="bold")
    for part in ("Headline", "Short"):
        told = "\n\n".join(map(plain_text, without_marks(prose.paragraphs(part))))
        yield Line(told + "\n", style="bold" if part == "Headline" else "")
    yield _claims(findings.judgements, lang)
    yield Line()
    decisive = next(iter(drawn_figures(findings)), None)
    if decisive is not None:
        yield from draw_figure(findings, decisive, lang)
        yield Line()
    for figure in question.figures:
        table = _numbers(findings, figure, lang)
        if len(table.columns) - 1 <= _MOST_COLUMNS and not (figure == decisive and figure.mark == "heat"):
            yield table
            yield Line()
    yield Line(verdict_line(findings, lang), style="bold")
    if prose.verdict != findings.verdict:
        yield Line(OTHER_VERDICT.say(lang).format(written=VERDICTS[prose.verdict].say(lang)))
    if findings.origin is not None:
        yield Line(origin_line(findings, lang), style="dim")


def verdict_line(findings: Findings, lang: Language) -> str:
    """Sentence on the verdict, with the number of seeds and of the claims that hold."""
    return VERDICT.say(lang).format(
        verdict=VERDICTS[findings.verdict].say(lang),
        mark=MARKS[findings.verdict],
        seeds=len(findings.measured),
        held=findings.held,
        claims=len(findings.judgements),
    )


def origin_line(findings: Findings, lang: Language) -> str:
    """Sentence on when, where and with what code the numbers were measured."""
    origin = findings.origin
    assert origin is not None, "the numbers come from a file"
    commit = "–" if origin.commit is None else origin.commit[:10] + "+" * origin.commit.endswith("+")
    return ORIGIN.say(lang).format(
        date=origin.date,
        commit=commit,
        machine=origin.machine,
        seconds=findings.seconds / len(findings.measured),
    )


def _numbers(findings: Findings, figure: Figure, lang: Language) -> Table:
    """Means over the seeds: a row for each arm, a column for each place."""
    numbers = findings.numbers(figure)
    arms = dict.fromkeys(arm for arm, _ in numbers)
    places = dict.fromkeys(place for _, place in numbers)
    unit = figure.unit.say(lang)
    comma = ", " if lang == "en" else "，"
    title = comma.join(filter(None, [figure.title.say(lang), unit]))
    table = Table(title=title, title_justify="left", box=None)
    table.add_column(figure.across.say(lang))
    for place in places:
        table.add_column(place_name(place, lang), justify="right")
    for arm in arms:
        cells = (numbers.get((arm, place)) for place in places)
        table.add_row(arm.say(lang), *("" if cell is None else short(fmean(cell)) for cell in cells))
    return table


def _claims(judgements: Sequence[Judgement], lang: Language) -> Table:
    """The bounds of each claim, and what came out."""
    confident = all(judged.interval.confident for judged in judgements)
    table = Table(box=None)
    for name in (CLAIM, EXPECTED, MEASURED if confident else MEASURED_RANGE, OUTCOME):
        table.add_column(name.say(lang))
    for judged in judgements:
        claim, value = judged.claim, judged.interval
        text = (CONTROL.say(lang) if claim.control else "") + claim.text.say(lang)
        measured = f"{short(value.mean)} [{short(value.low)}, {short(value.high)}]"
        outcome = f"{OUTCOME_MARKS[judged.outcome]} {OUTCOMES[judged.outcome].say(lang)}"
        table.add_row(text, str(claim.expected), measured, Line(outcome, style=_STYLES[judged.outcome]))
    return table
