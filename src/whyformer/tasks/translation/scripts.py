"""Scripts of texts, as far as they decide how words are told apart."""

import unicodedata
from collections import Counter
from collections.abc import Iterable
from typing import Literal

# The first and last code points of each block, and what is written in it.
_BLOCKS = (
    (0x0E00, 0x0EFF, "other"),  # Thai, Lao
    (0x0F00, 0x0FFF, "other"),  # Tibetan
    (0x1000, 0x109F, "other"),  # Burmese
    (0x1780, 0x17FF, "other"),  # Khmer
    (0x19E0, 0x19FF, "other"),
    (0x1A20, 0x1AAF, "other"),  # Tai Tham
    (0x2E80, 0x2FDF, "han"),
    (0x3005, 0x3007, "han"),
    (0x3021, 0x3029, "han"),
    (0x3040, 0x30FF, "kana"),
    (0x3100, 0x312F, "han"),  # Bopomofo
    (0x31F0, 0x31FF, "kana"),
    (0x3400, 0x4DBF, "han"),
    (0x4E00, 0x9FFF, "han"),
    (0xA9E0, 0xA9FF, "other"),
    (0xAA60, 0xAA7F, "other"),
    (0xF900, 0xFAFF, "han"),
    (0xFF66, 0xFF9F, "kana"),
    (0x20000, 0x3FFFF, "han"),
)
_UNSPACED = 0.3
"""Share of letters in scripts without spaces from which on a text is cut by character. A foreign name has
many letters where such a script has one, so it is less than half."""
_KANA = 0.05
"""Share of kana among them from which on a text is Japanese."""


def suited_tokenize(texts: Iterable[str]) -> Literal["13a", "zh", "char"]:
    """BLEU's tokenizer that suits the script of ``texts``.

    ``zh`` for Chinese, ``char`` for other scripts that put no space between words (Japanese, Thai, Lao,
    Khmer, Burmese, Tibetan), ``13a`` for all others.
    """
    letters: Counter[str] = Counter()
    for character, count in Counter("".join(texts)).items():
        letters[_script(character)] += count
    unspaced = letters["han"] + letters["kana"] + letters["other"]
    if unspaced == 0 or unspaced < _UNSPACED * (unspaced + letters["spaced"]):
        return "13a"
    is_chinese = letters["other"] < letters["han"] and letters["kana"] < _KANA * unspaced
    return "zh" if is_chinese else "char"


def _script(character: str) -> str:
    """The kind of script of a letter or mark; "none" of anything else."""
    point = ord(character)
    for first, last, kind in _BLOCKS:
        if first <= point <= last:
            return kind
    return "spaced" if unicodedata.category(character)[0] == "L" else "none"
