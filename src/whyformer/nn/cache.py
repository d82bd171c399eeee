"""Caches: the keys and values, or the states, that decoding need not compute again.

B batch (rows) · K key length · H heads · D head dimension · M model dimension
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from whyformer.attention.multihead import KeyValues
from whyformer.position.layout import Facts, Layout

_FIRST_CAPACITY = 32

BLOCK = 64
"""Columns that are at least dropped at a time, so that moving those that stay costs little a step."""


class LayerCache:
    """The growing keys and values of one layer, in buffers that double when they are full."""

    def __init__(self) -> None:
        self._buffers: KeyValues | None = None
        self._spare: KeyValues | None = None
        """Where rows move to when they are selected; then the two change places."""

    def append(self, new: KeyValues, length: int) -> KeyValues:
        """Write ``new`` behind the first ``length`` columns; all columns so far come back, as views."""
        total = length + new.key.shape[2]
        if self._buffers is None or total > self._buffers.key.shape[2]:
            self._grow(new, length, total)
        buffers = self._buffers
        assert buffers is not None
        for buffer, column in zip(buffers, new, strict=True):
            buffer[:, :, length:total] = column
        return KeyValues(buffers.key[:, :, :total], buffers.value[:, :, :total])

    def select(self, rows: Tensor, length: int) -> None:
        """Keep, reorder or repeat rows; only the ``length`` columns in use are moved, and only once."""
        if self._buffers is None:
            return
        if self._spare is None or len(rows) > len(self._spare.key):
            self._spare = _empty_like(self._buffers, len(rows), self._buffers.key.shape[2])
        for buffer, spare in zip(self._buffers, self._spare, strict=True):
            torch.index_select(buffer[:, :, :length], 0, rows, out=spare[: len(rows), :, :length])
        moved = KeyValues(self._spare.key[: len(rows)], self._spare.value[: len(rows)])
        self._buffers, self._spare = moved, self._buffers

    def trim(self, kept: int, length: int) -> None:
        """Move the last ``kept`` of ``length`` columns, at most half of them, to the front."""
        for buffer in self._buffers or ():
            buffer[:, :, :kept] = buffer[:, :, length - kept : length]

    def _grow(self, new: KeyValues, length: int, total: int) -> None:
        grown = _empty_like(new, len(new.key), max(_FIRST_CAPACITY, 2 * total))
        if self._buffers is not None:
            for buffer, old in zip(grown, self._buffers, strict=True):
                buffer[:, :, :length] = old[:, :, :length]
        self._buffers, self._spare = grown, None


def _empty_like(like: KeyValues, rows: int, capacity: int) -> KeyValues:
    """Buffers (B,H,capacity,D) for what is ``like`` that."""
    key, value = (part.new_empty(rows, part.shape[1], capacity, part.shape[3]) for part in like)
    return KeyValues(key, value)


class KVCache:
    """The self-attention cache of a stack: a buffer a layer, and where the cached keys stand.

    A layer with a recurrence in the place of self-attention has a state there, and no buffer.

    The stack advances it, once per step and after all layers; a layer only appends. Tokens come in their
    order: in each row, positions rise by one from a real token to the next.

    Args:
        layers: how many.
        back: positions before its own that a token may see at most. Columns beyond are dropped, so that there
            are never more than 2 · back + ``BLOCK`` after a step; None keeps all.
    """

    def __init__(self, layers: int, back: int | None = None) -> None:
        self.layers = [LayerCache() for _ in range(layers)]
        self.states: list[Tensor | None] = [None] * layers
        """State (B,M) of each layer's recurrence after the last token; None where there is none yet."""
        self.layout: Layout | None = None
        self.back = back
        self.seen = 0
        """Columns that have come so far, those that were dropped included."""
        self._unbroken = 0
        """How many of the last columns are known to be real in all rows."""

    @property
    def length(self) -> int:
        """Columns in use."""
        return 0 if self.layout is None else self.layout.position.shape[1]

    def with_new(self, queries: Layout) -> Layout:
        """The layout of all cached keys followed by those of ``queries``."""
        if self.layout is None:
            return queries
        return self.layout.followed_by(queries)

    def append(self, layer: int, new: KeyValues) -> KeyValues:
        """Add the keys and values of the present step in ``layer``; those of all steps come back."""
        return self.layers[layer].append(new, self.length)

    def advance(self, keys: Layout, queries: Layout) -> None:
        """Accept what every layer has appended: ``queries``, and ``keys`` as ``with_new`` made them."""
        new = queries.position.shape[1]
        self.layout = keys
        self.seen += new
        whole = queries.segment is None and queries.shortest == new
        self._unbroken = self._unbroken + new if whole else 0
        # Behind so many real tokens nobody sees farther, wherever a row's padding is.
        if self.back is not None and self._unbroken >= self.back and self.length >= 2 * self.back + BLOCK:
            self._trim(self.back, keys, queries)

    def _trim(self, kept: int, keys: Layout, queries: Layout) -> None:
        """Keep the last ``kept`` columns, all of them real."""
        length = self.length
        for layer in self.layers:
            layer.trim(kept, length)
        bounds = queries.bounds
        facts = Facts(
            start=None if keys.facts.start is None else keys.facts.start + length - kept,
            bounds=None if bounds is None else (bounds[0] - kept, bounds[1]),
        )
        self.layout = Layout(keys.position[:, length - kept :], facts=facts)

    def select(self, rows: Tensor) -> None:
        """Keep, reorder or repeat hypotheses: ``rows`` (B',) int64."""
        for layer in self.layers:
            layer.select(rows, self.length)
        self.states = [None if state is None else state.index_select(0, rows) for state in self.states]
        self.layout = None if self.layout is None else self.layout.select(rows)


class CrossCache:
    """The keys and values of the memory, computed once per sentence for every layer."""

    def __init__(self, layers: Sequence[KeyValues], layout: Layout) -> None:
        self.layers = list(layers)
        self.layout = layout

    def __len__(self) -> int:
        """How many sentences."""
        return len(self.layout.position)

    def make_contiguous(self) -> None:
        """Lay the keys of each head side by side, once, as every step that follows would have to."""
        self.layers = [KeyValues(layer.key.contiguous(), layer.value.contiguous()) for layer in self.layers]

    def select(self, rows: Tensor) -> None:
        """Keep, reorder or repeat sentences: ``rows`` (B',) int64."""
        self.layers = [layer.select(rows) for layer in self.layers]
        self.layout = self.layout.select(rows)
