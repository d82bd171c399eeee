"""Position schemes, sorted by the four places where they touch the data.

B batch · L length · Q query length · K key length · H heads · D head dimension · M model dimension

A scheme overrides one or two of four hooks that otherwise do nothing:

=========  =============================================  ===============================
place      hook                                           members
=========  =============================================  ===============================
input      ``embed(x, position) -> x``                    sinusoidal
rotation   ``rotate(x, position) -> x``                   (none yet)
logits     ``logits(query, queries, keys) -> …``          (none yet)
values     ``values(weights, queries, keys) -> …``        (none yet)
=========  =============================================  ===============================
"""

import math
from collections.abc import Sequence
from typing import Literal, cast

import torch
from torch import Tensor, nn

from whyformer.attention.mask import Axis
from whyformer.spec import Spec


class PositionScheme(nn.Module):
    """The base of every scheme: four hooks that change nothing."""

    def embed(self, x: Tensor, position: Tensor) -> Tensor:
        """Change the embedded tokens ``x`` (B,L,M) at ``position`` (B,L)."""
        return x

    def rotate(self, x: Tensor, position: Tensor) -> Tensor:
        """Change queries or keys ``x`` (B,H,L,D) at ``position`` (B,L)."""
        return x

    def logits(self, query: Tensor, queries: Axis, keys: Axis) -> Tensor | None:
        """A term for the logits (B,H,Q,K) from the scaled query (B,H,Q,D); None for no term."""
        return None

    def values(self, weights: Tensor, queries: Axis, keys: Axis) -> Tensor | None:
        """A term for the context (B,H,Q,D) from the weights (B,H,Q,K); None for no term."""
        return None


class Sinusoidal(PositionScheme):
    """Sines and cosines of geometric wavelengths, added to the embedding (Vaswani et al. 2017, section 3.5).

    PE(p, 2i) = sin(p / 10000^(2i/M)), PE(p, 2i+1) = cos(p / 10000^(2i/M)). The table grows on demand:
    there is no longest position. An odd M drops the last cosine.
    """

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.d_model = d_model
        # Not a buffer: how far it has grown is no part of the model, to be saved, cast or synchronised.
        self.table = torch.empty(0, d_model)

    def embed(self, x: Tensor, position: Tensor) -> Tensor:
        """Add the encoding of ``position`` (B,L) to ``x`` (B,L,M)."""
        # How far positions reach is only in the data: one wait for the device in a stack's forward pass.
        longest = int(position.max()) + 1 if position.numel() else 0
        if longest > len(self.table) or self.table.device != x.device:
            self.table = sinusoids(max(64, 2 * longest), self.d_model).to(x.device)
        return x + self.table[position].to(x.dtype)


def sinusoids(length: int, d_model: int) -> Tensor:
    """The first ``length`` encodings, (length, d_model) fp32 on the CPU, computed in fp64."""
    even = torch.arange(0, d_model, 2, dtype=torch.float64, device="cpu")
    frequency = torch.exp(even * (-math.log(10_000.0) / d_model))
    angle = torch.arange(length, dtype=torch.float64, device="cpu")[:, None] * frequency
    # (length, M/2, 2) -> (length, M): sines and cosines take turns
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)[:, :d_model].float()


class Positions(nn.Module):
    """Several schemes as one (none is legal too): the first two places chain, the last two add up."""

    def __init__(self, schemes: Sequence[PositionScheme]) -> None:
        super().__init__()
        self.schemes = nn.ModuleList(schemes)

    def embed(self, x: Tensor, position: Tensor) -> Tensor:
        """Chain the input hooks."""
        for scheme in self._each():
            x = scheme.embed(x, position)
        return x

    def rotate(self, x: Tensor, position: Tensor) -> Tensor:
        """Chain the rotations."""
        for scheme in self._each():
            x = scheme.rotate(x, position)
        return x

    def logits(self, query: Tensor, queries: Axis, keys: Axis) -> Tensor | None:
        """Add up the terms for the logits."""
        return _total([scheme.logits(query, queries, keys) for scheme in self._each()])

    def values(self, weights: Tensor, queries: Axis, keys: Axis) -> Tensor | None:
        """Add up the terms for the context."""
        return _total([scheme.values(weights, queries, keys) for scheme in self._each()])

    @property
    def reads_weights(self) -> bool:
        """Whether a scheme overrides ``values``, so that the kernel must hand out its weights."""
        return any(type(scheme).values is not PositionScheme.values for scheme in self._each())

    def _each(self) -> list[PositionScheme]:
        # ModuleList forgets the type of what it holds.
        return cast("list[PositionScheme]", list(self.schemes))


class SinusoidalSpec(Spec):
    """Fixed sines and cosines added to the embedding; defined for any length."""

    kind: Literal["sinusoidal"] = "sinusoidal"

    def build(self, d_model: int) -> PositionScheme:
        """The scheme for embeddings of ``d_model`` components."""
        return Sinusoidal(d_model)


PositionSpec = SinusoidalSpec


def _total(terms: Sequence[Tensor | None]) -> Tensor | None:
    present = [term for term in terms if term is not None]
    return sum(present[1:], start=present[0]) if present else None
