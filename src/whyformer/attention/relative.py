"""Position schemes that act inside attention by the offset between two tokens, and by nothing else.

B batch · L length · Q query, K key length · N offsets · H heads · D head dimension · M model dimension
"""

import math
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from typing_extensions import override

from whyformer.attention.heads import Site
from whyformer.attention.mask import Axis
from whyformer.attention.offsets import collect, extent, offsets_between, spread
from whyformer.attention.scheme import PositionScheme, SchemeSpec
from whyformer.attention.sinusoid import sinusoids


class _OwnedSpec(SchemeSpec):
    """A scheme inside attention, whose parameters layers may share."""

    owner: Literal["stack", "layer"] = "layer"
    """Who has the parameters: one set for the whole stack, or one for every layer."""

    @property
    @override
    def by_layer(self) -> bool:
        return self.owner == "layer"


class AlibiSpec(SchemeSpec):
    """A penalty that grows with the distance, by a slope of each head's own; made for longer input.

    Under a causal mask this is the paper's; in an encoder it counts alike to both sides.
    """

    origin: ClassVar[str] = "Press et al. 2022, section 3"
    kind: Literal["alibi"] = "alibi"

    def build(self, site: Site) -> PositionScheme:
        """The scheme for the heads of ``site``."""
        return Alibi(site.heads)


class Alibi(PositionScheme):
    """-slope · |offset|, slopes falling from 2^(-8/H) to 2^-8. Memory: H·Q·K numbers."""

    def __init__(self, heads: int) -> None:
        super().__init__()
        # For H that is no power of two: those of the power below, then every other one of the power above.
        power = 1 << (heads.bit_length() - 1)
        exponents = [8 * (i + 1) / power for i in range(power)]
        exponents += [8 * (i + 1) / (2 * power) for i in range(0, 2 * (heads - power), 2)]
        self.register_buffer("slopes", 2.0 ** -torch.tensor(exponents), persistent=False)
        self.slopes: Tensor

    @override
    def logits(self, query: Tensor, key: Tensor, queries: Axis, keys: Axis) -> Tensor:
        # (H,1,1) · (B,1,Q,K) -> (B,H,Q,K)
        return self.slopes[:, None, None] * -offsets_between(queries, keys)[:, None].abs()


class T5Spec(_OwnedSpec):
    """A learned number a head for each bucket of offsets, buckets widening with the distance.

    Beyond ``farthest`` all distances share a bucket, so longer input needs nothing new.
    """

    origin: ClassVar[str] = "Raffel et al. 2020, section 2.1"
    kind: Literal["t5"] = "t5"
    owner: Literal["stack", "layer"] = "stack"
    """Who has the parameters: one set for the whole stack, or one for every layer."""
    buckets: int = Field(default=32, ge=4, multiple_of=4)
    """Numbers a head; halved between the two directions where later keys can be seen."""
    farthest: int = Field(default=128, ge=2)
    """Distance from which on all share the last bucket."""

    def build(self, site: Site) -> PositionScheme:
        """The scheme for the heads of ``site``."""
        return T5(site, self.buckets, self.farthest)


class T5(PositionScheme):
    """A table (buckets, H), zero at first. Memory: H·Q·K numbers."""

    def __init__(self, site: Site, buckets: int, farthest: int) -> None:
        super().__init__()
        self.causal, self.farthest = site.causal, farthest
        self.table = nn.Parameter(torch.zeros(buckets, site.heads))

    def bucket(self, offset: Tensor) -> Tensor:
        """The bucket of each offset: one a distance while they are near, then by logarithm."""
        buckets = len(self.table) if self.causal else len(self.table) // 2
        distance = -offset.clamp_max(0) if self.causal else offset.abs()
        near = buckets // 2
        growth = (distance.clamp_min(1) / near).log() / math.log(max(self.farthest, near + 1) / near)
        far = (near + (growth * (buckets - near)).long()).clamp_max(buckets - 1)
        bucket = torch.where(distance < near, distance, far)
        return bucket if self.causal else bucket + (offset > 0) * buckets

    @override
    def logits(self, query: Tensor, key: Tensor, queries: Axis, keys: Axis) -> Tensor:
        # (N,H) -> (1,H,1,N)
        return spread(lambda offset, _: self.table[self.bucket(offset)].T[None, :, None], queries, keys)


class _ShawSpec(_OwnedSpec):
    """What both halves of Shaw et al. have in common."""

    distance: int = Field(default=16, ge=1)
    """Largest distance with a vector of its own; farther keys, at any length, count as that far."""


class ShawKeysSpec(_ShawSpec):
    """Each query also meets a learned vector for the offset, as if it were part of the key."""

    origin: ClassVar[str] = "Shaw et al. 2018, equation 4"
    dot_only: ClassVar[bool] = True
    kind: Literal["shaw_keys"] = "shaw_keys"

    def build(self, site: Site) -> PositionScheme:
        """The scheme for the heads of ``site``."""
        return ShawKeys(self.distance, site.dim)


