"""Facts about a tokenizer's training text, by which a text in use is found to be unlike it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from whyformer.data.tokenizers.text.sentences import split_line

_SAMPLE = 20_000
_FEW = 0.01


@dataclass(frozen=True)
class SeenText:
    """The training text in a few facts, which lie in the tokenizer's file."""

    characters: frozenset[str]
    """All characters of it, in normal form."""
    sentences: int
    """Sentences of a line, of which not one line in a hundred has more."""

    @staticmethod
    def of(lines: Sequence[str]) -> SeenText:
        """The facts about ``lines``, which are in normal form."""
        counts = sorted(len(split_line(line)) for line in lines[:: max(1, len(lines) // _SAMPLE)])
        usual = counts[-1 - int(_FEW * len(counts))] if counts else 1
        return SeenText(frozenset().union(*lines), max(1, usual))

    def record(self) -> dict[str, Any]:
        """The facts, ready for JSON."""
        return {"characters": "".join(sorted(self.characters)), "sentences": self.sentences}

    @staticmethod
    def read(record: object) -> SeenText | None:
        """The facts that ``record`` has written; None where a file has none or another form of it."""
        match record:
            case {"characters": str(characters), "sentences": int(sentences)}:
                return SeenText(frozenset(characters), sentences)
            case _:
                return None


def named(characters: Iterable[str], most: int = 10) -> str:
    """``characters`` with their code points, the first ``most`` of them."""
    listed = sorted(characters)
    shown = ", ".join(
        f"{character} (U+{ord(character):04X})" if character.isprintable() else f"U+{ord(character):04X}"
        for character in listed[:most]
    )
    return f"{shown}, …" if len(listed) > most else shown
