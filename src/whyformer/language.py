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
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from string import Formatter
from typing import Final, Literal, get_args

Language = Literal["en", "zh"]
LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)

# The first of them that says anything decides, as POSIX has it behind our own.
_VARIABLES = ("WHYFORMER_LANG", "LC_ALL", "LC_MESSAGES", "LANG")
_QUOTED = re.compile(r"""'[^']*'|"[^"]*"|`[^`]*`""")
_SENTENCE_END = re.compile(r"(?<=[.?!]) ")
# Letters outside of holes below which a template says too little to be recognised by them.
_LITTLE = 6
# What stands before a hole that may hold anything, at the end of such a template.
_OPEN = (": ", "is ", "be ", "=")
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


@functools.cache
def read_catalogue(language: Language) -> "MessageCatalogue":
    """The catalogue of a language other than English, read once."""
    return MessageCatalogue(json.loads((_CATALOGUES / f"{language}.json").read_text(encoding="utf-8")))


@dataclass(frozen=True)
class _Template:
    """An English template and its translation."""

    literals: tuple[str, ...]
    """The text before, between and behind the holes."""
    translation: str

    @functools.cached_property
    def weight(self) -> int:
        """How much of a message it settles: the letters outside its holes."""
        return sum(character.isalnum() for literal in self.literals for character in literal)

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


class MessageCatalogue:
    """Templates of one language, and the search for the one that a message was made by."""

    def __init__(self, entries: Mapping[str, str]) -> None:
        self._words = {_plain(key): _plain(value) for key, value in entries.items() if not holes(key)}
        templates = [_Template(tuple(_literals(key)), value) for key, value in entries.items() if holes(key)]
        self._templates = sorted(templates, key=lambda template: template.rank)
        self._known = dict[str, str | None]()

    def say(self, text: str) -> str:
        """``text`` translated: whole, else line by line, else clause by clause; else as it is."""
        bare = text.strip()
        found = self._found(bare) if bare else None
        return text if found is None else text.replace(bare, found, 1)

    def matches(self, text: str) -> list[str]:
        """The translations of the templates that fit ``text`` best: one, if all is well."""
        if text in self._words:
            return [self._words[text]]
        fits = [template for template in self._templates if template.pattern.fullmatch(text)]
        return [template.translation for template in fits if template.rank == fits[0].rank]

    def _found(self, text: str) -> str | None:
        if text not in self._known:
            self._known[text] = self._sought(text)
        return self._known[text]

    def _sought(self, text: str) -> str | None:
        if text in self._words:
            return self._words[text]
        if "\n" not in text:
            for template in self._templates:
                if template.anchor in text and (match := template.pattern.fullmatch(text)):
                    return self._filled(template.translation, match.groups())
        return self._in_parts(text)

    def _in_parts(self, text: str) -> str | None:
        """A message that was put together of others: by lines, clauses, sentences, or behind a colon."""
        splits = (text.split("\n"), "\n"), (text.split("; "), "；"), (_SENTENCE_END.split(text), "")
        for parts, joined in splits:
            if len(parts) > 1:
                said = [self.say(part) for part in parts]
                if said != parts:
                    return joined.join(said)
        place, colon, rest = text.partition(": ")
        if colon and (said := self._found(rest)) is not None:
            return f"{self.say(place)}：{said}"
        if text.endswith(".") and (said := self._found(text[:-1])) is not None:
            return f"{said}。"
        return None

    def _filled(self, translation: str, values: tuple[str, ...]) -> str:
        parts = list[str]()
        for literal, name, kind, _ in Formatter().parse(translation):
            parts.append(literal)
            if name is not None:
                parts.append(self._in_hole(values[int(name)], kind or ""))
        return "".join(parts)

    def _in_hole(self, value: str, kind: str) -> str:
        """Content of a hole, translated: a ``word`` or a ``list`` of words where the translation says so."""
        match kind:
            case "plain":
                return value
            case "word":
                return self.say(value)
            case "list":
                return "、".join(map(self._counted, value.split(", ")))
            case _:
                # A single word may be anybody's, a file, a label, a key, and so is what stands in quotes.
                is_ours = " " in value.strip() and not _QUOTED.fullmatch(value.strip())
                return self.say(value) if is_ours else value

    def _counted(self, item: str) -> str:
        """An item of a list, such as ``5 too few columns``."""
        number, space, word = item.partition(" ")
        if space and number.replace(",", "").isdecimal():
            return f"{number} {self.say(word)}"
        return self.say(item)


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
