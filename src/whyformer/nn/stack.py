"""A stack of equal blocks: an encoder or a decoder.

A block is attention or a recurrence, perhaps cross-attention or a convolution, and a feed-forward network,
perhaps a second one before all others; each is a residual branch.

B batch · L length · S source length · M model dimension
"""

from typing import cast

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from whyformer.attention.mask import EVERYTHING, Everything, Mask, MaskRule, Rule
from whyformer.attention.multihead import AttentionSpec, MultiHeadAttention
from whyformer.dropout import Dropout
from whyformer.nn.cache import CrossCache, KVCache
from whyformer.nn.context import NO_POSITIONS, Beginning, CrossPass, Pass
from whyformer.nn.feed_forward import FeedForwardSpec, ReluSpec
from whyformer.nn.recurrent.ssru import SSRU, RecurrenceSpec
from whyformer.nn.residual.norm import LayerNormSpec, NormSpec
from whyformer.nn.residual.placement import (
    Depth,
    Placement,
    PlacementSpec,
    PostNormSpec,
    ResidualSpec,
    ResidualSumSpec,
)
from whyformer.nn.residual.values import NoValueResidualSpec, ValueResidualSpec
from whyformer.nn.streaming.convolution import ConvolutionBranch, ConvolutionSpec
from whyformer.nn.streaming.pieces import chunk_size
from whyformer.nn.streaming.state import StackState
from whyformer.position.absolute import SinusoidalSpec
from whyformer.position.attention_shape import AttentionShape
from whyformer.position.layout import Layout
from whyformer.position.positions import Positions, PositionSpec
from whyformer.position.scheme import PositionScheme
from whyformer.spec import Spec
from whyformer.tap import attach


class BlockSpec(Spec):
    """One layer of a stack."""

    attention: AttentionSpec | None = AttentionSpec()
    """Self-attention; null where a recurrence takes its place."""
    recurrence: RecurrenceSpec | None = None
    """Recurrence of a decoder in the place of self-attention, which is null then."""
    cross_attention: AttentionSpec | None = None
    """Attention to the memory, in a decoder; left out in an encoder."""
    convolution: ConvolutionSpec | None = None
    """Convolution between near positions after attention, as in a Conformer; left out in a Transformer."""
    feed_forward: FeedForwardSpec = ReluSpec()
    """The network that acts on each token by itself."""
    macaron: bool = False
    """Whether a second such network stands before attention, and each of the two counts half."""
    norm: NormSpec = LayerNormSpec()
    """How activations are normalised."""
    placement: PlacementSpec = PostNormSpec()
    """Where the norm sits."""
    residual: ResidualSpec = ResidualSumSpec()
    """How a branch joins its residual."""
    dropout: float = Field(default=0.1, ge=0.0, lt=1.0)
    """Probability that a component of a residual branch is dropped in training."""

    @model_validator(mode="after")
    def _fits_together(self) -> "BlockSpec":
        if (self.attention is None) == (self.recurrence is None):
            raise ValueError(
                "attention is null, and no recurrence takes its place; set one of them"
                if self.attention is None
                else "recurrence takes the place of attention, which is set too; set attention: null, or "
                "recurrence: null"
            )
        if self.recurrence is not None and self.cross_attention is None:
            raise ValueError(
                "recurrence is for the decoder of an encoder-decoder, which has cross_attention; set "
                "recurrence: null and attention instead"
            )
        if self.cross_attention is not None and (fault := self.cross_attention.across()):
            raise ValueError(f"cross_attention.{fault}")
        if self.convolution is not None and self.cross_attention is not None:
            raise ValueError(
                "convolution is for encoders, and cross_attention makes this a decoder, which keeps no "
                "convolution's past; remove one"
            )
        if self.macaron and self.feed_forward.kind == "none":
            raise ValueError("macaron doubles a feed-forward network, and feed_forward.kind none has none")
        if self.macaron and self.placement.kind == "peri":
            raise ValueError(
                "macaron counts a network's output half, and placement.kind peri puts a norm behind it, "
                "which undoes that; use pre"
            )
        if self.placement.kind == "deep" and self.norm.kind == "none":
            raise ValueError("placement.kind deep grows the residual in every layer; norm.kind none lets it")
        return self

    @property
    def self_attention(self) -> AttentionSpec:
        """Self-attention of a block that has no recurrence."""
        assert self.attention is not None, "a block with a recurrence is refused"
        return self.attention

    def build(self, d_model: int, layers: int) -> "Block":
        """One of ``layers`` layers in a model of ``d_model`` components."""
        return Block(self, d_model, layers)

    def attention_shape(self, d_model: int, *, causal: bool = False) -> AttentionShape:
        """Self-attention as position schemes see it; of a recurrence, one head as wide as the model."""
        if self.attention is None:
            return AttentionShape(d_model, 1, d_model, causal)
        return self.attention.heads.attention_shape(d_model, causal=causal)

    def branch(self, d_model: int, layers: int) -> Placement:
        """The ends of one residual branch of this layer."""
        more = (self.cross_attention is not None) + (self.convolution is not None) + self.macaron
        depth = Depth(layers, branches=2 + more)
        dropout, join = Dropout(self.dropout), self.residual.build()
        return self.placement.build(lambda: self.norm.build(d_model), dropout, join, depth)


