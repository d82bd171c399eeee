"""Subword pieces learned by merging neighbours, in plain Python: what BPE and WordPiece share, and differ in.

Both start from characters and merge, again and again, the pair of neighbouring symbols with the highest
score; only the score differs. :func:`frequency` makes it byte-pair encoding (Sennrich, Haddow and Birch
2016, algorithm 1), :func:`likelihood_gain` makes it WordPiece (Schuster and Nakajima 2012, section 3).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import pairwise
from math import log

from whyformer.data.tokenizers.pre_tokenization import Cutting

Symbols = tuple[str, ...]
"""A word, spelled in symbols."""
SymbolPair = tuple[int, int]
"""Two neighbouring symbols, by id."""


@dataclass(frozen=True, slots=True)
class Merge:
    """One step of the learning, counted from 1."""

    step: int
    left: str
    right: str
    merged: str
    count: int
    """Times the pair stood in the text just before this step."""
    score: float
    """Score by which this pair was the best."""


class SymbolCounts:
    """Counts of each symbol and each pair of neighbours in the text, kept up merge by merge.

    Pairs in a run overlap, as in the paper's algorithm: ``aaa`` holds the pair of two ``a`` twice.
    """

    def __init__(self, words: Mapping[Symbols, int], mark: str) -> None:
        # Ids break ties: shorter symbols come first, then lower code points, then what is learned.
        self.names = sorted({symbol for word in words for symbol in word}, key=lambda name: (len(name), name))
        """Every symbol by its id."""
        self.symbols: Counter[int] = Counter()
        self.pairs: Counter[SymbolPair] = Counter()
        self._mark = mark
        self._ids = {name: id for id, name in enumerate(self.names)}
        self._words = [([self._ids[symbol] for symbol in word], times) for word, times in words.items()]
        self._holders: defaultdict[SymbolPair, set[int]] = defaultdict(set)  # words that hold or held a pair
        self._with: defaultdict[int, set[SymbolPair]] = defaultdict(set)  # pairs that hold a symbol
        for index, (word, times) in enumerate(self._words):
            for symbol in word:
                self.symbols[symbol] += times
            self._add_pairs(index)
        self.total = self.symbols.total()
        """Number of symbols in the text."""

    def merge(self, pair: SymbolPair) -> set[SymbolPair]:
        """Make every ``pair`` one symbol; return the pairs that hold this symbol or either of its parts."""
        name = self.merged_name(pair)
        merged = self._ids.setdefault(name, len(self.names))
        if merged == len(self.names):
            self.names.append(name)
        for index in self._holders.pop(pair):
            word, times = self._words[index]
            for old in pairwise(word):
                self.pairs[old] -= times
            joined = _joined(word, pair, merged)
            self._words[index] = joined, times
            self._add_pairs(index)
            made = times * (len(word) - len(joined))
            for part in pair:
                self.symbols[part] -= made
            self.symbols[merged] += made
            self.total -= made
        near = self._with[merged].union(*(self._with[part] for part in pair))
        gone = {each for each in near if not self.pairs[each]}
        for each in gone:
            del self.pairs[each]
            for symbol in each:
                self._with[symbol].discard(each)
        return near - gone

    def merged_name(self, pair: SymbolPair) -> str:
        """Return what the two symbols are called as one; the right one's mark of continuation goes."""
        left, right = pair
        return self.names[left] + self.names[right].removeprefix(self._mark)

    def _add_pairs(self, index: int) -> None:
        word, times = self._words[index]
        for pair in pairwise(word):
            self.pairs[pair] += times
            self._holders[pair].add(index)
            for symbol in pair:
                self._with[symbol].add(pair)


MergeScore = Callable[[SymbolCounts, SymbolPair], float]
"""Score of merging a pair. It may rise only by merges that take one of the pair's two symbols."""


def frequency(text: SymbolCounts, pair: SymbolPair) -> float:
    """Return how often the pair stands in the text."""
    return float(text.pairs[pair])


