"""Layout of the quiz on a terminal: lines that fit, and two columns where there is room for them."""

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import NamedTuple

from whyformer.language import Language, display_width, lines_of_width, padded

WIDE = 100
"""Columns from which on there is room for two texts side by side."""
_WIDEST = 120
"""Columns beyond which lines are tiring to read."""
_NARROWEST = 24
_GAP = 4
_LEFT_SHARE = 0.58


class Line(NamedTuple):
    """A line to print, or a part of one."""

    text: str = ""
    is_bold: bool = False
    """For the eye alone; nothing is told by it."""


ScreenRow = tuple[Line, ...]
"""Parts of one line on the terminal, from left to right."""


def used_width(width: int) -> int:
    """How many of a terminal's columns are used."""
    return max(_NARROWEST, min(width, _WIDEST))


def paragraph(text: str, width: int, *, head: str = "", is_bold: bool = False) -> list[Line]:
    """Lines for ``text`` behind ``head``, the further ones below the first."""
    indent = display_width(head)
    first, *others = lines_of_width(text, width - indent)
    return [Line(head + first, is_bold), *(Line(" " * indent + line, is_bold) for line in others)]


def as_rows(lines: Sequence[Line]) -> list[ScreenRow]:
    """Each line by itself."""
    return [(line,) for line in lines]


def column_widths(width: int) -> tuple[int, int] | None:
    """The widths of two columns; None where one has to stand below the other."""
    if width < WIDE:
        return None
    left = round((width - _GAP) * _LEFT_SHARE)
    return left, width - _GAP - left


def columns(left: Sequence[Line], right: Sequence[Line], width: int) -> Iterator[ScreenRow]:
    """Rows of two columns, the left one of ``width``."""
    for one, other in zip_longest(left, right, fillvalue=Line()):
        if other.text:
            yield one._replace(text=padded(one.text, width)), Line(" " * _GAP), other
        else:
            yield (one,)


def with_ellipsis(text: str, width: int) -> str:
    """``text``, cut and closed by a sign where it is wider than ``width``.

    >>> with_ellipsis("为什么除以根号", 8), with_ellipsis("short", 8)
    ('为什么…', 'short')
    """
    if display_width(text) <= width:
        return text
    text = text[:width]
    while text and display_width(text) + 1 > width:
        text = text[:-1]
    return text.rstrip() + "…"


def join_list(items: Sequence[str], lang: Language) -> str:
    """Items of a list in a sentence."""
    return (", " if lang == "en" else "、").join(items)
