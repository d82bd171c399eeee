"""Language of what the program says: English in the source, other languages from a catalogue each.

Messages are written where they arise, as plain English f-strings, and lower rooms know of no language.
Whoever prints them calls ``translated``. A catalogue, ``locales/LANGUAGE.json``, maps templates, which are
those strings with numbered holes (``{0}: no such file.``), to templates of its language. A rendered message
is matched with them; what stands in a hole is translated in its turn. Records and data are never translated.
"""

import functools
import json
import re
import unicodedata
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from string import Formatter
from typing import Final, Literal, NamedTuple, get_args

Language = Literal["en", "zh"]
LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)

# The first of them that says anything decides, as POSIX has it behind our own.
_VARIABLES = ("WHYFORMER_LANG", "LC_ALL", "LC_MESSAGES", "LANG")
# Before a message, each of them is a message's kind and no part of it.
_LABELS = ("error", "note", "warning", "refused")
_QUOTED = re.compile(r"""'[^']*'|"[^"]*"|`[^`]*`""")
_SENTENCE_END = re.compile(r"(?<=[.?!]) ")
# Characters that need no space beside them, and those that have none behind them.
_WIDE = re.compile(r"[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]")
_STOPS = "。？！；，："
# Letters outside of holes below which a template says too little to be recognised by them.
_LITTLE = 6
# What stands before a hole that may hold anything, at the end of such a template.
_OPEN = (": ", "is ", "be ", "=")
# A line must not begin with the first, nor end with the second.
_CLOSING = "，。；：、！？）】》”’…,.;:!?)]}%％"
_OPENING = "（【《“‘([{"
_UNIT = r"\s+|[⺀-鿿豈-﫿＀-￯“”‘’…]|[^\s⺀-鿿豈-﫿＀-￯“”‘’…]+"
_CATALOGUES = Path(__file__).parent / "locales"

_language: ContextVar[Language] = ContextVar("language", default="en")


def current_language() -> Language:
    """The language that the program speaks at the moment; English unless ``speaking`` says otherwise."""
    return _language.get()


@contextmanager
def speaking(language: Language) -> Generator[None]:
    """Speak ``language`` inside the block."""
    token = _language.set(language)
    try:
        yield
    finally:
        _language.reset(token)


def language_of(environment: Mapping[str, str]) -> Language:
    """The language that the variables of an environment ask for; English where we do not speak it."""
    asked = next((environment[name] for name in _VARIABLES if environment.get(name)), "")
    found: list[Language] = [language for language in LANGUAGES if asked.lower().startswith(language)]
    return found[0] if found else "en"


def translated(text: str) -> str:
    """``text`` in the current language, white space around it kept; as it is where no template fits."""
    language = current_language()
    return text if language == "en" else read_catalogue(language).say(text)


def display_width(text: str) -> int:
    """The columns that ``text`` takes on a terminal: two for a Chinese character."""
    return len(text) + sum(unicodedata.east_asian_width(character) in "WF" for character in text)


def padded(text: str, width: int) -> str:
    """``text`` with spaces behind it, up to ``width`` columns."""
    return text + " " * (width - display_width(text))


def lines_of_width(text: str, width: int) -> list[str]:
    """``text`` in lines of at most ``width`` columns, cut at spaces and between Chinese characters.

    No line begins with a mark that closes, or ends with one that opens.
    """
    lines, line = list[str](), ""
    for unit in _line_pieces(text):
        if line and display_width((line + unit).rstrip()) > width:
            lines.append(line.rstrip())
            line = unit.lstrip()
        else:
            line += unit
    return [*lines, line.rstrip()]


def _line_pieces(text: str) -> Iterator[str]:
    """The pieces between which a line may end."""
    unit = ""
    for piece in re.findall(_UNIT, text):
        glued = piece[0] in _CLOSING or piece.isspace() or unit.rstrip()[-1:] in {*_OPENING}
        if unit and not glued:
            yield unit
            unit = ""
        unit += piece
    yield unit


