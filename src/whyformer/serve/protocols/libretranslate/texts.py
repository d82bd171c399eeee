"""Texts in sentences and what stands between them, and texts of translations put together again.

White space around a line, its end, and lines with nothing to translate in them stay as they are.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape, unescape
from typing import Literal

from whyformer.data.tokenizers.text.sentences import join_sentences
from whyformer.serve.protocols.libretranslate.markup import stretches
from whyformer.tasks.output import TextOutput

TextFormat = Literal["text", "html"]


@dataclass(frozen=True)
class TextPart:
    """A stretch of a text."""

    kept: str
    """Text that stays as it is; before the sentences, if there are any."""
    sentences: tuple[str, ...] = ()
    """Sentences of one line, which are translated."""
    is_html: bool = False
    """Whether what they become is written with character references."""


def take_apart(text: str, form: TextFormat, cut: Callable[[str], list[str]]) -> list[TextPart]:
    """The parts of ``text``, which is in a ``form``; ``cut`` gives the sentences of a line."""
    if form == "text":
        return list(_lines(text, cut, is_html=False))
    parts: list[TextPart] = []
    for stretch in stretches(text):
        text_of_it = unescape(stretch.raw) if stretch.is_text else ""
        if says_something(text_of_it):
            parts += _lines(text_of_it, cut, is_html=True)
        else:
            parts.append(TextPart(stretch.raw))
    return parts


def put_together(parts: Sequence[TextPart], translations: Sequence[Sequence[TextOutput]], rank: int) -> str:
    """The text that has in place of the sentences of ``parts`` their ``translations``, best first.

    Of each it is the one at ``rank``, from 0, or the best where there are fewer.
    """
    found = iter(translations)
    text = ""
    for part in parts:
        outputs = [next(found) for _ in part.sentences]
        line = join_sentences([each[rank if rank < len(each) else 0].text for each in outputs])
        text += part.kept + (escape(line, quote=False) if part.is_html else line)
    return text


def says_something(text: str) -> bool:
    """Whether there is a letter or a digit in ``text``: signs alone mean the same everywhere."""
    return any(character.isalnum() for character in text)


def _lines(text: str, cut: Callable[[str], list[str]], *, is_html: bool) -> Iterator[TextPart]:
    kept = ""
    for line in text.splitlines(keepends=True):
        inside = line.strip()
        if not says_something(inside):
            kept += line
            continue
        begin = line.index(inside)
        yield TextPart(_marked(kept + line[:begin], is_html), tuple(cut(inside)), is_html)
        kept = line[begin + len(inside) :]
    if kept:
        yield TextPart(_marked(kept, is_html))


def _marked(text: str, is_html: bool) -> str:
    return escape(text, quote=False) if is_html else text
