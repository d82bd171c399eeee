"""A stack of equal blocks: an encoder or a decoder.

B batch · L length · S source length · M model dimension
"""

from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from whyformer.attention.cache import CrossCache, KVCache
from whyformer.attention.mask import Axis, CausalSpec, Everything, EverythingSpec, Mask
from whyformer.attention.multihead import MultiHeadAttention
from whyformer.attention.position import Positions, PositionSpec, SinusoidalSpec
from whyformer.nn.block import Block, BlockSpec, CrossPass, Pass
from whyformer.spec import Spec

MaskSpec = Annotated[EverythingSpec | CausalSpec, Field(discriminator="kind")]


class StackSpec(Spec):
    """A stack of equal blocks."""

    layers: int = Field(default=6, ge=1)
    """Number of blocks."""
    mask: MaskSpec = EverythingSpec()
    """Who may attend to whom in self-attention."""
    positions: tuple[PositionSpec, ...] = (SinusoidalSpec(),)
    """Position schemes; several are joined, none is legal."""
    block: BlockSpec = BlockSpec()
    """What every layer looks like."""

    def build(self, d_model: int) -> "Stack":
        """The stack for a model of ``d_model`` components."""
        return Stack(self, d_model)


class Stack(nn.Module):
    """Blocks one after another; it builds the masks once for all of them and advances the cache."""

    def __init__(self, spec: StackSpec, d_model: int) -> None:
        super().__init__()
        self.rule = spec.mask.build()
        self.positions = Positions([scheme.build(d_model) for scheme in spec.positions])
        # The two sides of cross-attention count differently, so no scheme applies there.
        self.cross_positions = Positions([])
        self.blocks = nn.ModuleList(spec.block.build(d_model) for _ in range(spec.layers))
        self.final_norm = spec.block.norm.build(d_model) if spec.block.placement.final_norm else None

    def forward(
        self, x: Tensor, queries: Axis, *, cache: KVCache | None = None, cross: CrossCache | None = None
    ) -> Tensor:
        """Transform embedded tokens.

        Args:
            x: (B,L,M), positions already added.
            queries: where the L tokens stand and which are real.
            cache: keys and values of earlier tokens; those of ``x`` are added to it.
            cross: keys and values of the memory, for a decoder.

        Returns:
            (B,L,M); rows of padding are finite and mean nothing.
        """
        keys = queries if cache is None else cache.with_new(queries)
        reading = None
        if cross is not None:
            reading = CrossPass(cross, Mask(Everything(), queries, cross.axis), self.cross_positions)
        shared = Pass(Mask(self.rule, queries, keys), self.positions, cache, reading)
        for layer, block in enumerate(self.blocks):
            x = block(x, shared, layer)
        if cache is not None:
            cache.advance(keys)
        return x if self.final_norm is None else self.final_norm(x, queries.valid)

    def read(self, memory: Tensor, axis: Axis) -> CrossCache:
        """The keys and values of ``memory`` (B,S,M) for every layer, computed once."""
        attentions = [block.cross_attention for block in self.blocks if isinstance(block, Block)]
        return CrossCache(
            [
                attention.key_values(memory, self.cross_positions, axis.position)
                for attention in attentions
                if isinstance(attention, MultiHeadAttention)
            ],
            axis,
        )

    def new_cache(self) -> KVCache:
        """An empty cache for step-by-step decoding."""
        return KVCache(len(self.blocks))
