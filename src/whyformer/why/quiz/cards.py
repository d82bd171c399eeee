"""Cards: what a question asks and what was measured for it, read from a summary of the published results.

Questions hold their experiments and so need torch, which takes seconds to load; the summary needs nothing. It
lies among the published results and is written with them (``docs/why/publish.py``).
"""

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from whyformer.errors import WhyformerError
from whyformer.plots.chart import Language
from whyformer.why.book.plain import plain_text
from whyformer.why.book.prose import Prose, read_prose, without_marks
from whyformer.why.published import published_folder
from whyformer.why.question import Findings, Group, Judgement, Outcome, Rank, Text, Verdict

SUMMARY = "questions.json"
_DIGITS = 7


class ClaimCard(BaseModel):
    """A claim, its bounds, and what was measured."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

    text: Text
    control: bool
    expected: str
    """The bounds as in a table."""
    mean: float
    low: float
    high: float
    """Ends of the interval."""
    outcome: Outcome

    @classmethod
    def of(cls, judged: Judgement) -> Self:
        """The card of a claim that was held against the numbers."""
        mean, low, high = (_rounded(value) for value in judged.interval[:3])
        claim = judged.claim
        return cls(
            text=claim.text,
            control=claim.control,
            expected=str(claim.expected),
            mean=mean,
            low=low,
            high=high,
            outcome=judged.outcome,
        )


class Card(BaseModel):
    """A question with its published findings."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

    number: int
    title: Text
    rank: Rank
    group: Group
    verdict: Verdict
    seeds: int
    confident: bool
    """Whether the intervals are of 95 %; if not, they are ranges."""
    claims: tuple[ClaimCard, ...]
    values: dict[str, float]
    """Numbers for the prose by name."""

    @classmethod
    def of(cls, findings: Findings) -> Self:
        """The card of a question that was answered."""
        question = findings.question
        return cls(
            number=question.number,
            title=question.title,
            rank=question.topic.rank,
            group=question.topic.group,
            verdict=findings.verdict,
            seeds=len(findings.measured),
            confident=all(judged.interval.confident for judged in findings.judgements),
            claims=tuple(map(ClaimCard.of, findings.judgements)),
            values={name: _rounded(value) for name, value in findings.values().items()},
        )

    @property
    def name(self) -> str:
        """The question's number as people write it."""
        return f"Q{self.number:02}"

    @property
    def held(self) -> int:
        """How many of the claims hold."""
        return [claim.outcome for claim in self.claims].count("holds")

    def model_answer(self, lang: Language) -> list[str]:
        """Paragraphs of the short answer in plain text."""
        return [plain_text(each) for each in without_marks(self._prose(lang).paragraphs("Short"))]

    def points(self, lang: Language) -> list[str]:
        """Key points of a good answer in plain text."""
        return [plain_text(each) for each in self._prose(lang).paragraphs("Points")]

    def context(self, lang: Language) -> list[str]:
        """All that is told of the question besides its points, in plain text."""
        prose = self._prose(lang)
        parts = (prose.paragraphs(part) for part in prose.parts if part != "Points")
        return [plain_text(each) for paragraphs in parts for each in without_marks(paragraphs)]

    def follow_up(self, lang: Language, turn: int) -> tuple[str, str]:
        """A question that would come next, another each ``turn``, and its answer."""
        entries = self._prose(lang).paragraphs("Follow-ups")
        asked = plain_text(entries[turn % len(entries)])
        end = next((at for at, sign in enumerate(asked) if sign in "?？"), len(asked) - 1) + 1
        return asked[:end], asked[end:].strip()

    def _prose(self, lang: Language) -> Prose:
        return read_prose(f"q{self.number:02}", lang).filled(self.values)


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else value


def summary_text(findings: Iterable[Findings]) -> str:
    """The summary of these questions, a line for each."""
    lines = (json.dumps(json.loads(Card.of(each).model_dump_json()), ensure_ascii=False) for each in findings)
    return "[\n" + ",\n".join(lines) + "\n]\n"


def read_cards(path: Path | None = None) -> list[Card]:
    """The cards of all questions that have published results, by number.

    Args:
        path: the summary; the one that this package came with if left out.

    Raises:
        WhyformerError: there is none, or it is damaged.
    """
    place = published_folder() / SUMMARY if path is None else path
    try:
        return TypeAdapter(list[Card]).validate_json(place.read_bytes())
    except (OSError, ValidationError):
        raise WhyformerError(f"{place}: missing or damaged; install Whyformer again.") from None
