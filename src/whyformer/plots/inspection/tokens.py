"""Labels of tokens: short, never empty, never a mark that looks like a bar or a speck."""

from collections.abc import Sequence
from math import ceil
from unicodedata import category, east_asian_width

from whyformer.plots.chart import Language
from whyformer.plots.glyphs import visible
from whyformer.plots.inspection.map import AttentionMap

BLANK = "·"
"""Stands for the blank that a piece begins with."""
_BLANK_MARK = "▁"
_QUOTES: dict[Language, tuple[str, str]] = {"en": ("“", "”"), "zh": ("「", "」")}
_MOST_CHARACTERS = 24
# Of a label: what a quotient in floating point may have above a whole number.
_ROUNDING = 1e-9
_ARROW = " → "
_NARROW, _BROAD = frozenset("ijltfrI.,:;!|'·()[]- "), frozenset("mwMW@%—→…")


def token_label(token: str, lang: Language) -> str:
    """Return ``token`` as a label; a token of punctuation alone stands in quotation marks.

    >>> token_label("▁in", "en"), token_label(",", "en"), token_label("。", "zh"), token_label("▁", "en")
    ('·in', '“,”', '「。」', '·')
    """
    label = visible(token.replace(_BLANK_MARK, BLANK))
    if len(label) > _MOST_CHARACTERS:
        label = label[: _MOST_CHARACTERS - 1] + "…"
    bare = label.removeprefix(BLANK)
    if bare and all(category(character).startswith("P") for character in bare):
        opening, closing = _QUOTES[lang]
        return f"{label[: len(label) - len(bare)]}{opening}{bare}{closing}"
    return label


def row_labels(map_: AttentionMap, lang: Language) -> list[str]:
    """Return the label of each row: the token fed and, where there is one, the token then written."""
    fed = [token_label(token, lang) for token in map_.queries]
    if map_.written is None:
        return fed
    return [
        f"{label}{_ARROW}{token_label(token, lang)}" for label, token in zip(fed, map_.written, strict=True)
    ]


def column_labels(map_: AttentionMap, lang: Language) -> list[str]:
    """Return the label of each column."""
    return [token_label(token, lang) for token in map_.keys]


def text_width(text: str, size: float) -> float:
    """Return about how wide ``text`` is in a sans-serif font of ``size`` pixels; rather more than less."""
    return size * sum(map(_advance, text))


def cut_row_to_width(label: str, size: float, width: float) -> str:
    """Return a row's label, cut where it is wider than ``width`` pixels; of two tokens both keep a part."""
    fed, arrow, written = label.partition(_ARROW)
    if not arrow or text_width(label, size) <= width:
        return cut_to_width(label, size, width)
    room = width - text_width(arrow, size)
    # A short one leaves its room to the other.
    left = max(room / 2, room - text_width(written, size))
    fed = cut_to_width(fed, size, left)
    return f"{fed}{arrow}{cut_to_width(written, size, room - text_width(fed, size))}"


def cut_to_width(text: str, size: float, width: float) -> str:
    """Return ``text``, cut and ended by "…" where it is wider than ``width`` pixels."""
    if text_width(text, size) <= width:
        return text
    while text and text_width(text + "…", size) > width:
        text = text[:-1]
    return text + "…"


def wrapped(text: str, size: float, width: float) -> list[str]:
    """Return ``text`` in lines of ``width`` pixels at most, broken at blanks and beside wide characters."""
    lines, line = list[str](), ""
    for unit in _units(text):
        if line and text_width((line + unit).rstrip(), size) > width:
            lines.append(line.rstrip())
            line = unit.lstrip()
        else:
            line += unit
        while text_width(line.rstrip(), size) > width:  # one word that fits no line
            part = cut_to_width(line, size, width + _advance("…") * size)[:-1] or line[0]
            lines.append(part)
            line = line[len(part) :]
    return [*lines, line.rstrip()] if line.strip() else lines


def every_nth(count: int, cell: float, line: float) -> int:
    """Return which of ``count`` labels have room, each or every so many-th; a label takes ``line`` pixels.

    >>> every_nth(41, 15, 14), every_nth(41, 10, 14), every_nth(1, 2, 14)
    (1, 2, 1)
    """
    # 20 cells of 0.7 pixels are 14, although 14 / 0.7 is more than 20 in floating point.
    return 1 if count == 1 else max(1, ceil(line / cell - _ROUNDING))


def percent(probability: float) -> str:
    """Return ``probability`` as a percentage that is never 0 or 100 unless it is exactly that.

    >>> percent(0.5), percent(0.9996), percent(0.00001), percent(1.0)
    ('50 %', '> 99.9 %', '< 0.1 %', '100 %')
    """
    share = 100 * probability
    if 0 < share < 0.1:
        return "< 0.1 %"
    if 99.9 < share < 100:
        return "> 99.9 %"
    return f"{share:.0f} %" if 10 <= share < 99 or share in (0, 100) else f"{share:.1f} %"


def _advance(character: str) -> float:
    if character in _BROAD:
        return 1.0
    if east_asian_width(character) in "WF":
        return 1.0
    if category(character) in ("Mn", "Me", "Cf"):
        return 0.0
    if character in _NARROW:
        return 0.36
    return (
        0.76
        if character.isupper()
        else 0.58
        if character.isascii()
        else 1.0
        if ord(character) > 0x2E80
        else 0.72
    )


def _may_end(word: str, character: str) -> bool:
    """Whether a line may end between a piece and a narrow character after it, such as a closing quote."""
    if category(character) in ("Pe", "Pf"):
        return False
    wide = east_asian_width(word[-1]) in "WF" and category(word[-1]) not in ("Ps", "Pi")
    return wide or word[-1] == " " != character


def _units(text: str) -> Sequence[str]:
    """Return the pieces of ``text`` between which a line may end."""
    units, word = list[str](), ""
    for character in text:
        if east_asian_width(character) in "WF":
            # Chinese punctuation never begins a line, and an opening bracket never ends one.
            if word and (category(character) in ("Po", "Pe", "Pf") or category(word[-1]) in ("Ps", "Pi")):
                word += character
                continue
            if word:
                units.append(word)
            word = character
        elif word and _may_end(word, character):
            units.append(word)
            word = character
        else:
            word += character
    return [*units, word] if word else units
