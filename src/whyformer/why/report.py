"""Findings in words and numbers: for the terminal, and as a record for programs."""

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean

import torch
from rich.table import Table

from whyformer import __version__
from whyformer.files import write_text
from whyformer.machine import code_version
from whyformer.show.chart import Language
from whyformer.why.picture import findings_page
from whyformer.why.question import Figure, Findings, Judgement
from whyformer.why.words import (
    ANSWER,
    CLAIM,
    CONTROL,
    EXPECTED,
    FAIR,
    MEASURED,
    OUTCOME,
    OUTCOMES,
    VERDICT,
    VERDICTS,
    place_name,
)

_MOST_COLUMNS = 8  # of a table; a learning curve has more, and stands in the record


def save(findings: Findings, folder: Path, lang: Language) -> tuple[list[Path], str | None]:
    """Write the record, the page and the picture into ``folder``.

    Returns:
        The three files, and what the picture cannot show on this machine, if anything.

    Raises:
        WhyformerError: the folder cannot be written to, or the disk is full.
    """
    path = folder / f"{findings.question.stem}.json"
    write_text(path, json.dumps(record(findings), ensure_ascii=False, indent=2) + "\n")
    page = findings_page(findings, lang)
    return [path, *page.save(folder)], page.note


def told(findings: Findings, lang: Language) -> Iterator[str | Table]:
    """What is printed: the answer, the numbers, the claims and the verdict."""
    question = findings.question
    yield f"Q{question.number:02} {question.title.say(lang)}"
    yield ANSWER.say(lang) + question.answer.say(lang)
    for figure in question.figures:
        table = _numbers(findings, figure, lang)
        if len(table.columns) - 1 <= _MOST_COLUMNS:
            yield table
    yield _claims(findings.judgements, lang)
    yield FAIR.say(lang) + question.fair.say(lang)
    verdict, seeds = VERDICTS[findings.verdict].say(lang), len(findings.seen)
    yield VERDICT.say(lang).format(verdict=verdict, seeds=seeds, seconds=findings.seconds)


def record(findings: Findings) -> dict[str, object]:
    """All that was asked, set, measured and concluded; bounds and numbers that are not finite are null."""
    question = findings.question
    return {
        "number": question.number,
        "title": question.title._asdict(),
        "verdict": findings.verdict,
        "claims": [_claim_record(judged) for judged in findings.judgements],
        "figures": [
            {
                "title": figure.title._asdict(),
                "across": figure.across._asdict(),
                "unit": figure.unit._asdict(),
                "numbers": [
                    {"arm": arm.en, "place": place_name(place, "en"), "by_seed": list(map(_finite, values))}
                    for (arm, place), values in findings.numbers(figure).items()
                ],
            }
            for figure in question.figures
        ],
        "settings": question.experiment.model_dump(mode="json"),
        "seeds": [*findings.seen],
        "seconds": findings.seconds,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "whyformer": __version__,
        "code": code_version(),
    }


def _claim_record(judged: Judgement) -> dict[str, object]:
    claim = judged.claim
    return {
        "text": claim.text._asdict(),
        "control": claim.control,
        "expected": list(map(_finite, claim.expected)),
        "tolerated": None if claim.tolerated is None else list(map(_finite, claim.tolerated)),
        "by_seed": list(map(_finite, judged.values)),
        "mean": _finite(judged.estimate.mean),
        "interval": [_finite(judged.estimate.low), _finite(judged.estimate.high)],
        "outcome": judged.outcome,
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


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
        claim, value = judged.claim, judged.estimate
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
