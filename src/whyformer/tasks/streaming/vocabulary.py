"""Symbols of a recogniser, their ids, and the words with their times that a search's symbols make."""

import hashlib
import json
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final, Literal, NamedTuple, get_args

from whyformer.errors import DataError, TokenizerError
from whyformer.files import write_text

SymbolUnit = Literal["word", "character"]
"""Text that one symbol stands for; of characters, the space is a symbol too and parts the words."""

_FILE: Final = "symbols.json"
_SPACE: Final = " "
_SHOWN = 20
"""Symbols that a sentence about an unknown one lists."""


class TimedWord(NamedTuple):
    """A word that was heard."""

    text: str
    """As it is written."""
    start: int
    """Frame in which its first symbol begins."""
    end: int
    """Frame in which its last symbol begins; the same for a word that is one symbol."""
    stable: bool
    """Whether nothing that is still to come can change or lengthen it."""


@dataclass(frozen=True)
class SymbolTable:
    """Symbols of a recogniser; the first has id 1, since 0 is the blank. An asset of a run."""

    unit: SymbolUnit
    """Text that one symbol stands for."""
    symbols: tuple[str, ...]
    """All of them, none twice."""

    def __post_init__(self) -> None:
        if len({*self.symbols}) != len(self.symbols) or not self.symbols:
            raise ValueError("a table of symbols needs some, and each once")
        for symbol in self.symbols:
            if not (symbol == _SPACE or symbol == _written(symbol) != ""):
                raise ValueError(
                    f"{symbol!r} cannot be a symbol: it is empty, or has white space, or is not NFC"
                )
            if self.unit == "character" and len(symbol) > 1:
                raise ValueError(f"{symbol!r} is no single character")
            if self.unit == "word" and _SPACE in symbol:
                raise ValueError(f"{symbol!r} is no single word")

    @staticmethod
    def of_texts(texts: Iterable[str], unit: SymbolUnit) -> "SymbolTable":
        """The table of all symbols of ``texts``, in the order of their code points.

        Raises:
            DataError: there are none.
        """
        found = {symbol for text in texts for symbol in _parts(text, unit)}
        if not found:
            raise DataError("the transcripts are empty; a recogniser needs words to learn.")
        return SymbolTable(unit, tuple(sorted(found)))

    @property
    def size(self) -> int:
        """Number of symbols V, the blank included."""
        return len(self.symbols) + 1

    def encode(self, text: str, place: str = "transcript") -> list[int]:
        """The ids of ``text``; white space is one space wherever it is, and none at the ends.

        Raises:
            DataError: the text has a symbol that the table lacks; ``place`` tells its file and line.
        """
        ids = self._ids
        try:
            return [ids[symbol] for symbol in _parts(text, self.unit)]
        except KeyError as error:
            known = " ".join(map(repr, self.symbols[:_SHOWN])) + (" …" if len(self.symbols) > _SHOWN else "")
            raise DataError(
                f"{place}: {error.args[0]!r} is none of the {len(self.symbols)} symbols of the recogniser "
                f"({known}); correct it, or train with texts that have it."
            ) from None

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ``ids``: its words, a space between."""
        return _SPACE.join(word.text for word in self.words(ids, [0] * len(ids)))

    def words(self, ids: Sequence[int], times: Sequence[int], stable: int = 0) -> list[TimedWord]:
        """The words of ``ids``, of which symbol i begins in frame ``times[i]`` and the first ``stable`` stay.

        A word of characters is stable only with the space behind it, since it might go on.

        Raises:
            ValueError: an id is none of the table's, or there is not one time for each.
        """
        if wrong := [each for each in ids if not 0 < each < self.size]:
            raise ValueError(f"ids {wrong} are not all between 1 and {self.size - 1}")
        heard = list(zip((self.symbols[each - 1] for each in ids), times, strict=True))
        if self.unit == "word":
            return [TimedWord(word, time, time, place < stable) for place, (word, time) in enumerate(heard)]
        words: list[TimedWord] = []
        first: int | None = None
        for place, (symbol, _) in enumerate([*heard, (_SPACE, 0)]):
            if symbol != _SPACE:
                first = place if first is None else first
            elif first is not None:
                text = "".join(character for character, _ in heard[first:place])
                words.append(TimedWord(text, heard[first][1], heard[place - 1][1], place < stable))
                first = None
        return words

    def whole(self, ids: Sequence[int]) -> int:
        """How many of the first ``ids`` are whole words, whatever follows."""
        if self.unit == "word":
            return len(ids)
        spaces = (place for place in reversed(range(len(ids))) if self.symbols[ids[place] - 1] == _SPACE)
        return next(spaces, -1) + 1

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {symbol: index for index, symbol in enumerate(self.symbols, 1)}

    @property
    def description(self) -> str:
        """Kind and size, in words."""
        if self.unit == "word":
            return f"a table of {len(self.symbols):,} words"
        return f"a table of {len(self.symbols):,} characters"

    @property
    def fingerprints(self) -> list[str]:
        """The table's fingerprint alone."""
        return [self.fingerprint]

    @cached_property
    def fingerprint(self) -> str:
        """Twelve hexadecimal digits that are equal exactly when the tables are."""
        canonical = json.dumps([self.unit, self.symbols], ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:12]

    def save(self, folder: Path) -> None:
        """Write ``symbols.json``, whole or not at all."""
        document = {"unit": self.unit, "symbols": self.symbols}
        write_text(folder / _FILE, json.dumps(document, ensure_ascii=False, indent=1) + "\n")

    @staticmethod
    def load(folder: Path) -> "SymbolTable":
        """Read what ``save`` wrote.

        Raises:
            TokenizerError: the file is missing, damaged or foreign.
        """
        path = folder / _FILE
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise TokenizerError(f"{path}: no such table of symbols; train the recogniser anew.") from None
        except OSError as error:
            raise TokenizerError(
                f"{path}: cannot be read as a table of symbols ({error.strerror})."
            ) from error
        except ValueError as error:  # not UTF-8, or not JSON
            raise TokenizerError(f"{path}: a damaged table of symbols; train the recogniser anew.") from error
        match document:
            case {"unit": str(unit), "symbols": list(symbols)} if unit in get_args(SymbolUnit):
                pass
            case _:
                raise TokenizerError(f"{path}: not a table of symbols; train the recogniser anew.")
        try:
            return SymbolTable(unit, tuple(map(str, symbols)))  # pyright: ignore[reportArgumentType]
        except ValueError as error:
            raise TokenizerError(f"{path}: {error}; train the recogniser anew.") from None


def _written(text: str) -> str:
    """``text`` composed (NFC), with one space for any white space between words."""
    return _SPACE.join(unicodedata.normalize("NFC", text).split())


def _parts(text: str, unit: SymbolUnit) -> list[str]:
    written = _written(text)
    return written.split() if unit == "word" else list(written)
