"""Packing: documents of any length in rows of one length, almost without padding.

A document longer than a row is cut into windows; each window, and each document that fits, is a *segment*
and stays whole. Segments that share a row shall not see each other (``SameSegment``), and each counts its
positions from 0, so that packing changes the speed and nothing else.

R rows · B of them in a batch · L tokens of a row
"""

from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

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


def pack(documents: Sequence[Sequence[int]], length: int, *, seed: int) -> Rows:
    """Documents of at least two tokens, special tokens included, in rows of ``length``.

    Every token but the first of a document is predicted exactly once, and every one but the last is read
    once. The same arguments give the same rows; ``seed`` decides what shares a row.
    """
    windows = [
        (document, start, min(start + length, len(tokens) - 1))
        for document, tokens in enumerate(documents)
        for start in range(0, len(tokens) - 1, length)
    ]
    rows = fill_rows(np.array([stop - start for _, start, stop in windows]), length, seed=seed)
    tokens, gold, position, segment = (np.zeros((len(rows), length), dtype=np.int32) for _ in range(4))
    for row, members in enumerate(rows):
        first = 0
        for number, member in enumerate(members, start=1):
            document, start, stop = windows[member]
            cells = slice(first, first + stop - start)
            tokens[row, cells] = documents[document][start:stop]
            gold[row, cells] = documents[document][start + 1 : stop + 1]
            position[row, cells] = np.arange(stop - start)
            segment[row, cells] = number
            first += stop - start
    return Rows(tokens, gold, position, segment)


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