class ShawValuesSpec(_ShawSpec):
    """A learned vector for the offset is added to each value that is attended to."""

    origin: ClassVar[str] = "Shaw et al. 2018, equation 3"
    kind: Literal["shaw_values"] = "shaw_values"

    def build(self, site: Site) -> PositionScheme:
        """The scheme for the heads of ``site``."""
        return ShawValues(self.distance, site.dim)


class _Shaw(PositionScheme):
    """A table (R,D) of R = 2 · distance + 1 vectors that all heads share; the first is for keys far left.

    Memory: H·Q·K numbers, never the Q·K·D of the plain formula.
    """

    def __init__(self, distance: int, dim: int) -> None:
        super().__init__()
        self.distance = distance
        self.table = nn.Parameter(torch.empty(2 * distance + 1, dim))
        nn.init.xavier_uniform_(self.table)

    def parts(self, offsets: Tensor) -> tuple[int, slice, int]:
        """Of rising ``offsets``: how many are too far left, rows of the others, how many too far right."""
        lowest, highest = int(offsets[0]), int(offsets[-1])
        left = min(max(0, -self.distance - lowest), len(offsets))
        right = min(max(0, highest - self.distance), len(offsets))
        return left, slice(lowest + self.distance + left, highest + self.distance + 1 - right), right


class ShawKeys(_Shaw):
    """q · a(offset)."""

    @override
    def logits(self, query: Tensor, key: Tensor, queries: Axis, keys: Axis) -> Tensor:
        # (B,H,Q,D) @ (D,R) -> (B,H,Q,R)
        products = query @ self.table.T

        def terms(offsets: Tensor, rows: slice) -> Tensor:
            known = products[:, :, rows]
            left, near, right = self.parts(offsets)
            far = (known[..., :1].expand(-1, -1, -1, left), known[..., -1:].expand(-1, -1, -1, right))
            return torch.cat([far[0], known[..., near], far[1]], dim=-1)

        return spread(terms, queries, keys)


class ShawValues(_Shaw):
    """Σ weight · a(offset), weights of one vector summed first."""

    @override
    def values(self, weights: Tensor, queries: Axis, keys: Axis) -> Tensor:
        def terms(weights: Tensor, offsets: Tensor) -> Tensor:
            left, near, right = self.parts(offsets)
            x = weights[..., left : len(offsets) - right] @ self.table[near]
            if left:
                x = x + weights[..., :left].sum(dim=-1, keepdim=True) * self.table[0]
            if right:
                x = x + weights[..., -right:].sum(dim=-1, keepdim=True) * self.table[-1]
            return x

        return collect(terms, weights, queries, keys)


class TransformerXLSpec(_OwnedSpec):
    """Learned projections of sinusoids of the offset; keys by content and by offset have biases of their own.

    Sinusoids reach to any offset, so longer input needs nothing new.
    """

    origin: ClassVar[str] = "Dai et al. 2019, section 3.3"
    dot_only: ClassVar[bool] = True
    kind: Literal["transformer_xl"] = "transformer_xl"

    def build(self, site: Site) -> PositionScheme:
        """The scheme for the heads of ``site``."""
        return TransformerXL(site)


class TransformerXL(PositionScheme):
    """u · k + (q + v) · W_R sinusoid(offset). Memory: H·Q·K numbers.

    u and v (H,D) join the query after it was scaled, so they hold the paper's times the scale.
    """

    def __init__(self, site: Site) -> None:
        super().__init__()
        self.site = site
        self.content = nn.Parameter(torch.zeros(site.heads, site.dim))
        self.offset = nn.Parameter(torch.zeros(site.heads, site.dim))
        self.project = nn.Linear(site.d_model, site.heads * site.dim, bias=False)
        nn.init.xavier_uniform_(self.project.weight)

    @override
    def logits(self, query: Tensor, key: Tensor, queries: Axis, keys: Axis) -> Tensor:
        biased = query + self.offset[:, None]
        lowest, highest = extent(queries, keys)
        every = torch.arange(lowest, highest + 1, device=query.device)
        encodings = self.project(sinusoids(every, self.site.d_model).to(query.dtype))
        # (N,H·D) -> (H,D,N)
        encodings = encodings.unflatten(-1, (self.site.heads, -1)).permute(1, 2, 0)

        def terms(offsets: Tensor, rows: slice) -> Tensor:
            first = int(offsets[0]) - lowest
            # (B,H,Q,D) @ (H,D,N) -> (B,H,Q,N)
            return biased[:, :, rows] @ encodings[..., first : first + len(offsets)]

        # (H,1,D) @ (B,H,D,K) -> (B,H,1,K)
        return self.content[:, None] @ key.transpose(-2, -1) + spread(terms, queries, keys)
