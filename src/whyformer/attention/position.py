"""Position schemes, sorted by the four places where they touch the data.

B batch · L length · Q query length · K key length · H heads · D head dimension · M model dimension

A scheme overrides one or two of four hooks that otherwise do nothing:

=========  =============================================  ========================================
place      hook                                           members
=========  =============================================  ========================================
input      ``embed(x, position) -> x``                    sinusoidal, learned
rotation   ``rotate(x, position) -> x``                   rotary
logits     ``logits(query, key, queries, keys) -> term``  T5, ALiBi, Shaw keys, Transformer-XL
values     ``values(weights, queries, keys) -> term``     Shaw values
=========  =============================================  ========================================

An *offset* is the key's position minus the query's; schemes that read nothing else are relative. No scheme
applies in cross-attention, whose two sides count differently. In a cache keys keep the positions they came
with, so every scheme gives there what it gives in a full pass.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

from whyformer.attention.heads import Site
from whyformer.attention.mask import Axis
from whyformer.attention.relative import AlibiSpec, ShawKeysSpec, ShawValuesSpec, T5Spec, TransformerXLSpec
from whyformer.attention.scheme import PositionScheme, SchemeSpec
from whyformer.attention.sinusoid import sinusoids
from whyformer.errors import DataError


class SinusoidalSpec(SchemeSpec):
    """Fixed sines and cosines added to the embedding; defined at any length, though untrained beyond."""

    origin: ClassVar[str] = "Vaswani et al. 2017, section 3.5"
    kind: Literal["sinusoidal"] = "sinusoidal"

    def build(self, site: Site) -> PositionScheme:
        """The scheme for the embeddings of ``site``."""
        return Sinusoidal(site.d_model)


class Sinusoidal(PositionScheme):
    """PE(p, 2i) = sin(p / 10000^(2i/M)), PE(p, 2i+1) = cos(p / 10000^(2i/M)).

    The table grows on demand: there is no longest position. An odd M drops the last cosine.
    """

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.d_model = d_model
        # Not a buffer: how far it has grown is no part of the model, to be saved, cast or synchronised.
        self.table = torch.empty(0, d_model)

    @override
    def embed(self, x: Tensor, position: Tensor) -> Tensor:
        # How far positions reach is only in the data: one wait for the device in a stack's forward pass.
        longest = int(position.max()) + 1 if position.numel() else 0
        if longest > len(self.table) or self.table.device != x.device:
            self.table = sinusoids(torch.arange(max(64, 2 * longest)), self.d_model).to(x.device)
        return x + self.table[position].to(x.dtype)


class LearnedSpec(SchemeSpec):
    """A learned vector for each position, added to the embedding; longer input is refused."""

    origin: ClassVar[str] = "Gehring et al. 2017, section 3.1"
    kind: Literal["learned"] = "learned"
    longest: int = Field(default=1024, ge=1)
    """Positions that have a vector."""

    @override
    def reach(self) -> int | None:
        return self.longest

    def build(self, site: Site) -> PositionScheme:
        """The scheme for the embeddings of ``site``."""
        return Learned(self.longest, site.d_model)


class Learned(PositionScheme):
    """A table of vectors, drawn from N(0, 1/M) like those of the tokens."""

    def __init__(self, longest: int, d_model: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.empty(longest, d_model))
        nn.init.normal_(self.table, std=d_model**-0.5)

    @override
    def embed(self, x: Tensor, position: Tensor) -> Tensor:
        longest = int(position.max()) + 1 if position.numel() else 0
        if longest > len(self.table):
            raise DataError(
                f"a sentence of {longest} tokens is longer than the {len(self.table)} learned positions; "
                "shorten it, or train with a higher `longest` of the position scheme."
            )
        return x + F.embedding(position, self.table).to(x.dtype)


class RotarySpec(SchemeSpec):
    """Queries and keys are turned by angles that grow with the position, so products see offsets only.

    Beyond the trained length it runs on, with angles never seen; ``stretch`` brings them back.
    """

    origin: ClassVar[str] = "Su et al. 2021, equation 15"
    dot_only: ClassVar[bool] = True
    kind: Literal["rotary"] = "rotary"
    fraction: float = Field(default=1.0, gt=0.0, le=1.0)
    """Share of a head's components that are turned; the rest carries no position."""
    base: float = Field(default=10_000.0, gt=1.0)
    """Ratio of the longest wavelength to the shortest, nearly."""
    stretch: float = Field(default=1.0, ge=1.0)
    """Number that positions are divided by, to reach further after training (Chen et al. 2023)."""

    @override
    def fault(self, site: Site) -> str | None:
        # 0.07 of 200 is 14, not 14.000000000000002.
        turned = round(self.fraction * site.dim, 6)
        if turned >= 2 and turned % 2 == 0:
            return None
        return f"rotary turns pairs, but {turned:g} of {site.dim} components are to be turned; make it even"

    def build(self, site: Site) -> PositionScheme:
        """The scheme for the heads of ``site``."""
        return Rotary(round(self.fraction * site.dim), self.base, self.stretch)