@functools.cache
def read_catalogue(language: Language) -> "MessageCatalogue":
    """The catalogue of a language other than English, read once."""
    return MessageCatalogue(json.loads((_CATALOGUES / f"{language}.json").read_text(encoding="utf-8")))


class _Template:
    """An English template and its translation."""

    def __init__(self, template: str, translation: str) -> None:
        # The text before, between and behind the holes.
        self.literals = tuple(_literals(template))
        self.translation = translation

    @functools.cached_property
    def weight(self) -> int:
        """How much of a message it settles: the letters outside its holes."""
        return _letters("".join(self.literals))

    @property
    def rank(self) -> tuple[int, int, int]:
        """The order in which templates are tried: those that say most first."""
        return -self.weight, -sum(map(len, self.literals)), len(self.literals)

    @functools.cached_property
    def anchor(self) -> str:
        """The longest text outside its holes, which is cheap to look for."""
        return max(self.literals, key=len)

    @functools.cached_property
    def pattern(self) -> re.Pattern[str]:
        """Form of a rendered message.

        Where little is said outside of the holes, no hole has a space, or half of all sentences would fit.
        """
        anything, wordlike = ("(.*?)", "(.*?)") if self.weight >= _LITTLE else ("(.*?)", r"(\S*?)")
        last = len(self.literals) - 2
        text = re.escape(self.literals[0])
        for number, literal in enumerate(self.literals[1:]):
            is_open = number == last and self.literals[number].endswith(_OPEN)
            hole = anything if is_open else wordlike
            # Of two holes side by side the first has all.
            text += (hole.replace("?", "") if not literal and number < last else hole) + re.escape(literal)
        return re.compile(text, re.DOTALL)


class _Said(NamedTuple):
    """A text in another language."""

    text: str
    letters: int
    """How many of its letters were recognised; 0 where it stayed as it was."""


def _is_whole(text: str) -> bool:
    """Whether ``text`` is no torn piece of a choice in braces, such as ``{kind: rotary}``."""
    return text.count("{") == text.count("}")