class StackSpec(Spec):
    """A stack of equal blocks."""

    layers: int = Field(default=6, ge=1)
    """Number of blocks."""
    mask: MaskRule = Everything()
    """Who may attend to whom in self-attention."""
    positions: tuple[PositionSpec, ...] = (SinusoidalSpec(),)
    """Position schemes; several are joined, none is legal."""
    block: BlockSpec = BlockSpec()
    """Shape of every layer."""
    value_residual: ValueResidualSpec = NoValueResidualSpec()
    """Values of the first layer that later layers attend to beside their own."""

    @model_validator(mode="after")
    def _fits_together(self) -> "StackSpec":
        if self.mask.causal and self.block.norm.over_batch:
            raise ValueError(
                "block.norm.kind batch mixes later tokens into the statistics of earlier ones, which leaks "
                "under a causal mask; use layer or rms"
            )
        if self.value_residual.kind != "none" and self.layers == 1:
            raise ValueError(
                f"value_residual.kind {self.value_residual.kind} mixes values of later layers with those of "
                "the first, and there is one layer; set layers to 2 or more or value_residual.kind: none"
            )
        kinds = {scheme.kind for scheme in self.positions}
        if {"rotary", "transformer_xl"} <= kinds:
            raise ValueError(
                "positions: transformer_xl weighs keys by content, but rotary has turned them; use one"
            )
        if self.block.recurrence is not None:
            self._refuse_around_recurrence()
        elif self.block.attention is not None and self.block.attention.score.kind == "additive":
            for index, scheme in enumerate(self.positions):
                if scheme.dot_only:
                    raise ValueError(
                        f"positions.{index}.kind {scheme.kind} is a part of a dot product, which "
                        "block.attention.score.kind additive has not; use another scheme or score"
                    )
        return self

    def _refuse_around_recurrence(self) -> None:
        """Refuse what only attention could do."""
        if self.mask.kind != "causal":
            raise ValueError(
                f"mask.kind {self.mask.kind} is for attention, and block.recurrence has read all before it "
                "and nothing after; use causal"
            )
        if self.value_residual.kind != "none":
            raise ValueError(
                f"value_residual.kind {self.value_residual.kind} is of self-attention's values, and "
                "block.recurrence takes its place; use value_residual.kind: none"
            )
        for index, scheme in enumerate(self.positions):
            if scheme.in_attention:
                raise ValueError(
                    f"positions.{index}.kind {scheme.kind} acts inside self-attention, whose place "
                    "block.recurrence takes; use sinusoidal or learned, or none: positions: []"
                )

    def check(self, d_model: int, longest: int) -> None:
        """Refuse what cannot serve a model of ``d_model`` components and sentences of ``longest`` tokens.

        Raises:
            ValueError: the first thing that does not fit, in a sentence.
        """
        block = self.block
        for name, attention in (("attention", block.attention), ("cross_attention", block.cross_attention)):
            try:
                _ = attention and attention.heads.head_dim(d_model)
            except ValueError as error:
                raise ValueError(f"block.{name}.heads: {error}") from None
        shape = block.attention_shape(d_model)
        for index, scheme in enumerate(self.positions):
            if fault := scheme.incompatibility(shape):
                raise ValueError(f"positions.{index}: {fault}")
            if (most := scheme.max_positions()) is not None and most < longest:
                raise ValueError(
                    f"positions.{index}: {most} learned positions cannot serve sentences of up to "
                    f"{longest} tokens; raise it or lower model.longest"
                )

    def build(self, d_model: int) -> "Stack":
        """The stack for a model of ``d_model`` components."""
        return Stack(self, d_model)


