"""One layer of a stack: attention, perhaps cross-attention, a feed-forward network; each a residual branch.

B batch · L length · M model dimension
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from typing_extensions import override

from whyformer.attention.mask import Mask
from whyformer.attention.multihead import AttentionSpec, MultiHeadAttention
from whyformer.dropout import Dropout
from whyformer.nn.cache import CrossCache, KVCache
from whyformer.nn.feed_forward import FeedForwardSpec, ReluSpec
from whyformer.nn.norm import LayerNormSpec, Norm, NormSpec
from whyformer.position.positions import Positions
from whyformer.spec import Spec
from whyformer.tap import Tap

NO_POSITIONS = Positions()
"""The two sides of cross-attention count differently, so no scheme applies there."""


class PostNormSpec(Spec):
    """Normalise the sum of residual and branch; a stack ends normalised."""

    origin: ClassVar[str] = "Vaswani et al. 2017, section 3.1"
    kind: Literal["post"] = "post"
    final_norm: ClassVar[bool] = False

    def build(self, norm: Norm, dropout: Dropout, depth: "Depth") -> "Placement":
        """The ends of one residual branch."""
        return PostNorm(norm, dropout)


class PreNormSpec(Spec):
    """Normalise what enters a branch, not the residual; a stack needs a last norm."""

    origin: ClassVar[str] = "Xiong et al. 2020, table 1"
    kind: Literal["pre"] = "pre"
    final_norm: ClassVar[bool] = True

    def build(self, norm: Norm, dropout: Dropout, depth: "Depth") -> "Placement":
        """The ends of one residual branch."""
        return PreNorm(norm, dropout)


class DeepNormSpec(Spec):
    """Post-norm for very deep stacks: the residual weighs more, and branches begin smaller.

    The numbers follow from the depth of the stack: α = (2N)^1/4 and β = (8N)^-1/4 for N layers, (3N)^1/4 and
    (12N)^-1/4 where they have cross-attention too. Only for an encoder that feeds a decoder does the paper
    have others, which depend on both depths; here it counts as a stack by itself.
    """

    origin: ClassVar[str] = "Wang et al. 2022 (DeepNet), figure 2"
    kind: Literal["deep"] = "deep"
    final_norm: ClassVar[bool] = False

    def build(self, norm: Norm, dropout: Dropout, depth: "Depth") -> "Placement":
        """The ends of one residual branch."""
        branches = depth.layers * depth.branches
        return DeepNorm(norm, dropout, alpha=branches**0.25, beta=(4 * branches) ** -0.25)


PlacementSpec = Annotated[PostNormSpec | PreNormSpec | DeepNormSpec, Field(discriminator="kind")]


@dataclass(frozen=True)
class Depth:
    """How many residual branches a token passes."""

    layers: int
    branches: int
    """In each layer: two, or three with cross-attention."""


class Placement(nn.Module, ABC):
    """The two ends of a residual branch, between which the block calls the sublayer itself."""

    def __init__(self, norm: Norm, dropout: Dropout) -> None:
        super().__init__()
        self.norm = norm
        self.dropout = dropout
        self.residual = Tap()

    @abstractmethod
    def enter(self, x: Tensor, valid: Tensor | None) -> Tensor:
        """What the sublayer reads."""

    @abstractmethod
    def leave(self, x: Tensor, branch: Tensor, valid: Tensor | None) -> Tensor:
        """Join the residual ``x`` and what the sublayer made."""

    def initialise(self, sublayer: nn.Module) -> None:
        """Change the first weights of a branch's ``sublayer``; by default they stay."""


class PostNorm(Placement):
    """x <- norm(x + dropout(f(x)))."""

    @override
    def enter(self, x: Tensor, valid: Tensor | None) -> Tensor:
        return x

    @override
    def leave(self, x: Tensor, branch: Tensor, valid: Tensor | None) -> Tensor:
        return self.residual(self.norm(x + self.dropout(branch), valid))


class PreNorm(Placement):
    """x <- x + dropout(f(norm(x)))."""

    @override
    def enter(self, x: Tensor, valid: Tensor | None) -> Tensor:
        return self.norm(x, valid)

    @override
    def leave(self, x: Tensor, branch: Tensor, valid: Tensor | None) -> Tensor:
        return self.residual(x + self.dropout(branch))


