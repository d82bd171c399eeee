"""Copies: pairs that stand twice, and what training and held-out sets have in common."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from whyformer.data.corpora.lines import SentencePair

Overlap = Literal["keep", "pairs", "sides"]


class Common(NamedTuple):
    """Overlap of training pairs and one held-out set, counted in training pairs."""

    pairs: int
    """Pairs that stand in both."""
    sides: int
    """Other pairs of which one side stands in both."""

    def summary(self, name: str) -> str:
        """Say it in a few words; ``name`` is that of the held-out set."""
        if not self.pairs:
            return f"one side of {self.sides:,} pairs stands in {name}, too"
        if not self.sides:
            return f"{self.pairs:,} pairs stand in {name}, too"
        return f"{self.pairs:,} pairs and one side of {self.sides:,} more stand in {name}, too"


def folded(text: str) -> str:
    """``text`` without what does not tell copies apart: case, and how much white space there is."""
    return " ".join(text.split()).casefold()


class HeldOutTexts:
    """The texts of held-out pairs, to look others up in."""

    def __init__(self, pairs: Iterable[tuple[str, Sequence[str]]]) -> None:
        """Take the pairs: each a source, and all its right translations."""
        self._sources, self._targets, self._pairs = set[str](), set[str](), set[tuple[str, str]]()
        for source, targets in pairs:
            key = folded(source)
            self._sources.add(key)
            for target in map(folded, targets):
                self._targets.add(target)
                self._pairs.add((key, target))

    def shares(self, pair: SentencePair) -> Literal["pair", "side"] | None:
        """The part of ``pair`` that stands among the held-out ones."""
        source, target = folded(pair.source), folded(pair.target)
        if (source, target) in self._pairs:
            return "pair"
        return "side" if source in self._sources or target in self._targets else None


def common(pairs: Iterable[SentencePair], held_out: HeldOutTexts) -> Common:
    """The overlap of ``pairs`` and the ``held_out`` ones."""
    found = [shared for pair in pairs if (shared := held_out.shares(pair))]
    return Common(found.count("pair"), found.count("side"))


def without_common(
    pairs: Sequence[SentencePair], held_out: Mapping[str, HeldOutTexts], overlap: Overlap
) -> list[SentencePair]:
    """``pairs`` without those that ``overlap`` says may not stand in training and in a held-out set."""
    if overlap == "keep":
        return list(pairs)
    unwanted = ("pair",) if overlap == "pairs" else ("pair", "side")
    return [pair for pair in pairs if all(texts.shares(pair) not in unwanted for texts in held_out.values())]


def split_off(pairs: Sequence[SentencePair], share: float) -> tuple[list[SentencePair], list[SentencePair]]:
    """Divide ``pairs`` into those to train on and the ``share`` of them that is held out.

    Pairs that have a side in common, be it through others, stay together, so that nothing held out is seen
    in training, neither as a source nor as a translation. Which groups are held out depends on a hash of
    their text, and so on the file alone; groups too large for the share are trained on.

    >>> pairs = [SentencePair(f"s{n}", f"t{n}") for n in range(100)]
    >>> train, held_out = split_off(pairs, 0.1)
    >>> len(train), len(held_out)
    (90, 10)
    """
    groups = _groups(pairs)
    wanted = share * len(pairs)
    held = set[int]()
    for group in sorted(groups, key=lambda group: _hash(min(folded(pairs[index].source) for index in group))):
        if len(held) + len(group) <= max(1.0, wanted + 0.5):
            held.update(group)
        if len(held) >= wanted:
            break
    train = [pair for index, pair in enumerate(pairs) if index not in held]
    return train, [pairs[index] for index in sorted(held)]


def _groups(pairs: Sequence[SentencePair]) -> list[list[int]]:
    """Indices of the pairs that hang together by a source or a target."""
    parents = list(range(len(pairs)))

    def root(index: int) -> int:
        while parents[index] != index:
            parents[index] = parents[parents[index]]
            index = parents[index]
        return index

    first = dict[tuple[int, str], int]()
    for index, pair in enumerate(pairs):
        for side, text in enumerate(pair):
            other = first.setdefault((side, folded(text)), index)
            parents[root(index)] = root(other)
    groups: dict[int, list[int]] = {}
    for index in range(len(pairs)):
        groups.setdefault(root(index), []).append(index)
    return list(groups.values())


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
