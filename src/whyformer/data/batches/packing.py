"""Packing: documents of any length in rows of one length, almost without padding.

A document longer than a row is cut into windows; each window, and each document that fits, is a *segment*
and stays whole. Segments that share a row shall not see each other (``SameSegment``), and each counts its
positions from 0, so that packing changes the speed and nothing else.

R rows · B of them in a batch · L tokens of a row · W windows · N documents
"""

from bisect import bisect_left, insort
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from whyformer.data.batches.planning import Lengths
from whyformer.position.layout import Facts, Layout
from whyformer.special_tokens import PAD


@dataclass(frozen=True)
class Rows:
    """Packed documents: every array is (R,L) int32, and holds 0 where a row has nothing."""

    tokens: NDArray[np.int32]
    """Tokens that are read."""
    gold: NDArray[np.int32]
    """Tokens that follow, to be predicted; a window's last token is followed by the next window's first."""
    position: NDArray[np.int32]
    """From 0 in each segment."""
    segment: NDArray[np.int32]
    """From 1 in each row."""

    def __len__(self) -> int:
        """Number of rows, R."""
        return len(self.tokens)

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """(R,) number of tokens of each row, padding left out."""
        return (self.gold != PAD).sum(axis=1)

    def layout(self, indices: NDArray[np.int64], valid: Tensor) -> Layout:
        """Where the tokens of some rows stand, which are real as ``valid`` (B,L) tells on its device."""
        width, lengths = valid.shape[1], self.lengths[indices]
        position, segment = (part[indices, :width] for part in (self.position, self.segment))
        full = bool(lengths.min() == width)
        # A document each: nothing is packed here. Beside padding, learned relative terms would then sum their
        # gradients in another order, and a CPU has too little to gain to change its bits.
        if segment.max() <= 1 and (full or valid.device.type != "cpu"):
            return Layout.right_padded(valid, lengths.tolist())
        real = None if full else valid
        position, segment = (torch.from_numpy(part).long().to(valid.device) for part in (position, segment))
        facts = Facts(bounds=(0, width - 1), shortest=int(lengths.min()), lengths=tuple(lengths.tolist()))
        return Layout(position, real, segment, facts)


@dataclass(frozen=True)
class RowPlan:
    """Rows before their tokens are known: which windows of which documents each has."""

    length: int
    """Tokens of a row, L."""
    documents: NDArray[np.int64]
    """(W,) document of each window."""
    starts: NDArray[np.int64]
    """(W,) first token of each window that is read."""
    sizes: NDArray[np.int64]
    """(W,) tokens of each window that are read."""
    members: NDArray[np.int64]
    """(W,) windows, row by row."""
    firsts: NDArray[np.int64]
    """(R+1,) first of each row's members, and the end."""

    def __len__(self) -> int:
        """Number of rows, R."""
        return len(self.firsts) - 1

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """(R,) number of tokens of each row, padding left out."""
        return np.add.reduceat(self.sizes[self.members], self.firsts[:-1])

    def rows(self, numbers: Sequence[int], document: Callable[[int], Sequence[int]]) -> Rows:
        """The rows of these ``numbers``; ``document`` gives all tokens of one, special tokens included."""
        tokens, gold, position, segment = (
            np.zeros((len(numbers), self.length), dtype=np.int32) for _ in range(4)
        )
        for row, place in enumerate(numbers):
            first = 0
            members = self.members[self.firsts[place] : self.firsts[place + 1]].tolist()
            for number, member in enumerate(members, start=1):
                start, size = int(self.starts[member]), int(self.sizes[member])
                ids = document(int(self.documents[member]))
                cells = slice(first, first + size)
                tokens[row, cells] = ids[start : start + size]
                gold[row, cells] = ids[start + 1 : start + size + 1]
                position[row, cells] = np.arange(size)
                segment[row, cells] = number
                first += size
        return Rows(tokens, gold, position, segment)


def pack(documents: Sequence[Sequence[int]], length: int, *, seed: int) -> Rows:
    """Documents of at least two tokens, special tokens included, in rows of ``length``.

    Every token but the first of a document is predicted exactly once, and every one but the last is read
    once. The same arguments give the same rows; ``seed`` decides what shares a row.
    """
    plan = plan_rows(np.array([*map(len, documents)], dtype=np.int64), length, seed=seed)
    return plan.rows(range(len(plan)), documents.__getitem__)


def plan_rows(lengths: Lengths, length: int, *, seed: int) -> RowPlan:
    """The rows that ``pack`` makes of documents of ``lengths`` (N,), special tokens included."""
    read = lengths.astype(np.int64) - 1
    windows = -(-read // length)
    documents = np.repeat(np.arange(len(lengths)), windows)
    starts = (np.arange(len(documents)) - np.repeat(np.cumsum(windows) - windows, windows)) * length
    sizes = np.minimum(length, read[documents] - starts)
    rows = fill_rows(sizes, length, seed=seed)
    members = np.fromiter(chain.from_iterable(rows), dtype=np.int64, count=len(documents))
    return RowPlan(length, documents, starts, sizes, members, np.cumsum([0, *map(len, rows)]))


def fill_rows(lengths: NDArray[np.int64], capacity: int, *, seed: int) -> list[list[int]]:
    """Indices of pieces of ``lengths`` (N,) for each row of ``capacity``: best fit, longest first.

    A piece goes into the fullest row that still has room for it (Johnson 1973, best-fit decreasing); ``seed``
    orders equals.
    """
    ties = np.random.default_rng(seed).random(len(lengths))
    rows: list[list[int]] = []
    # Rows with room left, by how much it is.
    roomy: list[tuple[int, int]] = []
    for piece in np.lexsort((ties, -lengths)).tolist():
        needed = int(lengths[piece])
        found = bisect_left(roomy, (needed, 0))
        if found < len(roomy):
            room, row = roomy.pop(found)
        else:
            room, row = capacity, len(rows)
            rows.append([])
        rows[row].append(piece)
        if room > needed:
            insort(roomy, (room - needed, row))
    return rows