class Rotary(PositionScheme):
    """Component i and i + R/2 of the first R turn together by position · base^(-2i/R)."""

    def __init__(self, turned: int, base: float, stretch: float) -> None:
        super().__init__()
        self.turned = turned
        self.base = base
        self.stretch = stretch

    @override
    def rotate(self, x: Tensor, position: Tensor) -> Tensor:
        # Angles in fp64, products in fp32 at least: bf16 could not tell late positions apart.
        even = torch.arange(0, self.turned, 2, dtype=torch.float64, device=x.device)
        angle = position[:, None, :, None] / self.stretch * self.base ** (-even / self.turned)
        exact = torch.promote_types(x.dtype, torch.float32)
        sine, cosine = angle.sin().to(exact), angle.cos().to(exact)
        # (B,H,L,R) -> twice (B,H,L,R/2)
        first, second = x[..., : self.turned].to(exact).chunk(2, dim=-1)
        turned = torch.cat([first * cosine - second * sine, second * cosine + first * sine], dim=-1)
        return torch.cat([turned.to(x.dtype), x[..., self.turned :]], dim=-1)


PositionSpec = Annotated[
    SinusoidalSpec
    | LearnedSpec
    | RotarySpec
    | AlibiSpec
    | T5Spec
    | ShawKeysSpec
    | ShawValuesSpec
    | TransformerXLSpec,
    Field(discriminator="kind"),
]


@dataclass(frozen=True)
class Positions:
    """Several schemes as one (none is legal too): the first two places chain, the last two add up."""

    schemes: Sequence[PositionScheme] = ()

    def embed(self, x: Tensor, position: Tensor) -> Tensor:
        """Chain the input hooks."""
        for scheme in self.schemes:
            x = scheme.embed(x, position)
        return x

    def rotate(self, x: Tensor, position: Tensor) -> Tensor:
        """Chain the rotations."""
        for scheme in self.schemes:
            x = scheme.rotate(x, position)
        return x

    def logits(self, query: Tensor, key: Tensor, queries: Axis, keys: Axis) -> Tensor | None:
        """Add up the terms for the logits."""
        return _total([scheme.logits(query, key, queries, keys) for scheme in self.schemes])

    def values(self, weights: Tensor, queries: Axis, keys: Axis) -> Tensor | None:
        """Add up the terms for the context."""
        return _total([scheme.values(weights, queries, keys) for scheme in self.schemes])

    @property
    def reads_weights(self) -> bool:
        """Whether a scheme overrides ``values``, so that the kernel must hand out its weights."""
        return any(type(scheme).values is not PositionScheme.values for scheme in self.schemes)


def _total(terms: Sequence[Tensor | None]) -> Tensor | None:
    present = [term for term in terms if term is not None]
    return sum(present[1:], start=present[0]) if present else None
