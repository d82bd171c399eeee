"""T5's learned numbers for buckets of offsets.

B batch · Q query, K key length · N offsets · H heads
"""

import math
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from typing_extensions import override

from whyformer.position.attention_shape import AttentionShape
from whyformer.position.layout import Layout
from whyformer.position.offsets import spread
from whyformer.position.scheme import OwnedSpec, PositionScheme


class T5Spec(OwnedSpec):
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

    def build(self, shape: AttentionShape) -> PositionScheme:
        """The scheme for the heads of ``shape``."""
        return T5(shape, self.buckets, self.farthest)


class T5(PositionScheme):
    """A table (buckets, H), zero at first. Memory: H·Q·K numbers."""

    def __init__(self, shape: AttentionShape, buckets: int, farthest: int) -> None:
        super().__init__()
        self.causal, self.farthest = shape.causal, farthest
        self.table = nn.Parameter(torch.zeros(buckets, shape.heads))

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
    def logits(self, query: Tensor, key: Tensor, queries: Layout, keys: Layout) -> Tensor:
        def terms(_: Tensor, offsets: range) -> Tensor:
            known = torch.arange(offsets.start, offsets.stop, device=self.table.device)
            # (N,H) -> (1,H,1,N)
            return self.table[self.bucket(known)].T[None, :, None]

        return spread(terms, query, queries, keys)
