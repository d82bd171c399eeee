"""A session of the quiz: questions are asked, answers compared, and what was known is counted at once."""

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from whyformer.language import Language
from whyformer.why.quiz import words
from whyformer.why.quiz.cards import Card
from whyformer.why.quiz.guess import guess_points
from whyformer.why.quiz.layout import Line, ScreenRow, as_rows, join_list, paragraph, with_ellipsis
from whyformer.why.quiz.record import RecordKeeper
from whyformer.why.quiz.schedule import PAUSES, next_cards
from whyformer.why.quiz.show import (
    answer_rows,
    days_words,
    follow_up_rows,
    question_rows,
)

_MOST_LINES = 200
_TRIES = 20
_SHOWN = 3
"""Weakest questions, and days on which to come back, that a summary has."""
_ALL, _NONE = {"all", "全部", "都有", "全"}, {"none", "没有", "无", "0"}
_SEPARATOR = re.compile(r"[\s,、;]+")


class Desk(Protocol):
    """Place where the quiz is played."""

    @property
    def width(self) -> int:
        """Columns of a line."""
        ...

    def show(self, shown: Iterable[ScreenRow]) -> None:
        """Print rows."""
        ...

    def ask(self) -> str | None:
        """Read a line that the user writes; None at the end of input."""
        ...


class Scored(NamedTuple):
    """A question that was answered, and how many of its points the answer had."""

    card: Card
    got: int
    points: int

    @property
    def share(self) -> float:
        """Share of the points."""
        return self.got / self.points