class DeepNorm(PostNorm):
    """x <- norm(α x + dropout(f(x))), where all of f but queries and keys begins β times smaller."""

    def __init__(self, norm: Norm, dropout: Dropout, alpha: float, beta: float) -> None:
        super().__init__(norm, dropout)
        self.alpha = alpha
        self.beta = beta

    @override
    def leave(self, x: Tensor, branch: Tensor, valid: Tensor | None) -> Tensor:
        return super().leave(x * self.alpha, branch, valid)

    @override
    def initialise(self, sublayer: nn.Module) -> None:
        kept = (sublayer.query, sublayer.key) if isinstance(sublayer, MultiHeadAttention) else ()
        for layer in sublayer.children():
            if isinstance(layer, nn.Linear) and layer not in kept:
                with torch.no_grad():
                    layer.weight.mul_(self.beta)


class BlockSpec(Spec):
    """One layer of a stack."""

    attention: AttentionSpec = AttentionSpec()
    """Self-attention."""
    cross_attention: AttentionSpec | None = None
    """Attention to the memory, in a decoder; left out in an encoder."""
    feed_forward: FeedForwardSpec = ReluSpec()
    """The network that acts on each token by itself."""
    norm: NormSpec = LayerNormSpec()
    """How activations are normalised."""
    placement: PlacementSpec = PostNormSpec()
    """Where the norm sits."""
    dropout: float = Field(default=0.1, ge=0.0, lt=1.0)
    """Probability that a component of a residual branch is dropped in training."""

    @model_validator(mode="after")
    def _fits_together(self) -> "BlockSpec":
        if self.cross_attention is not None and (fault := self.cross_attention.across()):
            raise ValueError(f"cross_attention.{fault}")
        if self.placement.kind == "deep" and self.norm.kind == "none":
            raise ValueError("placement.kind deep grows the residual in every layer; norm.kind none lets it")
        return self

    def build(self, d_model: int, layers: int) -> "Block":
        """One of ``layers`` layers in a model of ``d_model`` components."""
        return Block(self, d_model, layers)

    def branch(self, d_model: int, layers: int) -> Placement:
        """The ends of one residual branch of this layer."""
        depth = Depth(layers, branches=2 if self.cross_attention is None else 3)
        return self.placement.build(self.norm.build(d_model), Dropout(self.dropout), depth)


@dataclass(frozen=True)
class CrossPass:
    """What the cross-attentions of a decoder share in one forward pass."""

    memory: CrossCache
    mask: Mask


@dataclass(frozen=True)
class Pass:
    """What the layers of a stack share in one forward pass."""

    mask: Mask
    positions: Sequence[Positions]
    """What each layer knows of positions."""
    cache: KVCache | None = None
    cross: CrossPass | None = None


class Block(nn.Module):
    """Attention mixes positions, the feed-forward network changes each (Vaswani et al. 2017, figure 1)."""

    def __init__(self, spec: BlockSpec, d_model: int, layers: int) -> None:
        super().__init__()
        self.attention = spec.attention.build(d_model)
        self.attention_branch = spec.branch(d_model, layers)
        self.attention_branch.initialise(self.attention)
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

    def forward(self, x: Tensor, shared: Pass, layer: int) -> Tensor:
        """Transform ``x`` (B,L,M); ``layer`` counts from 0 and finds this block's part of what is shared."""
        valid, position = shared.mask.queries.valid, shared.mask.queries.position
        positions = shared.positions[layer]
        h = self.attention_branch.enter(x, valid)
        source = self.attention.key_values(h, positions, position)
        if shared.cache is not None:
            source = shared.cache.append(layer, source)
        h = self.attention(h, source, shared.mask, positions)
        x = self.attention_branch.leave(x, h, valid)
        if self.cross_attention is not None and self.cross_branch is not None:
            assert shared.cross is not None, "a block with cross-attention needs a memory"
            memory, mask = shared.cross.memory.layers[layer], shared.cross.mask
            # Rows that read the same memory are its queries, one after another: (B,L,M) -> (B/W,W·L,M)
            h = self.cross_branch.enter(x, valid).reshape(*mask.queries.position.shape, -1)
            h = self.cross_attention(h, memory, mask, NO_POSITIONS).view_as(x)
            x = self.cross_branch.leave(x, h, valid)
        if self.feed_forward is not None and self.feed_forward_branch is not None:
            h = self.feed_forward(self.feed_forward_branch.enter(x, valid))
            x = self.feed_forward_branch.leave(x, h, valid)
        return x