class Block(nn.Module):
    """Attention mixes positions, the feed-forward network changes each (Vaswani et al. 2017, figure 1)."""

    def __init__(self, spec: BlockSpec, d_model: int, layers: int) -> None:
        super().__init__()
        self.share = 0.5 if spec.macaron else 1.0
        """Weight of a feed-forward network's output (Gulati et al. 2020, equation 1)."""
        self.attention: MultiHeadAttention | None = None
        self.recurrence: SSRU | None = None
        if spec.recurrence is not None:
            own = self.recurrence = spec.recurrence.build(d_model)
        else:
            own = self.attention = spec.self_attention.build(d_model)
        self.attention_branch = spec.branch(d_model, layers)
        """Ends of the branch of either."""
        self.attention_branch.initialise(own)
        self.cross_attention: MultiHeadAttention | None = None
        self.cross_branch: Placement | None = None
        if spec.cross_attention is not None:
            self.cross_attention = spec.cross_attention.build(d_model)
            self.cross_branch = spec.branch(d_model, layers)
            self.cross_branch.initialise(self.cross_attention)
        self.feed_forward = spec.feed_forward.build(d_model)
        self.feed_forward_branch: Placement | None = None
        if self.feed_forward is not None:
            self.feed_forward_branch = spec.branch(d_model, layers)
            self.feed_forward_branch.initialise(self.feed_forward)
        self.first_feed_forward = spec.feed_forward.build(d_model) if spec.macaron else None
        self.first_feed_forward_branch: Placement | None = None
        if self.first_feed_forward is not None:
            self.first_feed_forward_branch = spec.branch(d_model, layers)
            self.first_feed_forward_branch.initialise(self.first_feed_forward)
        self.convolution: ConvolutionBranch | None = None
        self.convolution_branch: Placement | None = None
        if spec.convolution is not None:
            self.convolution = spec.convolution.build(d_model)
            self.convolution_branch = spec.branch(d_model, layers)
            self.convolution_branch.initialise(self.convolution)
        self.embedded = nn.Parameter(torch.zeros(())) if spec.residual.embedded else None
        """Weight of the stack's input, which is added before all branches; None where it is not."""

    def forward(self, x: Tensor, shared: Pass, layer: int) -> Tensor:
        """Transform ``x`` (B,L,M); ``layer`` counts from 0 and finds this block's part of what is shared."""
        valid, positions = shared.mask.queries.valid, shared.positions[layer]
        if self.embedded is not None:
            x = x + self.embedded * shared.beginning.embedded
        x = self._feed(x, valid, self.first_feed_forward, self.first_feed_forward_branch)
        h = self.attention_branch.enter(x, valid)
        if self.attention is not None:
            source = self.attention.key_values(h, positions, shared.position)
            source = shared.beginning.mixed(layer, source)
            if (past := shared.cache or shared.state) is not None:
                source = past.append(layer, source)
            h = self.attention(h, source, shared.mask, positions, shared.position)
        elif self.recurrence is not None:
            h, state = self.recurrence(h, valid, None if shared.cache is None else shared.cache.states[layer])
            if shared.cache is not None:
                shared.cache.states[layer] = state
        x = self.attention_branch.leave(x, h, valid)
        if self.cross_attention is not None and self.cross_branch is not None:
            assert shared.cross is not None, "a block with cross-attention needs a memory"
            memory, mask = shared.cross.memory.layers[layer], shared.cross.mask
            # Rows that read the same memory are its queries, one after another: (B,L,M) -> (B/W,W·L,M)
            h = self.cross_branch.enter(x, valid).reshape(*mask.queries.position.shape, -1)
            h = self.cross_attention(h, memory, mask, NO_POSITIONS).view_as(x)
            x = self.cross_branch.leave(x, h, valid)
        if self.convolution is not None and self.convolution_branch is not None:
            gated = self.convolution.gate(self.convolution_branch.enter(x, valid), valid)
            h = self.convolution(gated, self._past(gated, shared, layer), shared.chunk, valid)
            x = self.convolution_branch.leave(x, h, valid)
        return self._feed(x, valid, self.feed_forward, self.feed_forward_branch)

    def _feed(
        self, x: Tensor, valid: Tensor | None, network: nn.Module | None, branch: Placement | None
    ) -> Tensor:
        """The residual ``x`` (B,L,M) after one of the feed-forward networks; itself where there is none."""
        if network is None or branch is None:
            return x
        h = network(branch.enter(x, valid))
        return branch.leave(x, h if self.share == 1.0 else self.share * h, valid)

    def _past(self, gated: Tensor, shared: Pass, layer: int) -> Tensor:
        """Inputs of the convolution before ``gated`` (B,L,M): zeros (B,R,M) where nothing came before."""
        assert self.convolution is not None, "only a block with a convolution has its past"
        back = self.convolution.back
        if shared.state is None:
            return gated.new_zeros(len(gated), back, gated.shape[2])
        return shared.state.past(layer, gated, back)


