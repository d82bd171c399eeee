"""Samples of a stream of any length: who is in one depends on the seed and each item's number alone."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from whyformer.data.batches.permutation import GOLDEN, finalised


def random_keys(seed: int, first: int, count: int) -> NDArray[np.uint64]:
    """Keys (count,) of the items from number ``first`` on: a mix of seed and number, uniform over 64 bits.

    As SplitMix64 does it, so that no state has to be kept.
    """
    start = (seed * 0xD1342543DE82EF95 + first * GOLDEN) % 2**64
    with np.errstate(over="ignore"):
        return finalised(np.uint64(start) + np.arange(count, dtype=np.uint64) * np.uint64(GOLDEN))


@dataclass
class StreamSample:
    """The items of the smallest keys, at most ``most`` of them and ``most_bytes`` in all."""

    seed: int
    most: int
    most_bytes: int
    size: int = 0
    """Bytes of what is in it."""
    _heap: list[tuple[int, int, tuple[bytes, ...]]] = field(default_factory=list)
    _bound: int = 2**64
    _seen: int = 0

    def add(self, columns: Sequence[Sequence[bytes]]) -> None:
        """Offer the next items: their texts, a column for each side."""
        keys = random_keys(self.seed, self._seen, len(columns[0]))
        # Keys are uniform, so once the sample is full hardly any of a block passes.
        for place in np.flatnonzero(keys < np.uint64(min(self._bound, 2**64 - 1))).tolist():
            key = int(keys[place])
            if key >= self._bound:
                continue
            item = tuple(bytes(column[place]) for column in columns)
            self.size += sum(map(len, item))
            heapq.heappush(self._heap, (-key, self._seen + place, item))
            while len(self._heap) > self.most or self.size > self.most_bytes:
                largest, _, gone = heapq.heappop(self._heap)
                self.size -= sum(map(len, gone))
                self._bound = -largest
        self._seen += len(columns[0])

    @property
    def numbers(self) -> list[int]:
        """Numbers, from 0, of what is in it, in order of their keys."""
        return [number for _, number, _ in sorted(self._heap, reverse=True)]

    @property
    def items(self) -> list[tuple[bytes, ...]]:
        """Everything that is in it, in the order of the stream."""
        return [item for _, _, item in sorted(self._heap, key=lambda entry: entry[1])]

    def smallest(self, count: int) -> "dict[int, tuple[bytes, ...]]":
        """The ``count`` items of the smallest keys, by their numbers from 0."""
        return {number: item for _, number, item in sorted(self._heap, reverse=True)[:count]}
