"""Examples in the order of their lengths, and batches of them that are worked out one at a time.

Batches are those of ``plan_batches``: sorted by length, ties and batches in random order. But the examples
are sorted once, not in every epoch; where a tie or a batch comes is a permutation that is computed for the
one that is asked for; and the cuts are kept as stretches of equal batches. So an epoch has no array.

E examples · S sides · C different lengths · N places
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from math import prod
from operator import mul
from typing import Any, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from whyformer.data.batches.permutation import key_of, permuted
from whyformer.data.batches.planning import Lengths

LARGE = 1 << 22
"""Examples from which on a plan of each epoch as a whole would take too much memory (some 40 bytes each)."""
_AT_ONCE = 1 << 20
_TABLE = 1 << 22
"""Different lengths that are counted in a table; more are sorted."""


@dataclass(frozen=True)
class ExamplesByLength:
    """Examples sorted by length, the last side first of all; those of equal lengths by their numbers."""

    lengths: NDArray[np.int64]
    """(C,S) the different lengths, ascending."""
    counts: NDArray[np.int64]
    """(C,) examples of each."""
    firsts: NDArray[np.int64]
    """(C,) place in ``order`` of the first of them."""
    order: NDArray[np.unsignedinteger[Any]]
    """(E,) numbers of the examples, be it in memory or mapped from a file."""
    parts: NDArray[np.int64] | None = None
    """(C,) part of its example that each length is of, where examples come in parts; None for whole ones."""
    parts_of_each: int = 1
    """Parts that an example may have: part p of example n has the number n times that, and p."""

    @staticmethod
    def of(
        lengths: Lengths,
        empty: Callable[[int, np.dtype[Any]], NDArray[np.unsignedinteger[Any]]] = np.empty,
    ) -> "ExamplesByLength":
        """Sort by ``lengths`` (E,S), a part at a time; ``empty`` makes the array for the order."""
        parts = [slice(start, start + _AT_ONCE) for start in range(0, len(lengths), _AT_ONCE)]
        keys, counts, kind_of = _kinds(lengths, parts)
        firsts = np.cumsum(counts) - counts
        free = firsts.copy()
        order = empty(len(lengths), np.dtype(np.uint32 if len(lengths) < 1 << 32 else np.uint64))
        # Sixteen bits are sorted faster.
        narrow = np.uint16 if len(keys) < 1 << 16 else np.int64
        for part in parts:
            kind = kind_of(lengths[part]).astype(narrow)
            numbers = np.argsort(kind, kind="stable")
            present, starts, of_each = np.unique(kind[numbers], return_index=True, return_counts=True)
            places = np.repeat(free[present] - starts, of_each) + np.arange(len(numbers))
            order[places] = (numbers + part.start).astype(order.dtype)
            free[present] += of_each
        return ExamplesByLength(keys, counts, firsts, order)

    def __len__(self) -> int:
        """Number of examples."""
        return int(self.counts.sum())

    @property
    def tokens(self) -> int:
        """Sum of all lengths."""
        return int((self.lengths.sum(axis=1) * self.counts).sum())

    def plus(self, more: Sequence[int]) -> "ExamplesByLength":
        """The same with lengths that are greater by ``more`` (S,): special tokens."""
        return replace(self, lengths=self.lengths + np.array(more))

    def up_to(self, longest: int) -> "ExamplesByLength":
        """Examples of no more than ``longest`` tokens on a side; they keep their numbers."""
        fits = self.lengths.max(axis=1, initial=0) <= longest
        return replace(self, lengths=self.lengths[fits], counts=self.counts[fits], firsts=self.firsts[fits])

    def in_parts(self, room: int) -> "ExamplesByLength":
        """Parts of up to ``room`` tokens, by which examples of one side are read; empty ones have none."""
        counts = -(-self.lengths[:, 0] // room)
        kinds = np.repeat(np.arange(len(counts)), counts)
        parts = np.arange(len(kinds)) - np.repeat(np.cumsum(counts) - counts, counts)
        lengths = np.minimum(room, self.lengths[kinds, 0] - parts * room)
        order = np.lexsort((parts, kinds, lengths))
        kinds, lengths = kinds[order], lengths[order, None]
        most = int(counts.max(initial=1))
        return ExamplesByLength(
            lengths, self.counts[kinds], self.firsts[kinds], self.order, parts[order], most
        )

    @cached_property
    def ends(self) -> NDArray[np.int64]:
        """(C,) places up to and with those of each length."""
        return np.cumsum(self.counts)

    def numbers(self, places: NDArray[np.int64], key: np.uint64 | None = None) -> NDArray[np.int64]:
        """The examples at ``places`` (N,); a ``key`` gives those of equal length an order of its own."""
        kind = np.searchsorted(self.ends, places, side="right")
        within = places - (self.ends - self.counts)[kind]
        if key is not None:
            with np.errstate(over="ignore"):
                keys = key ^ (kind.astype(np.uint64) * np.uint64(0xD1342543DE82EF95))
            within = permuted(within, self.counts[kind], keys)
        numbers = self.order[self.firsts[kind] + within].astype(np.int64)
        return numbers if self.parts is None else numbers * self.parts_of_each + self.parts[kind]


def _kinds(
    lengths: Lengths, parts: Sequence[slice]
) -> tuple[NDArray[np.int64], NDArray[np.int64], Callable[[Lengths], NDArray[np.int64]]]:
    """The different lengths (C,S) in order, how often each is there, and which of them each example has."""
    most = [lengths[part].max(axis=0) for part in parts]
    widths = [1, *(np.max(most, axis=0) + 1 if most else np.ones(lengths.shape[1])).astype(np.int64).tolist()]
    strides = np.array([*accumulate(widths[:-1], mul)], dtype=np.int64)

    def key(some: Lengths) -> NDArray[np.int64]:
        return some.astype(np.int64) @ strides

    if prod(widths) <= _TABLE:
        table = np.zeros(prod(widths), dtype=np.int64)
        for part in parts:
            table += np.bincount(key(lengths[part]), minlength=len(table))
        keys = np.flatnonzero(table)
        counts = table[keys]
        table[keys] = np.arange(len(keys))
        return _unpacked(keys, strides), counts, lambda some: table[key(some)]
    keys, counts = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    for part in parts:
        more, of_each = np.unique(key(lengths[part]), return_counts=True)
        keys, inverse = np.unique(np.concatenate([keys, more]), return_inverse=True)
        counts = np.bincount(inverse, np.concatenate([counts, of_each]), len(keys)).astype(np.int64)
    return _unpacked(keys, strides), counts, lambda some: np.searchsorted(keys, key(some))


def _unpacked(keys: NDArray[np.int64], strides: NDArray[np.int64]) -> NDArray[np.int64]:
    found = np.empty((len(keys), len(strides)), dtype=np.int64)
    for side in reversed(range(len(strides))):
        found[:, side], keys = np.divmod(keys, strides[side])
    return found


class Cuts(NamedTuple):
    """The batches of sorted examples, as stretches in which all have as many rows."""

    places: NDArray[np.int64]
    """First place of each stretch."""
    rows: NDArray[np.int64]
    """Rows of each of its batches."""
    ends: NDArray[np.int64]
    """Batches up to its end."""
    cells: int
    """Cells of all batches on all sides, padding included."""


def cut(lengths: NDArray[np.int64], counts: NDArray[np.int64], budget: int) -> Cuts:
    """Cut sorted examples, ``counts`` (C,) of each of the ``lengths`` (C,S), as ``plan_batches`` does."""
    stretches, cells = list[tuple[int, int, int]](), 0
    start, rows, widths = 0, 0, [0] * lengths.shape[1]

    def close() -> None:
        nonlocal start, rows, widths, cells
        stretches.append((start, rows, 1))
        cells += rows * sum(widths)
        start, rows, widths = start + rows, 0, [0] * len(widths)

    for sides, left in zip(lengths.tolist(), counts.tolist(), strict=True):
        length = max(1, *sides)
        while left:
            most = max(1, budget // max(length, *widths))
            if rows >= most:
                close()
                continue
            if not rows and (whole := left // most):
                stretches.append((start, most, whole))
                start, left, cells = (
                    start + whole * most,
                    left - whole * most,
                    cells + whole * most * sum(sides),
                )
                continue
            taken = min(left, most - rows)
            rows, left, widths = rows + taken, left - taken, [*map(max, widths, sides)]
    if rows:
        close()
    places, of_each, batches = np.array(stretches, dtype=np.int64).reshape(-1, 3).T
    return Cuts(places, of_each, np.cumsum(batches), cells)


class LengthPlan:
    """The batches of every epoch, none of which is kept: a function of (seed, epoch, number)."""

    def __init__(self, examples: ExamplesByLength, budget: int, *, seed: int) -> None:
        self.examples = len(examples)
        self.tokens = examples.tokens
        self._sorted = examples
        self._seed = seed
        self._cuts = cut(examples.lengths, examples.counts, budget)

    def __len__(self) -> int:
        """Number of batches, alike in all epochs."""
        return int(self._cuts.ends[-1]) if len(self._cuts.ends) else 0

    @property
    def padding_waste(self) -> float:
        """Share of padding in the cells of all batches, on all sides."""
        return 1.0 - self.tokens / self._cuts.cells if self._cuts.cells else 0.0

    def batches(self, epoch: int) -> "EpochBatches":
        """The batches of an epoch, in its order."""
        return EpochBatches(self, epoch)

    def batch(self, number: int, epoch: int) -> NDArray[np.int64]:
        """The examples of one batch of an ``epoch``."""
        key = key_of([self._seed, epoch])
        one = np.array([number]), np.array([len(self)]), np.array([~key])
        place = int(permuted(*one)[0])
        cuts = self._cuts
        stretch = int(np.searchsorted(cuts.ends, place, side="right"))
        rows, before = int(cuts.rows[stretch]), int(cuts.ends[stretch - 1]) if stretch else 0
        first = int(cuts.places[stretch]) + (place - before) * rows
        return self._sorted.numbers(np.arange(first, first + rows), key)


class EpochBatches(Sequence[NDArray[np.int64]]):
    """The batches of one epoch, each worked out when it is asked for."""

    def __init__(self, plan: LengthPlan, epoch: int) -> None:
        self._plan = plan
        self._epoch = epoch

    @override
    def __len__(self) -> int:
        return len(self._plan)

    @overload
    def __getitem__(self, index: int) -> NDArray[np.int64]: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[NDArray[np.int64]]: ...
    @override
    def __getitem__(self, index: int | slice) -> NDArray[np.int64] | Sequence[NDArray[np.int64]]:
        numbers = range(len(self))[index]
        if isinstance(numbers, range):
            return [self._plan.batch(number, self._epoch) for number in numbers]
        return self._plan.batch(numbers, self._epoch)
