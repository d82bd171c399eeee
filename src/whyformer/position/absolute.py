"""Position schemes that add a vector for the position to the embedding.

B batch · L length · N positions · M model dimension
"""

import math
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

from whyformer.errors import DataError
from whyformer.position.attention_shape import AttentionShape
from whyformer.position.layout import Layout
from whyformer.position.scheme import PositionScheme, SchemeSpec

FAR = 1 << 16
"""Positions from which on sinusoids are computed when asked for: a stream has no end, a table must."""


def sinusoids(position: Tensor, d_model: int) -> Tensor:
    """The encodings (N,M) fp32 of ``position`` (N,), which may be negative, computed in fp64."""
    even = torch.arange(0, d_model, 2, dtype=torch.float64, device=position.device)
    angle = position[:, None] * torch.exp(even * (-math.log(10_000.0) / d_model))
    # (N,M/2,2) -> (N,M): sines and cosines take turns
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)[:, :d_model].float()


class SinusoidalSpec(SchemeSpec):
    """Fixed sines and cosines added to the embedding; defined at any length, though untrained beyond."""

    origin: ClassVar[str] = "Vaswani et al. 2017, section 3.5"
    in_attention = False
    kind: Literal["sinusoidal"] = "sinusoidal"

    def build(self, shape: AttentionShape) -> PositionScheme:
        """The scheme for the embeddings of ``shape``."""
        return Sinusoidal(shape.d_model)


class Sinusoidal(PositionScheme):
    """PE(p, 2i) = sin(p / 10000^(2i/M)), PE(p, 2i+1) = cos(p / 10000^(2i/M)).

    The table grows on demand, up to ``FAR``: there is no longest position. An odd M drops the last cosine.
    """

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.d_model = d_model
        # Not a buffer: how far it has grown is no part of the model, to be saved, cast or synchronised.
        self.table = torch.empty(0, d_model)

    @override
    def embed(self, x: Tensor, layout: Layout) -> Tensor:
        longest = layout.last + 1
        if longest > FAR:
            # (B,L) -> (B·L,M) -> (B,L,M)
            encodings = sinusoids(layout.position.flatten(), self.d_model)
            return x + encodings.view(*layout.position.shape, -1).to(x.dtype)
        # One look at it, as another thread may be growing it, too.
        table = self.table
        if longest > len(table) or table.device != x.device:
            table = self.table = sinusoids(torch.arange(max(64, 2 * longest)), self.d_model).to(x.device)
        return x + table[layout.position].to(x.dtype)


class LearnedSpec(SchemeSpec):
    """A learned vector for each position, added to the embedding; longer input is refused."""

    origin: ClassVar[str] = "Gehring et al. 2017, section 3.1"
    in_attention = False
    kind: Literal["learned"] = "learned"
    longest: int = Field(default=1024, ge=1)
    """Positions that have a vector."""

    @override
    def max_positions(self) -> int | None:
        return self.longest

    def build(self, shape: AttentionShape) -> PositionScheme:
        """The scheme for the embeddings of ``shape``."""
        return Learned(self.longest, shape.d_model)


class Learned(PositionScheme):
    """A table of vectors, drawn from N(0, 1/M) like those of the tokens."""

    def __init__(self, longest: int, d_model: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.empty(longest, d_model))
        nn.init.normal_(self.table, std=d_model**-0.5)

    @override
    def embed(self, x: Tensor, layout: Layout) -> Tensor:
        position = layout.position
        # Bounds may be wide: before it refuses, it looks.
        if layout.last >= len(self.table) and (longest := int(position.max()) + 1) > len(self.table):
            raise DataError(
                f"a sentence of {longest} tokens is longer than the {len(self.table)} learned positions; "
                "shorten it, or train with a higher `longest` of the position scheme."
            )
        return x + F.embedding(position, self.table).to(x.dtype)
