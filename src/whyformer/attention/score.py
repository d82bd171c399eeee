"""Scores: how well a query fits a key.

B batch · Q query length · K key length · H heads · D head dimension
"""

import math
from abc import ABC, abstractmethod
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from typing_extensions import override

from whyformer.position.attention_shape import AttentionShape
from whyformer.spec import Spec


class ScaledDotSpec(Spec):
    """The dot product divided by the square root of the head dimension."""

    origin: ClassVar[str] = "Vaswani et al. 2017, equation 1"
    kind: Literal["scaled_dot"] = "scaled_dot"

    def build(self, shape: AttentionShape) -> "Score":
        """The score for the heads of ``shape``."""
        return Dot(1.0 / math.sqrt(shape.dim))


class DotSpec(Spec):
    """The dot product times a fixed number, whatever the head dimension."""

    origin: ClassVar[str] = "Luong et al. 2015, equation 8 (dot)"
    kind: Literal["dot"] = "dot"
    scale: float = Field(default=1.0, gt=0.0)
    """The number; 1 leaves the product unscaled."""

    def build(self, shape: AttentionShape) -> "Score":
        """The score for the heads of ``shape``."""
        return Dot(self.scale)


class AdditiveSpec(Spec):
    """A small network of one hidden layer that reads query and key."""

    origin: ClassVar[str] = "Bahdanau et al. 2015, appendix A.1.2"
    kind: Literal["additive"] = "additive"

    def build(self, shape: AttentionShape) -> "Score":
        """The score for the heads of ``shape``."""
        return Additive(shape.heads, shape.dim)


ScoreSpec = Annotated[ScaledDotSpec | DotSpec | AdditiveSpec, Field(discriminator="kind")]


class Score(nn.Module, ABC):
    """Turns queries and keys into logits."""

    def prepare(self, query: Tensor) -> Tensor:
        """Change the query once, before position terms and kernels read it; by default it stays."""
        return query

    @abstractmethod
    def forward(self, query: Tensor, key: Tensor) -> Tensor:
        """Prepared query (B,H,Q,D) and key (B,H,K,D) -> logits (B,H,Q,K)."""


class Dot(Score):
    """``scale · q · k``.

    If the components of q and k are independent with mean 0 and variance 1, their dot product has
    variance D; a scale of 1/√D brings it back to 1, so that the softmax does not saturate as D grows.
    """

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale

    @override
    def prepare(self, query: Tensor) -> Tensor:
        return query * self.scale

    @override
    def forward(self, query: Tensor, key: Tensor) -> Tensor:
        return query @ key.transpose(-2, -1)


class Additive(Score):
    """``v · tanh(q + k)``, with a vector v for each head.

    The matrices W and U of the paper are the projections of query and key, which every attention has.
    Each pair of tokens costs D tanh, and D numbers of memory at once: B·H·Q·K·D, where Dot needs B·H·Q·K.
    """

    def __init__(self, heads: int, dim: int) -> None:
        super().__init__()
        self.vector = nn.Parameter(torch.empty(heads, dim))
        nn.init.uniform_(self.vector, -(dim**-0.5), dim**-0.5)

    @override
    def forward(self, query: Tensor, key: Tensor) -> Tensor:
        # (B,H,Q,1,D) + (B,H,1,K,D) -> (B,H,Q,K,D)
        hidden = torch.tanh(query[:, :, :, None] + key[:, :, None, :])
        # (B,H,Q,K,D) @ (H,1,D,1) -> (B,H,Q,K,1)
        return (hidden @ self.vector[:, None, :, None]).squeeze(-1)
