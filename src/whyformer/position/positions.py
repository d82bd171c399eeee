"""Position schemes, sorted by the four places where they touch the data.

B batch · L length · Q query length · K key length · H heads · D head dimension · M model dimension

A scheme overrides one or two of four hooks that otherwise do nothing:

=========  =============================================  ========================================
place      hook                                           members
=========  =============================================  ========================================
input      ``embed(x, layout) -> x``                      sinusoidal, learned
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
from typing import Annotated

from pydantic import Field
from torch import Tensor

from whyformer.position.absolute import LearnedSpec, SinusoidalSpec
from whyformer.position.alibi import AlibiSpec
from whyformer.position.layout import Layout
from whyformer.position.rotary import RotarySpec
from whyformer.position.scheme import PositionScheme
from whyformer.position.shaw import ShawKeysSpec, ShawValuesSpec
from whyformer.position.t5 import T5Spec
from whyformer.position.transformer_xl import TransformerXLSpec

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

    def embed(self, x: Tensor, layout: Layout) -> Tensor:
        """Chain the input hooks."""
        for scheme in self.schemes:
            x = scheme.embed(x, layout)
        return x

    def rotate(self, x: Tensor, position: Tensor) -> Tensor:
        """Chain the rotations."""
        for scheme in self.schemes:
            x = scheme.rotate(x, position)
        return x

    def logits(self, query: Tensor, key: Tensor, queries: Layout, keys: Layout) -> Tensor | None:
        """Add up the terms for the logits."""
        return _total([scheme.logits(query, key, queries, keys) for scheme in self.schemes])

    def values(self, weights: Tensor, queries: Layout, keys: Layout) -> Tensor | None:
        """Add up the terms for the context."""
        return _total([scheme.values(weights, queries, keys) for scheme in self.schemes])

    @property
    def reads_weights(self) -> bool:
        """Whether a scheme overrides ``values``, so that the kernel must hand out its weights."""
        return any(type(scheme).values is not PositionScheme.values for scheme in self.schemes)


def _total(terms: Sequence[Tensor | None]) -> Tensor | None:
    present = [term for term in terms if term is not None]
    return sum(present[1:], start=present[0]) if present else None
