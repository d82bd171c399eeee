"""A stack over tokens that says something of each: the toy encoder or decoder of many questions.

B batch · L length · M model dimension · C classes
"""

import torch
from torch import Tensor, nn

from whyformer.attention.heads import HeadsSpec
from whyformer.attention.mask import Everything, MaskRule
from whyformer.attention.multihead import AttentionSpec
from whyformer.nn.feed_forward import FeedForwardSpec, NoFeedForwardSpec, ReluSpec
from whyformer.nn.placement import PreNormSpec
from whyformer.nn.stack import BlockSpec, StackSpec
from whyformer.position.layout import Layout
from whyformer.position.positions import PositionSpec


class Reader(nn.Module):
    """Embedding, stack and a linear output at every position; what is not ``valid`` is padding."""

    def __init__(self, vocabulary: int, classes: int, stack: StackSpec, width: int = 64) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.stack = stack.build(width)
        self.output = nn.Linear(width, classes)

    def hidden(self, tokens: Tensor, valid: Tensor | None = None) -> Tensor:
        """Tokens (B,L) -> states of the last layer (B,L,M)."""
        layout = Layout(torch.arange(tokens.shape[1]).expand_as(tokens), valid=valid)
        return self.stack(self.stack.embed(self.embedding(tokens), layout), layout)

    def forward(self, tokens: Tensor, valid: Tensor | None = None) -> Tensor:
        """Tokens (B,L) -> scores (B,C,L)."""
        return self.output(self.hidden(tokens, valid)).transpose(1, 2)


def small_stack(
    layers: int = 1,
    heads: int = 4,
    positions: tuple[PositionSpec, ...] = (),
    mask: MaskRule | None = None,
    feed_forward: FeedForwardSpec | None = None,
) -> StackSpec:
    """Pre-norm layers without dropout; without ``feed_forward``, what is learned attention has learned."""
    block = BlockSpec(
        attention=AttentionSpec(heads=HeadsSpec(query=heads)),
        feed_forward=feed_forward or NoFeedForwardSpec(),
        placement=PreNormSpec(),
        dropout=0.0,
    )
    return StackSpec(layers=layers, mask=mask or Everything(), positions=positions, block=block)


def small_network(hidden: int = 128) -> FeedForwardSpec:
    """The feed-forward network of toy models."""
    return ReluSpec(hidden=hidden)


def with_attention(stack: StackSpec, attention: AttentionSpec) -> StackSpec:
    """The same stack with another self-attention."""
    block = stack.block.model_copy(update={"attention": attention})
    return stack.model_copy(update={"block": block})
