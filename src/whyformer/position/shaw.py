"""Shaw's learned vectors for offsets, beside the keys and beside the values.

B batch · Q query, K key length · N offsets · R vectors · H heads · D head dimension
"""

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from typing_extensions import override

from whyformer.position.attention_shape import AttentionShape
from whyformer.position.layout import Layout
from whyformer.position.offsets import collect, spread
from whyformer.position.scheme import OwnedSpec, PositionScheme


class _ShawSpec(OwnedSpec):
    """Base of both halves of Shaw et al."""

    distance: int = Field(default=16, ge=1)
    """Largest distance with a vector of its own; farther keys, at any length, count as that far."""


class ShawKeysSpec(_ShawSpec):
    """Each query also meets a learned vector for the offset, as if it were part of the key."""

    origin: ClassVar[str] = "Shaw et al. 2018, equation 4"
    dot_only: ClassVar[bool] = True
    kind: Literal["shaw_keys"] = "shaw_keys"

    def build(self, shape: AttentionShape) -> PositionScheme:
        """The scheme for the heads of ``shape``."""
        return ShawKeys(self.distance, shape.dim)


class ShawValuesSpec(_ShawSpec):
    """A learned vector for the offset is added to each value that is attended to."""

    origin: ClassVar[str] = "Shaw et al. 2018, equation 3"
    kind: Literal["shaw_values"] = "shaw_values"

    def build(self, shape: AttentionShape) -> PositionScheme:
        """The scheme for the heads of ``shape``."""
        return ShawValues(self.distance, shape.dim)


class _Shaw(PositionScheme):
    """A table (R,D) of R = 2 · distance + 1 vectors that all heads share; the first is for keys far left.

    Memory: H·Q·K numbers, never the Q·K·D of the plain formula.
    """

    def __init__(self, distance: int, dim: int) -> None:
        super().__init__()
        self.distance = distance
        self.table = nn.Parameter(torch.empty(2 * distance + 1, dim))
        nn.init.xavier_uniform_(self.table)

    def parts(self, offsets: range) -> tuple[int, slice, int]:
        """Of rising ``offsets``: how many are too far left, rows of the others, how many too far right."""
        lowest, highest = offsets[0], offsets[-1]
        left = min(max(0, -self.distance - lowest), len(offsets))
        right = min(max(0, highest - self.distance), len(offsets))
        return left, slice(lowest + self.distance + left, highest + self.distance + 1 - right), right


class ShawKeys(_Shaw):
    """q · a(offset)."""

    @override
    def logits(self, query: Tensor, key: Tensor, queries: Layout, keys: Layout) -> Tensor:
        def terms(known: Tensor, offsets: range) -> Tensor:
            left, near, right = self.parts(offsets)
            far = (known[..., :1].expand(-1, -1, -1, left), known[..., -1:].expand(-1, -1, -1, right))
            return torch.cat([far[0], known[..., near], far[1]], dim=-1)

        # (B,H,Q,D) @ (D,R) -> (B,H,Q,R)
        return spread(terms, query @ self.table.T, queries, keys)


class ShawValues(_Shaw):
    """Σ weight · a(offset), weights of one vector summed first."""

    @override
    def values(self, weights: Tensor, queries: Layout, keys: Layout) -> Tensor:
        def terms(weights: Tensor, offsets: range) -> Tensor:
            left, near, right = self.parts(offsets)
            before, known, after = weights.split([left, len(offsets) - left - right, right], dim=-1)
            x = known @ self.table[near]
            if left:
                x = x + before.sum(dim=-1, keepdim=True) * self.table[0]
            if right:
                x = x + after.sum(dim=-1, keepdim=True) * self.table[-1]
            return x

        return collect(terms, weights, queries, keys)
