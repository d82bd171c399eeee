"""The tokenizer of BLEU that suits a text."""

import unicodedata
from collections import Counter
from collections.abc import Iterable
from typing import Literal

from whyformer.data.corpora.detection.scripts import WRITTEN_WITHOUT_SPACES, Script, script_of_letter

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
    letters: Counter[Script] = Counter()
    for character, count in Counter("".join(texts)).items():
        # Letters, and the marks that stand for vowels.
        if unicodedata.category(character)[0] in "LM":
            letters[script_of_letter(character)] += count
    unspaced = sum(letters[script] for script in WRITTEN_WITHOUT_SPACES)
    if unspaced == 0 or unspaced < _UNSPACED * letters.total():
        return "13a"
    is_chinese = unspaced < 2 * letters["han"] and letters["kana"] < _KANA * unspaced
    return "zh" if is_chinese else "char"
