"""Scripts and words of text, by which two sides of a corpus are told apart."""

import math
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

Script = Literal[
    "latin", "han", "kana", "hangul", "cyrillic", "greek", "arabic", "hebrew", "devanagari", "thai", "other"
]

_BY_NAME: dict[str, Script] = {
    "LATIN": "latin",
    "FULLWIDTH": "latin",
    "CJK": "han",
    "HIRAGANA": "kana",
    "KATAKANA": "kana",
    "HANGUL": "hangul",
    "CYRILLIC": "cyrillic",
    "GREEK": "greek",
    "ARABIC": "arabic",
    "HEBREW": "hebrew",
    "DEVANAGARI": "devanagari",
    "THAI": "thai",
}
_WRITTEN_WITHOUT_SPACES = ("han", "kana", "thai")


@cache
def _script_of_letter(letter: str) -> Script:
    return _BY_NAME.get(unicodedata.name(letter, "").partition(" ")[0], "other")


def script_of(text: str) -> Script | None:
    """The script of most letters of ``text``; None where it has none. Kana beside Chinese characters is kana.

    >>> script_of("3 Äpfel"), script_of("漢字とかな"), script_of("12:30")
    ('latin', 'kana', None)
    """
    counts: Counter[Script] = Counter(_script_of_letter(letter) for letter in text if letter.isalpha())
    if not counts:
        return None
    if counts["kana"] and counts["kana"] * 4 > counts["han"]:
        counts["kana"] += counts["han"]
    return counts.most_common(1)[0][0]


@dataclass(frozen=True)
class TextProfile:
    """Words of a side, by which it is compared with others."""

    script: Script | None
    """Script of most of its letters."""
    words: dict[str, float]
    """Share of each of the most frequent words (of characters, where a script has no spaces)."""
    texts: int
    """Number of texts looked at."""

    def likeness(self, other: "TextProfile") -> float:
        """The cosine of the angle between the two sides' words: 1 for the same ones, 0 for none in common."""
        shared = sum(share * other.words.get(word, 0.0) for word, share in self.words.items())
        lengths = math.hypot(*self.words.values()) * math.hypot(*other.words.values())
        return shared / lengths if lengths else 0.0


_WORDS = 300
_TEXTS = 2000


def profile_of(texts: Sequence[str]) -> TextProfile:
    """The profile of a side, from some two thousand texts all over it."""
    texts = texts[:: max(1, len(texts) // _TEXTS)]
    counts: Counter[str] = Counter()
    scripts: Counter[Script] = Counter()
    for text in texts:
        script = script_of(text)
        if script is not None:
            scripts[script] += 1
            counts.update(_words_of(text, script))
    total = sum(counts.values())
    words = {word: count / total for word, count in counts.most_common(_WORDS)}
    return TextProfile(scripts.most_common(1)[0][0] if scripts else None, words, len(texts))


def _words_of(text: str, script: Script) -> Iterable[str]:
    if script in _WRITTEN_WITHOUT_SPACES:
        return (character for character in text if character.isalpha())
    # Without names and numbers, which both sides share.
    return (word for token in text.split() if (word := token.strip(".,;:!?\"'()«»„“”").lower()).isalpha())


def are_swapped(
    sides: tuple[TextProfile, TextProfile], others: tuple[TextProfile, TextProfile], least: int = 10
) -> bool:
    """Whether ``others`` (source, target) fit ``sides`` the other way round, and clearly better so."""
    if min(profile.texts for profile in (*sides, *others)) < least:
        return False
    straight = sides[0].likeness(others[0]) + sides[1].likeness(others[1])
    crossed = sides[0].likeness(others[1]) + sides[1].likeness(others[0])
    return crossed > straight + 0.3


def strange_script(
    sides: tuple[TextProfile, TextProfile], others: tuple[TextProfile, TextProfile], least: int = 10
) -> str | None:
    """A sentence on a side of ``others`` in another script than that of ``sides``; None if none is."""
    if min(profile.texts for profile in (*sides, *others)) < least:
        return None
    for name, side, other in zip(("sources", "targets"), sides, others, strict=True):
        if side.script is not None and other.script is not None and side.script != other.script:
            return f"its {name} are in {other.script} script, those of data.train in {side.script} script"
    return None