class Stack(nn.Module):
    """Blocks one after another; it builds the masks once for all of them and advances the cache."""

    def __init__(self, spec: StackSpec, d_model: int) -> None:
        super().__init__()
        self.rule = spec.mask
        shape = spec.block.attention_shape(d_model, causal=spec.mask.causal)
        self.positions = nn.ModuleList(
            scheme.build(shape) for scheme in spec.positions if not scheme.by_layer
        )
        self.layer_positions = nn.ModuleList(
            nn.ModuleList(scheme.build(shape) for scheme in spec.positions if scheme.by_layer)
            for _ in range(spec.layers)
        )
        self._shared = _joined(self.positions)
        self._by_layer = [_joined(self.positions, own) for own in self.layer_positions]
        self.blocks = nn.ModuleList(spec.block.build(d_model, spec.layers) for _ in range(spec.layers))
        self.value_residual = spec.value_residual.build(spec.layers)
        convolution = spec.block.convolution
        self.convolves = convolution is not None
        self.recurs = spec.block.recurrence is not None
        self.looks_ahead = convolution is not None and convolution.reach == "chunk"
        self.final_norm = spec.block.norm.build(d_model) if spec.block.placement.final_norm else None

    def embed(self, x: Tensor, layout: Layout) -> Tensor:
        """Tell the embedded tokens ``x`` (B,L,M) where they stand, by schemes that act there."""
        return self._shared.embed(x, layout)

    def added(self, longest: int, d_model: int) -> Tensor:
        """Sum of such schemes' terms for any token at each of the first ``longest`` positions: (L,M)."""
        # What they add to zeros they add to everything.
        return self.embed(torch.zeros(1, longest, d_model), Layout.counting(1, longest))[0]

    def forward(
        self,
        x: Tensor,
        queries: Layout,
        *,
        rule: Rule | None = None,
        cache: KVCache | None = None,
        cross: CrossCache | None = None,
        state: StackState | None = None,
    ) -> Tensor:
        """Transform embedded tokens.

        Args:
            x: (B,L,M), positions already added.
            queries: where the L tokens stand and which are real.
            rule: who may attend to whom in this pass; the stack's own mask if left out.
            cache: keys and values of earlier tokens; those of ``x`` are added to it.
            cross: keys and values of the memory, for a decoder; of one in B/W rows, W rows of ``x`` that
                follow each other read the same.
            state: past of the streams whose next piece this is, padded on the right by known lengths; it
                goes on by this piece.

        Returns:
            (B,L,M); rows of padding are finite and mean nothing.

        Raises:
            ValueError: this is a piece of a text whose earlier tokens should have seen it.
        """
        rule = self.rule if rule is None else rule
        self._refuse_pieces(rule, queries, cache)
        self._refuse_convolution(queries, cache)
        self._refuse_recurrence(rule, queries)
        asking, keys = queries, queries if cache is None else cache.with_new(queries)
        if state is not None:
            state.refuse(rule, queries.lengths)
            asking, keys = state.begin(queries)
        reading = None
        if cross is not None:
            reading = CrossPass(cross, Mask(EVERYTHING, queries.in_rows(len(cross)), cross.layout))
        shared = Pass(
            Beginning(x, self.value_residual),
            Mask(rule, asking, keys),
            self._by_layer,
            queries.position,
            cache,
            reading,
            state,
            chunk_size(rule) if self.looks_ahead else None,
        )
        for layer, block in enumerate(self.blocks):
            x = block(x, shared, layer)
        if cache is not None:
            cache.advance(keys, queries)
        if state is not None:
            state.advance()
        return x if self.final_norm is None else self.final_norm(x, queries.valid)

    def layers(self, x: Tensor, queries: Layout) -> list[Tensor]:
        """Input of the stack and output of each of its layers, the last as it leaves the stack.

        For ``x`` (B,L,M) as in ``forward``: N + 1 tensors (B,L,M) from N layers, all of one graph.
        """
        residuals: list[Tensor] = []
        with attach(self, "blocks.*.residual", lambda _, state: residuals.append(state)):
            last = self(x, queries)
        # Each layer's last branch ends in what leaves the layer.
        branches = len(residuals) // len(self.blocks)
        return [x, *residuals[branches - 1 : -1 : branches], last]

    def read(self, memory: Tensor, layout: Layout) -> CrossCache:
        """The keys and values of ``memory`` (B,S,M) for every layer, computed once."""
        attentions = [block.cross_attention for block in cast("list[Block]", list(self.blocks))]
        layers = [a.key_values(memory, NO_POSITIONS, layout.position) for a in attentions if a is not None]
        return CrossCache(layers, layout)

    def new_cache(self) -> KVCache:
        """An empty cache for step-by-step decoding; it forgets what the mask lets no later token see."""
        return KVCache(len(self.blocks), self.rule.visible_range.back)

    def new_state(self, rule: Rule | None = None, rows: int = 1) -> StackState:
        """The state of ``rows`` streams that have not begun, by ``rule`` or the stack's own mask."""
        return StackState(self.rule if rule is None else rule, len(self.blocks), rows)

    def _refuse_pieces(self, rule: Rule, queries: Layout, cache: KVCache | None) -> None:
        if cache is None or cache.seen == 0 or rule.causal:
            return
        first = queries.start
        if first is None or not rule.exact_in_pieces(first):
            where = "at positions that differ or are unknown" if first is None else f"at position {first}"
            raise ValueError(
                f"a piece that begins {where} cannot follow others: by the mask {rule!r}, tokens before "
                "had to see it; feed the text whole, or in pieces that the mask keeps apart, or mask causally"
            )

    def _refuse_convolution(self, queries: Layout, cache: KVCache | None) -> None:
        if not self.convolves:
            return
        if cache is not None:
            raise ValueError(
                "block.convolution reads positions before its own, which a cache of keys has not; feed the "
                "pieces with a state of the stack"
            )
        if queries.segment is not None:
            raise ValueError("block.convolution would mix sentences packed into one row; do not pack them")

    def _refuse_recurrence(self, rule: Rule, queries: Layout) -> None:
        if self.recurs and rule != self.rule:
            raise ValueError(f"block.recurrence knows no other mask than {self.rule!r}; leave the rule out")
        if self.recurs and queries.segment is not None:
            raise ValueError("block.recurrence would mix sentences packed into one row; do not pack them")


def _joined(*groups: nn.Module) -> Positions:
    # ModuleList forgets the type of what it holds.
    return Positions([cast("PositionScheme", scheme) for group in groups for scheme in group.children()])
