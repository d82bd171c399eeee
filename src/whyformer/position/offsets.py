"""From terms by offset to terms by key, and back: what relative position schemes share.

B batch · Q query length · K key length · N offsets · H heads
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from whyformer.position.layout import Layout

# Queries whose terms are made at a time: enough for a good product, few against the keys of a long text.
_ROWS = 128


def facing(queries: Layout, keys: Layout) -> tuple[Tensor, Tensor]:
    """Positions of queries (B,Q,1) and of keys (B,1,K); of one row, where all are known to stand alike."""
    alike = slice(None) if queries.start is None or keys.start is None else slice(1)
    return queries.position[alike, :, None], keys.position[alike, None, :]


def offsets_between(queries: Layout, keys: Layout) -> Tensor:
    """How far each key stands from each query: (B,Q,K), of one row where all are known to stand alike."""
    query, key = facing(queries, keys)
    return key - query


Terms = Callable[[Tensor, range], Tensor]
"""``terms(x (B,H,Q,·), offsets)`` for some of the queries; there are N offsets, and they rise by one."""


def spread(terms: Terms, x: Tensor, queries: Layout, keys: Layout) -> Tensor:
    """Terms by offset (B|1,H,Q|1,N), made of what there is for each query, as logits (B|1,H,Q,K).

    Where positions count up, logits are cut out of them, block by block of queries; else they are looked up.
    """
    blocks = _blocks(queries, keys)
    if blocks is not None:
        # Not by slices: the gradient of each would be as large as all of x, and nearly all zeros.
        split = zip(x.split(_ROWS, dim=-2), blocks, strict=True)
        parts = [skewed(_over(rows, terms(rows, offsets))) for rows, offsets in split]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=-2)
    offsets, place = _places(queries, keys)
    by_offset = terms(x, offsets)
    batch, length = max(len(by_offset), len(place)), queries.position.shape[1]
    place = place.expand(batch, by_offset.shape[1], -1, -1)
    return by_offset.expand(batch, -1, length, -1).gather(-1, place)


def collect(terms: Terms, weights: Tensor, queries: Layout, keys: Layout) -> Tensor:
    """The reverse: weights (B,H,Q,K) are summed by offset, and the terms for (B,H,Q,N) joined."""
    blocks = _blocks(queries, keys)
    if blocks is not None:
        split = zip(weights.split(_ROWS, dim=-2), blocks, strict=True)
        return torch.cat([terms(_unskew(rows), offsets) for rows, offsets in split], dim=-2)
    offsets, place = _places(queries, keys)
    empty = weights.new_zeros(*weights.shape[:3], len(offsets))
    return terms(empty.scatter_add(-1, place.expand_as(weights), weights), offsets)


def _blocks(queries: Layout, keys: Layout) -> list[range] | None:
    """The offsets that occur in each block of queries; None where positions do not just count up.

    A block of Q queries meets K+Q-1 offsets: small blocks keep what is computed close to what is needed.
    """
    if queries.start is None or keys.start is None:
        return None
    length, count = queries.position.shape[1], keys.position.shape[1]
    ends = [(first, min(first + _ROWS, length)) for first in range(0, length, _ROWS)]
    shift = keys.start - queries.start
    return [range(shift - last + 1, shift - first + count) for first, last in ends]


def extent(queries: Layout, keys: Layout) -> tuple[int, int]:
    """The lowest and the highest offset, or on an accelerator numbers beyond which there is none."""
    if queries.start is not None and keys.start is not None:
        lowest = keys.start - queries.start - queries.position.shape[1] + 1
        return lowest, keys.start - queries.start + keys.position.shape[1] - 1
    # A look is narrower than bounds, and free on a CPU.
    if queries.position.device.type != "cpu" and queries.bounds is not None and keys.bounds is not None:
        return keys.bounds[0] - queries.bounds[1], keys.bounds[1] - queries.bounds[0]
    lowest, highest = torch.stack(offsets_between(queries, keys).aminmax()).tolist()
    return lowest, highest


def _places(queries: Layout, keys: Layout) -> tuple[range, Tensor]:
    """The offsets from the lowest to the highest, and the place (B,1,Q,K) of each pair's among them."""
    lowest, highest = extent(queries, keys)
    return range(lowest, highest + 1), (offsets_between(queries, keys) - lowest)[:, None]


def _over(rows: Tensor, by_offset: Tensor) -> Tensor:
    """Terms (…,1,N) that are alike for all queries, for each of the ``rows`` (…,Q,·)."""
    return by_offset.expand(*by_offset.shape[:-2], rows.shape[-2], by_offset.shape[-1])


def skewed(by_offset: Tensor) -> Tensor:
    """(…,Q,N) by offset as (…,Q,K) by key, a view.

    Offsets rise by one along a row and fall by one down a column. So in the flat (Q·N) what belongs to a row
    begins N-1 after the row above: the matrix is a view, and its gradient needs no index either.
    """
    length, width = by_offset.shape[-2:]
    if length == 1:
        return by_offset
    flat = by_offset.flatten(-2)[..., length - 1 : -1]
    return flat.unflatten(-1, (length, width - 1))[..., : width - length + 1]


def _unskew(weights: Tensor) -> Tensor:
    """(…,Q,K) by key -> (…,Q,N) by offset, zero where there is no key: the reverse of ``skewed``."""
    length, count = weights.shape[-2:]
    if length == 1:
        return weights
    flat = F.pad(weights, (0, length - 2)).flatten(-2)
    return F.pad(flat, (length - 1, 1)).unflatten(-1, (length, length + count - 1))
