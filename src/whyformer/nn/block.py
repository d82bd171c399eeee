"""One layer of a stack: attention, perhaps cross-attention, a feed-forward network; each a residual branch.

B batch · L length · M model dimension
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn

from whyformer.attention.cache import CrossCache, KVCache
from whyformer.attention.dropout import Dropout
from whyformer.attention.mask import Mask
from whyformer.attention.multihead import AttentionSpec, MultiHeadAttention
from whyformer.attention.position import Positions
from whyformer.attention.tap import Tap
from whyformer.nn.feed_forward import FeedForwardSpec, ReluSpec
from whyformer.nn.norm import LayerNorm, LayerNormSpec, NormSpec
from whyformer.spec import Spec


class PostNormSpec(Spec):
    """Normalise the sum of residual and branch (Vaswani et al. 2017); a stack ends normalised."""

    kind: Literal["post"] = "post"
    final_norm: ClassVar[bool] = False

    def build(self, norm: LayerNorm, dropout: Dropout) -> "Placement":
        """The ends of one residual branch."""
        return PostNorm(norm, dropout)


class PreNormSpec(Spec):
    """Normalise what enters a branch, not the residual (Xiong et al. 2020); a stack needs a last norm."""

    kind: Literal["pre"] = "pre"
    final_norm: ClassVar[bool] = True

    def build(self, norm: LayerNorm, dropout: Dropout) -> "Placement":
        """The ends of one residual branch."""
        return PreNorm(norm, dropout)


PlacementSpec = Annotated[PostNormSpec | PreNormSpec, Field(discriminator="kind")]


class Placement(nn.Module, ABC):
    """The two ends of a residual branch, between which the block calls the sublayer itself."""

    def __init__(self, norm: LayerNorm, dropout: Dropout) -> None:
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


class PostNorm(Placement):
    """x <- norm(x + dropout(f(x)))."""

    def enter(self, x: Tensor, valid: Tensor | None) -> Tensor:
        """The residual as it is."""
        return x

    def leave(self, x: Tensor, branch: Tensor, valid: Tensor | None) -> Tensor:
        """Sum, then norm."""
        return self.residual(self.norm(x + self.dropout(branch), valid))


class PreNorm(Placement):
    """x <- x + dropout(f(norm(x)))."""

    def enter(self, x: Tensor, valid: Tensor | None) -> Tensor:
        """The norm of the residual."""
        return self.norm(x, valid)

    def leave(self, x: Tensor, branch: Tensor, valid: Tensor | None) -> Tensor:
        """Sum only."""
        return self.residual(x + self.dropout(branch))


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

    def build(self, d_model: int) -> "Block":
        """The layer for a model of ``d_model`` components."""
        return Block(self, d_model)

    def branch(self, d_model: int) -> Placement:
        """The ends of one residual branch of this layer."""
        return self.placement.build(self.norm.build(d_model), Dropout(self.dropout))


@dataclass(frozen=True)
class CrossPass:
    """What the cross-attentions of a decoder share in one forward pass."""

    memory: CrossCache
    mask: Mask
    positions: Positions


@dataclass(frozen=True)
class Pass:
    """What the layers of a stack share in one forward pass."""

    mask: Mask
    positions: Positions
    cache: KVCache | None = None
    cross: CrossPass | None = None


class Block(nn.Module):
    """Attention mixes positions, the feed-forward network changes each (Vaswani et al. 2017, figure 1)."""

    def __init__(self, spec: BlockSpec, d_model: int) -> None:
        super().__init__()
        self.attention = spec.attention.build(d_model)
        self.attention_branch = spec.branch(d_model)
        self.cross_attention: MultiHeadAttention | None = None
        self.cross_branch: Placement | None = None
        if spec.cross_attention is not None:
            self.cross_attention = spec.cross_attention.build(d_model)
            self.cross_branch = spec.branch(d_model)
        self.feed_forward = spec.feed_forward.build(d_model)
        self.feed_forward_branch = spec.branch(d_model)

    def forward(self, x: Tensor, shared: Pass, layer: int) -> Tensor:
        """Transform ``x`` (B,L,M); ``layer`` counts from 0 and finds this block's part of the caches."""
        valid, position = shared.mask.queries.valid, shared.mask.queries.position
        h = self.attention_branch.enter(x, valid)
        source = self.attention.key_values(h, shared.positions, position)
        if shared.cache is not None:
            source = shared.cache.append(layer, source)
        h = self.attention(h, source, shared.mask, shared.positions)
        x = self.attention_branch.leave(x, h, valid)
        if self.cross_attention is not None and self.cross_branch is not None:
            assert shared.cross is not None, "a block with cross-attention needs a memory"
            source, mask = shared.cross.memory.layers[layer], shared.cross.mask
            h = self.cross_branch.enter(x, valid)
            h = self.cross_attention(h, source, mask, shared.cross.positions)
            x = self.cross_branch.leave(x, h, valid)
        h = self.feed_forward(self.feed_forward_branch.enter(x, valid))
        return self.feed_forward_branch.leave(x, h, valid)