class QuizSession:
    """Questions of one sitting, in the order in which they are asked."""

    def __init__(self, cards: Sequence[Card], keeper: RecordKeeper, desk: Desk, lang: Language) -> None:
        self.cards = cards
        self.keeper = keeper
        self.desk = desk
        self.lang: Language = lang
        self._scored: list[Scored] = []

    def play(self, count: int) -> None:
        """Ask ``count`` questions or until the input ends, then sum up; so too where the user interrupts."""
        chosen = next_cards(self.cards, self.keeper.standings, count, _now())
        try:
            for number, card in enumerate(chosen, start=1):
                if not self._ask(card, (number, len(chosen))):
                    break
        finally:
            self.desk.show([(), *self._summary()])

    def _ask(self, card: Card, place: tuple[int, int]) -> bool:
        """Ask one question; whether the user goes on."""
        desk, lang, points = self.desk, self.lang, len(card.points(self.lang))
        standing = self.keeper.standings.get(card.number)
        desk.show([(), *question_rows(card, standing, place, lang, desk.width)])
        if place[0] == 1:
            self._tell(words.YOUR_ANSWER.say(lang))
        answer = self._read_answer()
        if answer is None:
            return False
        guessed = guess_points(answer, card, lang)
        desk.show([(), *answer_rows(card, guessed, lang, desk.width), ()])
        had = self._read_choice(answer, guessed, points)
        if had is None:
            return False
        now = _now()
        after = self.keeper.add(card.number, len(had) / points, now)
        self._scored.append(Scored(card, len(had), points))
        told = words.SCORED.say(lang).format(
            got=len(had),
            points=points,
            share=len(had) / points,
            box=after.box,
            boxes=len(PAUSES),
            due=days_words(after.days_left(now), lang),
        )
        self._tell(told)
        desk.show(follow_up_rows(card, after.asked - 1, lang, desk.width))
        return True

    def _read_answer(self) -> str | None:
        """Lines up to an empty one; None if the input ends before any."""
        lines: list[str] = []
        while len(lines) < _MOST_LINES:
            line = self.desk.ask()
            if line is None:
                return "\n".join(lines) if lines else None
            if not line.strip():
                return "\n".join(lines)
            lines.append(line)
        self._tell(words.LONG_ENOUGH.say(self.lang).format(lines=_MOST_LINES))
        return "\n".join(lines)

    def _read_choice(self, answer: str, guessed: Collection[int], points: int) -> set[int] | None:
        """Indices of the points that the user ticks; None if the input ends before a choice."""
        lang = self.lang
        explained = words.GUESSED if guessed else words.NOTHING_GUESSED
        self._tell((explained if answer.strip() else words.NOTHING_WRITTEN).say(lang))
        choice = " ".join(str(index + 1) for index in guessed) or "none"
        self._tell(words.WHICH.say(lang).format(choice=choice))
        for _ in range(_TRIES):
            line = self.desk.ask()
            if line is None:
                return None
            had = {*guessed} if not line.strip() else parse_choice(line, points)
            if had is not None:
                return had
            typed = "".join(sign if sign.isprintable() else "?" for sign in with_ellipsis(line.strip(), 40))
            self._tell(words.BAD_CHOICE.say(lang).format(typed=typed, most=points))
        self._tell(words.TRIED_TOO_OFTEN.say(lang).format(tries=_TRIES))
        return None

    def _summary(self) -> Iterator[ScreenRow]:
        """A few lines: points, the weakest questions, when to come back."""
        if not self._scored:
            yield (Line(words.NOTHING_SCORED.say(self.lang)),)
            return
        got, points = sum(each.got for each in self._scored), sum(each.points for each in self._scored)
        told = words.TOTAL.say(self.lang).format(
            got=got, points=points, share=got / points, asked=len(self._scored)
        )
        yield from as_rows(paragraph(told, self.desk.width, is_bold=True))
        weakest = sorted((each for each in self._scored if each.got < each.points), key=lambda it: it.share)
        yield from self._weakest(weakest[:_SHOWN])
        if self.keeper.is_kept:
            yield from as_rows(paragraph(self._come_back(), self.desk.width))
            yield from as_rows(paragraph(words.SEE_SCORE.say(self.lang), self.desk.width))

    def _weakest(self, weakest: Sequence[Scored]) -> Iterator[ScreenRow]:
        if not weakest:
            yield (Line(words.NOTHING_MISSED.say(self.lang)),)
            return
        yield (Line(words.WEAKEST.say(self.lang)),)
        for each in weakest:
            count = words.OF_POINTS.say(self.lang).format(got=each.got, points=each.points)
            title = each.card.title.say(self.lang)
            yield from as_rows(paragraph(title, self.desk.width, head=f"  {each.card.name}  {count}  "))
        told = words.SEE_ANSWER.say(self.lang).format(number=weakest[0].card.number)
        yield from as_rows(paragraph(told, self.desk.width))

    def _come_back(self) -> str:
        """Sentence on when how many questions are asked again."""
        now = _now()
        standings = [self.keeper.standings.get(card.number) for card in self.cards]
        days = Counter(standing.days_left(now) for standing in standings if standing)
        when = [
            words.COUNTED.say(self.lang).format(count=count, due=days_words(day, self.lang))
            for day, count in sorted(days.items())[:_SHOWN]
        ]
        return words.COME_BACK.say(self.lang).format(when=join_list(when, self.lang))

    def _tell(self, text: str) -> None:
        self.desk.show(as_rows(paragraph(text, self.desk.width)))


def parse_choice(line: str, points: int) -> set[int] | None:
    """Indices of the points that ``line`` names, of so many ``points``; None if it is no choice.

    >>> parse_choice("1 3", 4), parse_choice("１，２-3", 4), parse_choice("全部", 2), parse_choice("5", 4)
    ({0, 2}, {0, 1, 2}, {0, 1}, None)
    """
    text = unicodedata.normalize("NFKC", line).strip().strip(".。").casefold()
    if text in _ALL:
        return set(range(points))
    if text in _NONE:
        return set()
    found: set[int] = set()
    for item in filter(None, _SEPARATOR.split(text)):
        span = re.fullmatch(r"([1-9]\d?)(?:-([1-9]\d?))?", item, re.ASCII)
        first, last = (int(span[1]), int(span[2] or span[1])) if span else (1, 0)
        if not first <= last <= points:
            return None
        found |= set(range(first - 1, last))
    return found or None


def _now() -> datetime:
    return datetime.now().astimezone()
