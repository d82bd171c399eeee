"""Findings in words and numbers: for the terminal, and as a record for programs."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean

from rich.table import Table

from whyformer.files import write_text
from whyformer.plots.chart import Language
from whyformer.why.book.charts import findings_page
from whyformer.why.book.labels import (
    ANSWER,
    CAVEATS,
    CLAIM,
    CONTROL,
    EXPECTED,
    MEASURED,
    OUTCOME,
    OUTCOMES,
    VERDICT,
    VERDICTS,
)
from whyformer.why.book.prose import read_prose, without_marks
from whyformer.why.question import Figure, Findings, Judgement, place_name
from whyformer.why.results import result_record

_MOST_COLUMNS = 8  # of a table; a learning curve has more, and stands in the record


def save_findings(findings: Findings, folder: Path, lang: Language) -> tuple[list[Path], str | None]:
    """Write the record, the page and the picture into ``folder``.

    Returns:
        The three files, and what the picture cannot show on this machine, if anything.

    Raises:
        WhyformerError: the folder cannot be written to, or the disk is full.
    """
    path = folder / f"{findings.question.stem}.json"
    write_text(path, json.dumps(result_record(findings), ensure_ascii=False, indent=2) + "\n")
    page = findings_page(findings, lang)
    return [path, *page.save(folder)], page.note


def render(findings: Findings, lang: Language) -> Iterator[str | Table]:
    """Parts to print: the answer, the numbers, the claims and the verdict."""
    question = findings.question
    prose = read_prose(question.stem, lang).filled(findings.values())
    yield f"Q{question.number:02} {question.title.say(lang)}"
    yield ANSWER.say(lang) + "\n\n".join(without_marks(prose.paragraphs("Answer")))
    for figure in question.figures:
        table = _numbers(findings, figure, lang)
        if len(table.columns) - 1 <= _MOST_COLUMNS:
            yield table
    yield _claims(findings.judgements, lang)
    yield CAVEATS.say(lang) + "\n\n".join(without_marks(prose.paragraphs("Caveats")))
    verdict, seeds = VERDICTS[findings.verdict].say(lang), len(findings.measured)
    yield VERDICT.say(lang).format(verdict=verdict, seeds=seeds, seconds=findings.seconds)


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
        table.add_row(arm.say(lang), *("" if cell is None else _short(fmean(cell)) for cell in cells))
    return table


def _claims(judgements: Sequence[Judgement], lang: Language) -> Table:
    table = Table(box=None)
    for name in (CLAIM, MEASURED, EXPECTED, OUTCOME):
        table.add_column(name.say(lang))
    for judged in judgements:
        claim, value = judged.claim, judged.interval
        text = (CONTROL.say(lang) if claim.control else "") + claim.text.say(lang)
        measured = f"{_short(value.mean)} [{_short(value.low)}, {_short(value.high)}]"
        table.add_row(text, measured, str(claim.expected), OUTCOMES[judged.outcome].say(lang))
    return table


def _short(value: float) -> str:
    """Three digits, or all before the point.

    >>> _short(0.49966), _short(71696.0), _short(0.0)
    ('0.5', '71,696', '0')
    """
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
