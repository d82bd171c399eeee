"""Decoders that rescore give each text the probability that their own steps give it."""

import itertools
import math
from typing import Literal

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from whyformer.attention.heads import HeadsSpec
from whyformer.attention.mask import Causal, Everything
from whyformer.attention.multihead import AttentionSpec
from whyformer.models.streaming.rescorer import SYMBOL_OFFSET, Rescorer, RescorerSpec
from whyformer.nn.embedding import EmbeddingSpec
from whyformer.nn.feed_forward import ReluSpec
from whyformer.nn.stack import BlockSpec, StackSpec
from whyformer.position.layout import Layout
from whyformer.special_tokens import BOS, EOS

M, V, LENGTHS = 16, 6, [7, 3, 5]
TEXTS = [(1, 2, 2, 5), (), (3,)]


def spec(reverse_layers: int = 2, tie: Literal["all", "none"] = "all") -> RescorerSpec:
    heads = AttentionSpec(heads=HeadsSpec(query=4))
    block = BlockSpec(attention=heads, cross_attention=heads, feed_forward=ReluSpec(hidden=32), dropout=0.1)
    return RescorerSpec(
        decoder=StackSpec(layers=2, mask=Causal(), block=block),
        reverse_layers=reverse_layers,
        embedding=EmbeddingSpec(tie=tie),
    )


def model(reverse_layers: int = 2, tie: Literal["all", "none"] = "all") -> Rescorer:
    torch.manual_seed(0)
    return spec(reverse_layers, tie).build(M, V).eval()


def memory() -> tuple[Tensor, Layout]:
    hidden = torch.randn(3, 7, M, generator=torch.Generator().manual_seed(1))
    valid = torch.arange(7) < torch.tensor(LENGTHS)[:, None]
    return hidden, Layout.right_padded(valid, LENGTHS)


def step_by_step(rescorer: Rescorer, row: int, text: tuple[int, ...], reverse: bool) -> float:
    """The sum by one pass a symbol, over the row's memory alone."""
    stack = rescorer.right_to_left if reverse else rescorer.left_to_right
    assert stack is not None
    length = LENGTHS[row]
    cross = stack.read(memory()[0][row : row + 1, :length], Layout.counting(1, length))
    cache, total, last = stack.new_cache(), 0.0, BOS
    order = text[::-1] if reverse else text
    for place, symbol in enumerate([*(each + SYMBOL_OFFSET for each in order), EOS]):
        layout = Layout.counting(1, 1, start=place)
        x = stack.embed(rescorer.embedding(torch.tensor([[last]])), layout)
        logits = rescorer.logits(stack(x, layout, cache=cache, cross=cross)[0, 0])
        total += float(logits.log_softmax(-1)[symbol])
        last = symbol
    return total


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("tie", ["all", "none"])
@torch.no_grad()
def test_scores_are_those_of_single_steps(reverse: bool, tie: Literal["all", "none"]):
    rescorer = model(tie=tie)
    scores = rescorer.log_probabilities(*memory(), TEXTS, reverse=reverse)
    expected = [step_by_step(rescorer, row, text, reverse) for row, text in enumerate(TEXTS)]
    assert scores == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("reverse", [False, True])
@torch.no_grad()
def test_many_hypotheses_of_a_row_are_scored_as_one_by_one(reverse: bool):
    rescorer = model()
    texts = [(1, 2), (), (4, 4, 4, 1, 2), (5,), (1, 2)]
    rows = [2, 0, 0, 1, 1]
    together = rescorer.log_probabilities(*memory(), texts, rows=rows, reverse=reverse)
    alone = [
        rescorer.log_probabilities(*memory(), [text], rows=[row], reverse=reverse)[0]
        for row, text in zip(rows, texts, strict=True)
    ]
    assert together == pytest.approx(alone, abs=1e-4)
    assert together[0] != pytest.approx(together[4], abs=1e-2)
    assert rescorer.log_probabilities(*memory(), [], rows=[], reverse=reverse) == []


@torch.no_grad()
def test_scores_are_probabilities_of_texts():
    """All texts of at most two symbols, and the beginnings of longer ones, are everything there is."""
    rescorer = model()
    hidden, layout = memory()
    table = rescorer.logits(
        rescorer(hidden[:1], layout.cut(slice(0, 7)).select(torch.tensor([0])), [(1,)]).hidden
    )
    assert table.shape == (2, V + SYMBOL_OFFSET)
    assert float(table.softmax(-1).sum()) == pytest.approx(2.0, abs=1e-5)
    texts = [text for length in range(3) for text in itertools.product(range(1, V), repeat=length)]
    scores = rescorer.log_probabilities(hidden, layout, texts, rows=[0] * len(texts))
    assert 0.0 < math.fsum(map(math.exp, scores)) < 1.0


@torch.no_grad()
def test_a_memory_without_frames_is_no_fault():
    rescorer = model()
    hidden, _ = memory()
    layout = Layout.right_padded(torch.arange(7) < torch.tensor([[7], [0], [5]]), [7, 0, 5])
    assert all(map(math.isfinite, rescorer.log_probabilities(hidden, layout, TEXTS)))
    assert all(map(math.isfinite, rescorer.log_probabilities(hidden[:, :0], layout.cut(slice(0, 0)), TEXTS)))


def test_directions_are_of_their_own_and_may_be_left_out():
    rescorer = model()
    hidden, layout = memory()
    both = [
        rescorer.log_probabilities(hidden, layout, [(1, 2), (1, 2), (1, 2)], reverse=way)
        for way in (False, True)
    ]
    assert both[0] != pytest.approx(both[1], abs=1e-3)
    with pytest.raises(ValueError, match="right to left"):
        model(reverse_layers=0)(hidden, layout, TEXTS, reverse=True)


def test_a_spec_that_cannot_be_a_decoder_is_refused():
    with pytest.raises(ValidationError, match="cross_attention"):
        RescorerSpec(decoder=StackSpec(mask=Causal()))
    with pytest.raises(ValidationError, match="leaks"):
        RescorerSpec(decoder=StackSpec(mask=Everything(), block=BlockSpec(cross_attention=AttentionSpec())))
