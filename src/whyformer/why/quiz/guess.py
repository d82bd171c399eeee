"""A guess at which points an answer has, by the words that it shares with them; the user decides.

A point is proposed if the answer has enough of its words. Those count that the prose of the question uses too
and its title does not, so that neither "knows" nor what was asked counts; and the more, the rarer they are in
the prose of all questions. English words are compared by their stems, Chinese text by pairs of neighbouring
characters, and of two words for one thing either will do. What is meant, or denied, is beyond it.
"""

import math
import re
from collections import Counter
from functools import cache

from whyformer.language import Language
from whyformer.why.book.plain import plain_text
from whyformer.why.book.prose import FOLDER, LISTS, MARKED, read_prose, without_marks
from whyformer.why.quiz.cards import Card
from whyformer.why.terminal.search import SAME, normalized

PROPOSED_FROM = 0.4
"""Share of a point's weight that an answer must have for the point to be proposed."""
_WORD = re.compile(r"[a-z0-9√]+|[\u4e00-\u9fff]+")
_LEAST = 4
"""Letters that a stem keeps."""
# Longest first.
_ENDINGS = (
    *("isations", "izations", "isation", "ization", "ically", "ations", "ation", "ments", "ingly"),
    *("ising", "izing", "ities", "ness", "ment", "ions", "ally", "ised", "ized", "ises", "izes", "ings"),
    *("ion", "ise", "ize", "ity", "ies", "ied", "ing", "ers", "est", "al", "ic", "er", "ed", "es", "ly"),
    *("e", "y", "s"),
)


def guess_points(answer: str, card: Card, lang: Language) -> list[int]:
    """Indices of the points of ``card`` in ``lang`` that an ``answer`` seems to have; of a blank one none."""
    said = terms(answer)
    told = terms(" ".join(card.context(lang))) - terms(card.title.say(lang))
    found: list[int] = []
    for index, point in enumerate(card.points(lang)):
        weights = {term: _weight(term, lang) for term in terms(point) & told}
        shared = sum(weight for term, weight in weights.items() if term in said)
        if shared > 0 and shared >= PROPOSED_FROM * sum(weights.values()):
            found.append(index)
    return found


def terms(text: str) -> set[str]:
    """Stems of English words, and pairs of neighbouring Chinese characters.

    >>> sorted(terms("Masked heads: the masks' heads"))
    ['head', 'the', '掩码']
    >>> sorted(terms("因果掩码")) == sorted(terms("因果 mask") | {"果掩"})
    True
    """
    found: set[str] = set()
    words: list[str] = _WORD.findall(normalized(text))
    for word in words:
        same = _names().get(stem(word), word)
        found |= {stem(same)} if same.isascii() else _pairs(same)
    return found


def _pairs(text: str) -> set[str]:
    return {text} if len(text) < 2 else {text[at : at + 2] for at in range(len(text) - 1)}


def stem(word: str) -> str:
    """``word`` without its ending.

    >>> [stem(word) for word in ("vectors", "normalised", "normalization", "cached", "cache", "loss")]
    ['vector', 'normal', 'normal', 'cach', 'cach', 'loss']
    """
    if not word.isascii() or word.endswith("ss"):
        return word
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _LEAST:
            return word.removesuffix(ending)
    return word


@cache
def _names() -> dict[str, str]:
    """By the stem of a word, the word that stands for all that mean the same."""
    return {stem(other): same[0] for same in SAME for other in same[1:] if other.isascii()}


def _weight(term: str, lang: Language) -> float:
    """Rarity of a term in the prose: the logarithm of one in how many passages has it."""
    counts, passages = _passages(lang)
    return math.log(passages / (counts[term] + 1))


@cache
def _passages(lang: Language) -> tuple[Counter[str], int]:
    """In how many passages of all questions each term stands, and the number of passages."""
    counts: Counter[str] = Counter()
    passages = 0
    for path in sorted(FOLDER.glob(f"q*.{lang}.md")):
        prose = read_prose(path.name.partition(".")[0], lang)
        for part in (*MARKED, *LISTS):
            for passage in without_marks(prose.paragraphs(part)):
                counts.update(terms(plain_text(passage)))
                passages += 1
    return counts, passages
