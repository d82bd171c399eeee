"""The record as a table: what is weak, on the way and known, and what was not asked yet."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from pathlib import Path
from statistics import fmean

from whyformer.language import Language, display_width, padded
from whyformer.why.book.labels import RANKS
from whyformer.why.quiz import words
from whyformer.why.quiz.cards import Card
from whyformer.why.quiz.layout import Line, ScreenRow, as_rows, join_list, paragraph, with_ellipsis
from whyformer.why.quiz.schedule import PAUSES, Grasp, Standing
from whyformer.why.quiz.show import days_words

_Asked = tuple[Card, Standing]
_LEAST = 16
"""Columns of a title at least."""


def score_rows(
    cards: Sequence[Card], standings: Mapping[int, Standing], now: datetime, lang: Language, width: int
) -> Iterator[ScreenRow]:
    """The questions that were asked, the weakest first, and how many were not."""
    asked = [(card, standings[card.number]) for card in cards if card.number in standings]
    asked.sort(key=lambda each: (each[1].box, each[1].shares[-1], each[0].number))
    if not asked:
        yield from as_rows(paragraph(words.NOTHING_ASKED.say(lang), width))
        return
    counts = Counter(standing.grasp for _, standing in asked)
    told = words.ASKED_OF.say(lang).format(
        asked=len(asked),
        total=len(cards),
        weak=counts["weak"],
        learning=counts["learning"],
        known=counts["known"],
    )
    yield from as_rows(paragraph(told, width))
    yield ()
    yield from _table(asked, now, lang, width)
    yield ()
    left = [card for card in cards if card.number not in standings]
    if left:
        ranks = [
            f"{name.say(lang)} {count}"
            for rank, name in RANKS.items()
            if (count := [card.rank for card in left].count(rank))
        ]
        told = words.LEFT.say(lang).format(count=len(left), ranks=join_list(ranks, lang))
        yield from as_rows(paragraph(told, width))
    yield from as_rows(paragraph(words.SEE_ANSWER.say(lang).format(number=asked[0][0].number), width))


def kept_row(path: Path, lang: Language) -> ScreenRow:
    """Where the record lies; never cut, as it may be copied."""
    return (Line(words.KEPT_IN.say(lang).format(path=path)),)


def _table(asked: Sequence[_Asked], now: datetime, lang: Language, width: int) -> Iterator[ScreenRow]:
    """A line for each question, which are sorted by their boxes, under the name of each level."""
    body = [_cells(standing, now, lang) for _, standing in asked]
    head = [column.say(lang) for column in words.COLUMNS]
    widths = [max(map(display_width, column)) for column in zip(head, *body, strict=True)]
    # On a narrow terminal columns to the left are left out.
    while widths and _room(width, widths) < _LEAST:
        widths, head, body = widths[1:], head[1:], [row[1:] for row in body]
    wide = min(_room(width, widths), max(display_width(card.title.say(lang)) for card, _ in asked))

    def line(name: str, title: str, row: Sequence[str]) -> ScreenRow:
        cells = (
            " " * (column - display_width(cell)) + cell for cell, column in zip(row, widths, strict=True)
        )
        return (Line("  ".join([f"  {name:<3}", padded(with_ellipsis(title, wide), wide), *cells])),)

    yield line("", "", head)
    for grasp, these in groupby(zip(asked, body, strict=True), key=_grasp):
        yield (Line(words.GRASPS[grasp].say(lang), is_bold=True),)
        for (card, _), row in these:
            yield line(card.name, card.title.say(lang), row)


def _grasp(each: tuple[_Asked, object]) -> Grasp:
    """Grasp of a question and its row."""
    (_, standing), _ = each
    return standing.grasp


def _room(width: int, widths: Sequence[int]) -> int:
    """Columns that are left for titles beside numbers and further columns of these ``widths``."""
    return width - sum(widths) - 2 * len(widths) - 7


def _cells(standing: Standing, now: datetime, lang: Language) -> list[str]:
    days = standing.days_left(now)
    return [
        standing.last.astimezone().date().isoformat(),
        str(standing.asked),
        f"{fmean(standing.shares):.0%}",
        f"{standing.shares[-1]:.0%}",
        f"{standing.box}/{len(PAUSES)}",
        days_words(days, lang) if days else words.NOW.say(lang),
    ]
