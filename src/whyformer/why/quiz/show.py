"""Rows of the quiz: a question, its answer with evidence and points, what an answer was worth."""

import re
from collections.abc import Collection, Iterator

from whyformer.language import Language
from whyformer.why.book.labels import (
    CONTROL,
    MARKS,
    MEASURED,
    MEASURED_RANGE,
    OUTCOME_MARKS,
    OUTCOMES,
    RANKS,
    VERDICT,
    VERDICTS,
)
from whyformer.why.book.numbers import brief
from whyformer.why.book.words import GROUPS
from whyformer.why.quiz import words
from whyformer.why.quiz.cards import Card, ClaimCard
from whyformer.why.quiz.layout import Line, ScreenRow, as_rows, column_widths, columns, paragraph
from whyformer.why.quiz.schedule import PAUSES, Standing

_INDENT = "  "
_NEGATIVE = re.compile(r"(?<![\de])-(?=\d)")


def question_rows(
    card: Card, standing: Standing | None, place: tuple[int, int], lang: Language, width: int
) -> Iterator[ScreenRow]:
    """The question, which is the first number of ``place`` in a session of so many."""
    known = (
        words.NEW.say(lang)
        if standing is None
        else words.IN_BOX.say(lang).format(box=standing.box, boxes=len(PAUSES), asked=standing.asked)
    )
    told = words.QUESTION_OF.say(lang).format(
        number=place[0],
        total=place[1],
        rank=RANKS[card.rank].say(lang),
        group=GROUPS[card.group].say(lang),
        standing=known,
    )
    yield from as_rows(paragraph(told, width))
    yield from as_rows(paragraph(card.title.say(lang), width, head=f"{card.name}  ", is_bold=True))


def answer_rows(card: Card, guessed: Collection[int], lang: Language, width: int) -> Iterator[ScreenRow]:
    """The model answer and the evidence, and the points beside them or, where there is no room, below."""
    widths = column_widths(width)
    left, right = widths or (width, width)
    told = [*_model_answer(card, lang, left), Line(), *_evidence(card, lang, left)]
    points = [*_points(card, guessed, lang, right)]
    if widths is None:
        yield from as_rows([*told, Line(), *points])
    else:
        yield from columns(told, points, left)


def follow_up_rows(card: Card, turn: int, lang: Language, width: int) -> Iterator[ScreenRow]:
    """A question that an interviewer may go on with, and its answer."""
    question, answer = card.follow_up(lang, turn)
    between = " " if lang == "en" else ""
    yield from as_rows(paragraph(words.NEXT_ASKED.say(lang) + between + question, width))
    yield from as_rows(paragraph(answer, width, head=_INDENT))


def days_words(days: int, lang: Language) -> str:
    """So many days from now."""
    if days == 0:
        return words.AT_ONCE.say(lang)
    return words.TOMORROW.say(lang) if days == 1 else words.IN_DAYS.say(lang).format(days=days)


def _model_answer(card: Card, lang: Language, width: int) -> Iterator[Line]:
    yield Line(words.MODEL_ANSWER.say(lang), is_bold=True)
    for told in card.model_answer(lang):
        yield from paragraph(told, width, head=_INDENT)


def _evidence(card: Card, lang: Language, width: int) -> Iterator[Line]:
    yield Line(words.EVIDENCE.say(lang), is_bold=True)
    told = VERDICT.say(lang).format(
        verdict=VERDICTS[card.verdict].say(lang),
        mark=MARKS[card.verdict],
        seeds=card.seeds,
        held=card.held,
        claims=len(card.claims),
    )
    yield from paragraph(told, width, head=_INDENT)
    yield from paragraph((MEASURED if card.confident else MEASURED_RANGE).say(lang), width, head=_INDENT)
    for claim in card.claims:
        yield from _claim(claim, lang, width)


def _claim(claim: ClaimCard, lang: Language, width: int) -> Iterator[Line]:
    text = (CONTROL.say(lang) if claim.control else "") + claim.text.say(lang)
    yield from paragraph(text, width, head=f"{_INDENT}{OUTCOME_MARKS[claim.outcome]} ")
    told = words.CLAIM_LINE.say(lang).format(
        outcome=OUTCOMES[claim.outcome].say(lang),
        measured=f"{brief(claim.mean)} [{brief(claim.low)}, {brief(claim.high)}]",
        expected=_NEGATIVE.sub("−", claim.expected),
    )
    yield from paragraph(told, width, head=_INDENT * 2)


def _points(card: Card, guessed: Collection[int], lang: Language, width: int) -> Iterator[Line]:
    yield Line(words.POINTS.say(lang), is_bold=True)
    for index, point in enumerate(card.points(lang)):
        mark = "x" if index in guessed else " "
        yield from paragraph(point, width, head=f"{_INDENT}[{mark}] {index + 1}  ")
