"""Preparation and cutting of text before a tokenizer's model sees it, and the way back from pieces to text.

Nothing is thrown away: a space stays an ordinary character at the front of the word it precedes, so the
pieces laid end to end *are* the text. (SentencePiece, Kudo and Richardson 2018, has the same aim but
writes a space as U+2581, which a text may contain itself.)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from whyformer.data.tokenizers.text.normalization import TextSpec
from whyformer.special_tokens import NAMES

if TYPE_CHECKING:
    from tokenizers.decoders import Decoder
    from tokenizers.normalizers import Normalizer
    from tokenizers.pre_tokenizers import PreTokenizer

Split = Literal["words", "spaces"]
"""Where pieces must end.

``words``: runs of letters, single digits, and runs of punctuation are kept apart (raw text).
``spaces``: only white space separates (text cut by another tokenizer, for instance Moses).
"""

_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}"  # scripts written without spaces
_LETTERS = rf"[\p{{L}}\p{{M}}&&[^{_UNSPACED}]]+"
_WHITE_SPACE = r"\s+(?!\S)|\s"
_WORD = "|".join(
    [
        rf"[{_UNSPACED}]+",
        rf" ?{_LETTERS}(?:['’]{_LETTERS})*",
        r" ?\p{N}",
        r" ?[^\s\p{L}\p{M}\p{N}]+",
        _WHITE_SPACE,
    ]
)
_SPACED = rf" ?\S+|{_WHITE_SPACE}"

UNSPACED_CHARACTER = rf"[{_UNSPACED}]"
FRONT = rf"\A(?=[^{_UNSPACED}])"
"""Front of a text that gets a space."""
HASH = "#"


def word_pattern(split: Split) -> str:
    """Return the regular expression whose matches, laid end to end, are the whole text."""
    match split:
        case "words":
            return _WORD
        case "spaces":
            return _SPACED


def spelled_special_pattern(specials: Iterable[str]) -> str:
    """Match the first character of every special token or byte piece that a text spells out.

    Cut off there, the text ``</s>`` becomes ``<`` and ``/s>`` and can never be taken for the token. To the
    library ``<0xab>`` and ``<0x+a>`` name bytes, too.
    """
    spelled = [f"{re.escape(name[0])}(?={re.escape(name[1:])})" for name in (*NAMES, *specials)]
    return "|".join([*spelled, "<(?=0x[+0-9A-Fa-f][0-9A-Fa-f]>)"])


def without(pattern: str, characters: Iterable[str]) -> list[str]:
    """Return those of ``characters`` that ``pattern``, in the library's own syntax, does not match."""
    from tokenizers import Regex, normalizers

    return list(normalizers.Replace(Regex(pattern), "").normalize_str("".join(characters)))


@dataclass(frozen=True)
class Cutting:
    """Changes and cuts of a text before the model, and its way back."""

    patterns: Sequence[str]
    """Cuts made one after the other: every match, and every stretch between matches, stands alone."""
    text: TextSpec
    lowercase: bool
    space_in_front: bool
    """Give the first word the space that every other word has, unless its script has no spaces."""

    def normalizer(self) -> Normalizer:
        """Build the changes a text goes through before it is cut."""
        from tokenizers import Regex, normalizers

        steps = self.text.steps()
        if self.lowercase:
            steps.append(normalizers.Lowercase())
        if self.space_in_front:
            steps.append(normalizers.Replace(Regex(FRONT), " "))
        return normalizers.Sequence(steps)

    def pre_tokenizer(self, *, only: Sequence[str] | None = None) -> PreTokenizer:
        """Build the cuts; with ``only``, every other character is cut out (for training)."""
        from tokenizers import Regex, pre_tokenizers

        cuts = [pre_tokenizers.Split(Regex(pattern), behavior="isolated") for pattern in self.patterns]
        if only is not None:
            listed = "".join(rf"\x{{{ord(character):X}}}" for character in only)
            cuts.append(pre_tokenizers.Split(Regex(f"[^{listed}]"), behavior="removed"))
        return pre_tokenizers.Sequence(cuts)

    def decoder(self, to_text: Iterable[Decoder]) -> Decoder:
        """Build the way back: ``to_text`` on each piece, all laid end to end, less the space in front."""
        from tokenizers import decoders

        last: list[Decoder] = [decoders.Fuse()]
        if self.space_in_front:
            last.append(decoders.Strip(" ", left=1, right=0))
        return decoders.Sequence([*to_text, *last])
