"""Answers that are there without any measuring: the user's own, else those that this package came with."""

import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from whyformer.errors import WhyformerNote
from whyformer.why.question import Findings, Question
from whyformer.why.results import SeedResult, SeedResults, concluded, seeds_in

FEWEST = 3
"""Seeds below which nothing is told as an answer."""
_PACKAGE = Path(__file__).parent


class Answer(NamedTuple):
    """Findings, and whose they are."""

    findings: Findings
    source: Literal["own", "published"]


def published_folder() -> Path:
    """The folder of the results that were published with this version, such as ``q03/seed-1.json``.

    A wheel has it inside the package, a checkout among its documents.
    """
    inside = _PACKAGE / "published"
    return inside if inside.is_dir() else _PACKAGE.parents[2] / "docs" / "why"


def published(question: Question, folder: Path | None = None) -> Findings | None:
    """Findings over the published seeds of ``question``; None where there are none that fit it.

    They are read whatever the code is by now, and ``Findings.origin`` says which it was then.

    Args:
        question: the question.
        folder: where they lie; ``published_folder()`` if left out.
    """
    place = (published_folder() if folder is None else folder) / question.stem
    results: dict[int, SeedResult] = {}
    for seed in seeds_in(place):
        path = place / f"seed-{seed}.json"
        try:
            results[seed] = SeedResult.model_validate_json(path.read_bytes())
        except (OSError, ValueError):
            warnings.warn(
                WhyformerNote(f"{path}: damaged, or not written by this program; left out."), stacklevel=2
            )
    return _findings(question, results)


def own(question: Question, folder: Path) -> Findings | None:
    """Findings over all seeds in ``folder`` that were measured by the present code; None if there are few."""
    # To tell what is present takes a moment, which most questions need not.
    if not seeds_in(folder / question.stem):
        return None
    return _findings(question, SeedResults(question, folder).current())


def _findings(question: Question, results: Mapping[int, SeedResult]) -> Findings | None:
    if len(results) < FEWEST:
        return None
    try:
        return concluded(question, results)
    except (ArithmeticError, LookupError, ValueError, TypeError):
        # The question has changed so much since that its claims find nothing.
        return None


def answers(questions: Iterable[Question], folder: Path, *, with_published: bool = True) -> dict[int, Answer]:
    """An answer for each of ``questions`` that has one, by number: from ``folder``, else as published."""
    found: dict[int, Answer] = {}
    for question in questions:
        if (mine := own(question, folder)) is not None:
            found[question.number] = Answer(mine, "own")
        elif with_published and (theirs := published(question)) is not None:
            found[question.number] = Answer(theirs, "published")
    return found
