"""The list of all questions, with what is known of each."""

from collections.abc import Iterable, Iterator, Mapping
from typing import get_args

from rich.text import Text as Line

from whyformer.plots.chart import Language
from whyformer.why.book.labels import MARKS, NO_VERDICT, RANKS
from whyformer.why.book.plain import plain_text
from whyformer.why.book.prose import read_prose, without_marks
from whyformer.why.published import Answer
from whyformer.why.question import Question, Rank

_COLORS = {"supported": "green", "refuted": "red", "undecided": "yellow"}


def headline(question: Question, answer: Answer, lang: Language) -> str | None:
    """The headline in plain text with its numbers; None where the numbers do not bear it out."""
    prose = read_prose(question.stem, lang)
    if prose.verdict != answer.findings.verdict:
        return None
    paragraphs = prose.filled(answer.findings.values()).paragraphs("Headline")
    return " ".join(map(plain_text, without_marks(paragraphs)))


def listing_lines(
    questions: Iterable[Question], answers: Mapping[int, Answer], lang: Language, width: int
) -> Iterator[Line]:
    """Lines for ``questions``, those of each rank below its name; a headline takes ``width`` columns."""
    asked = list(questions)
    ranks: tuple[Rank, ...] = get_args(Rank)
    for rank in ranks:
        of_rank = [question for question in asked if question.topic.rank == rank]
        if of_rank:
            yield Line(RANKS[rank].say(lang), style="bold")
        for question in of_rank:
            yield from _entry(question, answers.get(question.number), lang, width)


def _entry(question: Question, answer: Answer | None, lang: Language, width: int) -> Iterator[Line]:
    mark = NO_VERDICT if answer is None else MARKS[answer.findings.verdict]
    color = "" if answer is None else _COLORS[answer.findings.verdict]
    number = f"{question.number:>3}"
    yield Line().append(f" {mark}", style=color).append(f" {number}  {question.title.say(lang)}")
    told = None if answer is None else headline(question, answer, lang)
    if told is not None:
        line = Line(f"        {told}", style="dim")
        line.truncate(width, overflow="ellipsis")
        yield line


def listing_record(
    questions: Iterable[Question], answers: Mapping[int, Answer], lang: Language
) -> list[dict[str, object]]:
    """The list for programs; what nobody has measured is null."""
    return [
        {
            "number": question.number,
            "title": question.title._asdict(),
            "rank": question.topic.rank,
            "group": question.topic.group,
            "verdict": None if answer is None else answer.findings.verdict,
            "source": None if answer is None else answer.source,
            "headline": None if answer is None else headline(question, answer, lang),
        }
        for question in questions
        for answer in (answers.get(question.number),)
    ]