def likelihood_gain(text: SymbolCounts, pair: SymbolPair) -> float:
    """Return by how many nats the merge raises the log-likelihood of the text under a unigram model.

    The model gives each of the N symbols of the text its relative frequency, so the log-likelihood is
    L = Σ n(s) log(n(s)/N) = Σ f(n(s)) - f(N) with f(n) = n log n, and merging the k pairs of a and b gains

        ΔL = f(k) + f(n(a) - k) - f(n(a)) + f(n(b) - k) - f(n(b)) + f(N) - f(N - k).

    This is exact (for a = b, n(a) falls by 2k, and k is exact but for runs of three or more). The common
    short form k/(n(a) n(b)) ranks by the gain *per occurrence*, for ΔL ≈ k (log(k N/(n(a) n(b))) - 1). It
    spends the vocabulary on rare symbols: with 6000 pieces learned on the English of Multi30k, it cuts a
    held-out caption into 43 pieces, and the exact gain into 14.
    """
    left, right = pair
    k, a, b, n = text.pairs[pair], text.symbols[left], text.symbols[right], text.total
    if left == right:
        k = min(k, a // 2)  # in a run the pairs overlap, and not all can be merged
        parts = _f(a) - _f(a - 2 * k)
    else:
        parts = _f(a) - _f(a - k) + _f(b) - _f(b - k)
    return _f(k) - parts + _f(n) - _f(n - k)


def learned_merges(
    words: Mapping[Symbols, int], score: MergeScore, *, least: int = 2, mark: str = ""
) -> Iterator[Merge]:
    """Yield the merges in the order in which they are learned, until none has a positive score.

    Args:
        words: the words of the text as single symbols, and how often each occurs.
        score: what the next merge has most of; of equal pairs, the one with the symbols known first wins.
        least: times a pair must occur; a pair seen once tells nothing about other text.
        mark: prefix of the symbols that continue a word.
    """
    text = SymbolCounts(words, mark)
    heap: list[tuple[float, SymbolPair]] = []
    offered: dict[SymbolPair, float] = {}

    def worth(pair: SymbolPair) -> float:
        return score(text, pair) if text.pairs[pair] >= least else 0.0

    def offer(pairs: Iterable[SymbolPair]) -> None:
        for pair in pairs:
            value = worth(pair)
            if value > offered.get(pair, 0.0):
                offered[pair] = value
                heappush(heap, (-value, pair))

    # The heap never holds too low a score: risen ones are offered at once, fallen ones when they come up.
    offer(text.pairs)
    step = 0
    while heap:
        negative, pair = heappop(heap)
        if offered.get(pair) != -negative:
            continue  # offered again since, with a higher score
        del offered[pair]
        if worth(pair) == -negative:
            step += 1
            left, right = (text.names[symbol] for symbol in pair)
            yield Merge(step, left, right, text.merged_name(pair), text.pairs[pair], -negative)
            offer(text.merge(pair))
        else:
            offer([pair])


def counted_words(
    lines: Iterable[str], cut: Cutting, only: Sequence[str], mark: str = ""
) -> dict[Symbols, int]:
    """Count the words of ``lines``, spelled in characters, with ``mark`` before each but the first.

    Words are made of the characters ``only``: every other one ends a word and is dropped.
    """
    normalizer, cuts = cut.normalizer(), cut.pre_tokenizer(only=only)
    cut_lines = (cuts.pre_tokenize_str(normalizer.normalize_str(line)) for line in lines)
    counts = Counter(word for words in cut_lines for word, _ in words)
    return {(word[0], *(mark + character for character in word[1:])): n for word, n in counts.items()}


def _joined(word: list[int], pair: SymbolPair, merged: int) -> list[int]:
    """Replace ``pair`` from the left to the right."""
    joined: list[int] = []
    for symbol in word:
        if joined and (joined[-1], symbol) == pair:
            joined[-1] = merged
        else:
            joined.append(symbol)
    return joined


def _f(n: int) -> float:
    return n * log(n) if n else 0.0
