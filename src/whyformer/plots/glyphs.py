"""Characters that the PNG renderer can draw: a missing glyph must be told, never shown as an empty box."""

from collections.abc import Iterable, Sequence
from functools import cache
from html import escape
from unicodedata import category

from whyformer.plots.chart import CHINESE_FONTS

# Private use: no font has a glyph here, so the renderer draws whatever it draws for a missing one.
NO_GLYPH = "\U0010fffd"


def missing_glyphs(texts: Iterable[str]) -> frozenset[str]:
    """Return the characters of ``texts`` for which no font on this machine has a glyph.

    Asks the renderer that makes the PNG, so the answer holds on every system; about 2 ms for each new
    character beyond ASCII.
    """
    characters = {character for text in texts for character in text if not character.isascii()}
    return frozenset(character for character in characters if not _has_glyph(character))


def visible(token: str) -> str:
    r"""Return ``token`` as a label: what would show nothing, blanks and control characters, as symbols.

    >>> visible("cat"), visible("a b"), visible("\n"), visible("")
    ('cat', 'a␣b', '␊', '∅')
    """
    return "".join(map(_visible, token)) or "∅"


def drawable(labels: Sequence[str], missing: frozenset[str]) -> list[str]:
    """Return ``labels`` with each one that has a missing glyph replaced by ``#`` and its position from 1.

    >>> drawable(["I", "爱", "you"], frozenset("爱"))
    ['I', '#2', 'you']
    """
    return [f"#{index}" if missing & set(label) else label for index, label in enumerate(labels, start=1)]


def _visible(character: str) -> str:
    if character < " ":
        return chr(0x2400 + ord(character))  # the control pictures have the order of the control characters
    return "␣" if character.isspace() else character


@cache
def _has_glyph(character: str) -> bool:
    # Controls (Cc), invisible characters (Cf) and separators (Z...) need none.
    return category(character) in ("Cc", "Cf", "Zs", "Zl", "Zp") or _drawn(character) != _drawn(NO_GLYPH)


@cache
def _drawn(character: str) -> bytes:
    import vl_convert

    text = f'<text x="4" y="24" font-size="20" font-family="{CHINESE_FONTS}">{escape(character)}</text>'
    return vl_convert.svg_to_png(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="32" height="32">{text}</svg>'
    )
