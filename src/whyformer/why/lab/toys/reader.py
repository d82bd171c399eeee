"""A stack over tokens that says something of each: the toy encoder or decoder of many questions.

B batch · L length · M model dimension · C classes
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

from whyformer.attention.heads import HeadsSpec
from whyformer.attention.mask import Everything, Mask, MaskRule
from whyformer.attention.multihead import AttentionSpec
from whyformer.attention.score import AdditiveSpec
from whyformer.nn.context import NO_POSITIONS
from whyformer.nn.feed_forward import FeedForwardSpec, NoFeedForwardSpec, ReluSpec
from whyformer.nn.recurrent.cells import CellSpec
from whyformer.nn.residual.placement import PreNormSpec
from whyformer.nn.stack import BlockSpec, StackSpec
from whyformer.position.layout import Layout
from whyformer.position.positions import PositionSpec
from whyformer.spec import Spec


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


class LastReader(Reader):
    """A reader that answers at the last position only."""

    @override
    def forward(self, tokens: Tensor, valid: Tensor | None = None) -> Tensor:
        return self.output(self.hidden(tokens, valid)[:, -1])


class RecurrentReader(nn.Module):
    """Recurrent layer that reads a sentence and answers at its end, by its last state.

    With ``attention`` that state also looks back at all earlier ones (Bahdanau et al. 2015).
    """

    def __init__(self, vocabulary: int, classes: int, cell: CellSpec, width: int, *, attention: bool) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.recurrent = cell.build(width, layers=1, dropout=0.0)
        looking = AttentionSpec(heads=HeadsSpec(query=1), score=AdditiveSpec())
        self.attention = looking.build(width) if attention else None
        self.output = nn.Linear(2 * width if attention else width, classes)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens (B,L) -> scores (B,C)."""
        states, _ = self.recurrent.layers(self.embedding(tokens))
        last = states[:, -1:]
        if self.attention is not None:
            keys, query = Layout.counting(*tokens.shape), Layout.counting(len(tokens), 1)
            memory = self.attention.key_values(states, NO_POSITIONS, keys.position)
            read = self.attention(last, memory, Mask(Everything(), query, keys), NO_POSITIONS)
            last = torch.cat([last, read], dim=-1)
        return self.output(last[:, 0])


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


def with_block(stack: StackSpec, changes: Mapping[str, Spec]) -> StackSpec:
    """The same stack with other parts in every layer, by the names of their fields."""
    return stack.model_copy(update={"block": stack.block.model_copy(update=changes)})


@torch.no_grad()
def likeness_by_layer(model: Reader, symbols: Tensor) -> list[float]:
    """Mean cosine between two tokens of a sentence (B,L), as they enter the stack and after each layer."""
    layout = Layout.counting(*symbols.shape)
    embedded = model.stack.embed(model.embedding(symbols), layout)
    places = symbols.shape[1]
    likeness: list[float] = []
    for states in model.stack.layers(embedded, layout):
        unit = F.normalize(states, dim=-1)
        # (B,L,M) -> (B,L,L)
        cosines = unit @ unit.transpose(1, 2)
        likeness.append(float((cosines.sum(dim=(1, 2)) - places).mean()) / (places * (places - 1)))
    return likeness
