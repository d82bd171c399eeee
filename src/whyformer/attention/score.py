"""Scores: how well a query fits a key.

B batch · Q query length · K key length · H heads · D head dimension
"""

import math
from typing import Literal

from torch import Tensor, nn

from whyformer.spec import Spec


class ScaledDotSpec(Spec):
    """The dot product divided by the square root of the head dimension."""

    kind: Literal["scaled_dot"] = "scaled_dot"

    def build(self, head_dim: int) -> "Dot":
        """The score for heads of ``head_dim`` components."""
        return Dot(1.0 / math.sqrt(head_dim))


ScoreSpec = ScaledDotSpec


class Dot(nn.Module):
    """``scale · q · k``; with ``scale = 1/√D`` this is Vaswani et al. 2017, equation 1.

    If the components of q and k are independent with mean 0 and variance 1, their dot product has
    variance D; the scale brings it back to 1, so that the softmax does not saturate as D grows.
    """

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale

    def prepare(self, query: Tensor) -> Tensor:
        """Apply the scale, once, to the query; position terms and kernels then read the result."""
        return query * self.scale

    def forward(self, query: Tensor, key: Tensor) -> Tensor:
        """Prepared query (B,H,Q,D) and key (B,H,K,D) -> logits (B,H,Q,K)."""
        return query @ key.transpose(-2, -1)