class MessageCatalogue:
    """Templates of one language, and the search for those that a message was made by.

    Several may fit, since a hole may hold anything; right is what recognises most letters of the message.
    """

    def __init__(self, entries: Mapping[str, str]) -> None:
        self._words = {_plain(key): _plain(value) for key, value in entries.items() if not holes(key)}
        templates = [_Template(key, value) for key, value in entries.items() if holes(key)]
        self._templates = sorted(templates, key=lambda template: template.rank)
        self._known = dict[str, _Said]()

    def say(self, text: str) -> str:
        """``text`` translated: whole, else line by line, else clause by clause; else as it is."""
        return self._said(text).text

    def matches(self, text: str) -> list[str]:
        """The translations of the templates that fit ``text`` best: one, if all is well."""
        if text in self._words:
            return [self._words[text]]
        fits = [template for template in self._templates if template.pattern.fullmatch(text)]
        return [template.translation for template in fits if template.rank == fits[0].rank]

    def _said(self, text: str) -> _Said:
        """``text`` with the white space around it as it was."""
        bare = text.strip()
        if bare not in self._known:
            self._known[bare] = self._sought(bare)
        found = self._known[bare]
        return _Said(text.replace(bare, found.text, 1), found.letters) if found.letters else _Said(text, 0)

    def _sought(self, text: str) -> _Said:
        if text in self._words:
            return _Said(self._words[text], _letters(text))
        if "\n" in text:
            return self._joined(text.split("\n"), "\n")
        label, colon, rest = text.partition(": ")
        if colon and label in _LABELS:
            return self._joined([label, rest], "：")
        return max(self._readings(text), key=lambda said: said.letters, default=_Said(text, 0))

    def _readings(self, text: str) -> Iterator[_Said]:
        """All ways to understand a line: made by a template, or put together of other messages.

        Clauses that are known each by itself are no content of one hole.
        """
        clauses = text.split("; ")
        is_known = len(clauses) > 1 and all(self._said(clause).letters for clause in clauses)
        for template in self._templates:
            if is_known and not any("; " in literal for literal in template.literals):
                continue
            match = template.pattern.fullmatch(text) if template.anchor in text else None
            if match is not None and all(map(_is_whole, match.groups())):
                yield self._filled(template, match.groups())
        for parts, between in (clauses, "；"), (_SENTENCE_END.split(text), ""):
            if len(parts) > 1:
                yield self._joined(parts, between)
        place, colon, rest = text.partition(": ")
        if colon and rest and _is_whole(place):
            yield _join([self._in_hole(place, ""), self._said(rest)], "：")
        if text.endswith(".") and len(text) > 1 and (said := self._said(text[:-1])).letters:
            yield _Said(f"{said.text}。", said.letters)
        if len(items := text.split(", ")) > 1:
            # A single word may be anybody's.
            yield _join([self._item(item) if " " in item else _Said(item, 0) for item in items], "，")

    def _joined(self, parts: Sequence[str], between: str) -> _Said:
        return _join([self._said(part) for part in parts], between)

    def _filled(self, template: _Template, values: Sequence[str]) -> _Said:
        text, letters, is_ours = "", template.weight, False
        for literal, name, kind, _ in Formatter().parse(template.translation):
            text = _side_by_side(text, literal) if is_ours else text + literal
            if name is not None:
                said = self._in_hole(values[int(name)], kind or "")
                # What a user wrote keeps the spaces around it.
                is_ours = said.letters > 0
                text = _side_by_side(text, said.text) if is_ours else text + said.text
                letters += said.letters
        return _Said(text, letters)

    def _in_hole(self, value: str, kind: str) -> _Said:
        """Content of a hole, translated: a ``word`` or a ``list`` of words where the translation says so."""
        match kind:
            case "plain":
                return _Said(value, 0)
            case "word":
                return self._said(value)
            case "list":
                return _join([self._item(item) for item in value.split(", ")], "、")
            case _:
                # A single word may be anybody's, a file, a label, a key, and so is what stands in quotes.
                is_ours = " " in value.strip() and not _QUOTED.fullmatch(value.strip())
                return self._said(value) if is_ours else _Said(value, 0)

    def _item(self, item: str) -> _Said:
        """An item of a list, such as ``5 too few columns``."""
        number, space, word = item.partition(" ")
        whole = self._said(item)
        if space and number.replace(",", "").isdecimal():
            said = self._said(word)
            if said.letters and said.letters >= whole.letters:
                return _Said(f"{number} {said.text}", said.letters)
        return whole


def _join(parts: Sequence[_Said], between: str) -> _Said:
    """Parts one behind the other; as in English where none was recognised."""
    return _Said(between.join(part.text for part in parts), sum(part.letters for part in parts))


def _side_by_side(left: str, right: str) -> str:
    """``left`` and ``right`` with no single space between two wide characters, or behind a wide stop."""
    before, behind = left.removesuffix(" "), right.removeprefix(" ")
    if len(left) - len(before) + len(right) - len(behind) == 1:
        last, first = before[-1:], behind[:1]
        if (last and last in _STOPS) or (_WIDE.match(last) and _WIDE.match(first)):
            return before + behind
    return left + right


def _letters(text: str) -> int:
    return sum(character.isalnum() for character in text)


def holes(template: str) -> list[str]:
    """The numbers of a template's holes, in the order in which they stand."""
    return [name for _, name, _, _ in Formatter().parse(template) if name is not None]


def _plain(template: str) -> str:
    """A template without holes as it is printed: braces stand once."""
    return "".join(literal for literal, _, _, _ in Formatter().parse(template))


def _literals(template: str) -> Iterator[str]:
    """The texts around the holes: one more than there are holes."""
    text = ""
    for literal, name, _, _ in Formatter().parse(template):
        text += literal
        if name is not None:
            yield text
            text = ""
    yield text
