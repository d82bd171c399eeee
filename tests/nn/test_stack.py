"""A stack: masks made once, caches advanced once, a last norm where the placement wants one."""

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from whyformer.attention.heads import HeadsSpec
from whyformer.attention.mask import Causal
from whyformer.attention.multihead import AttentionSpec
from whyformer.nn.feed_forward import ReluSpec
from whyformer.nn.residual.placement import PlacementSpec, PostNormSpec, PreNormSpec
from whyformer.nn.stack import Block, BlockSpec, Stack, StackSpec
from whyformer.position.layout import Layout
from whyformer.position.rotary import RotarySpec
from whyformer.position.transformer_xl import TransformerXLSpec
from whyformer.tap import attach, record

M, L = 8, 70
PLACEMENTS = pytest.mark.parametrize("placement", [PostNormSpec(), PreNormSpec()], ids=["post", "pre"])


def decoder(placement: PlacementSpec, *, layers: int = 2, cross: bool = True) -> Stack:
    torch.manual_seed(0)
    attention = AttentionSpec(heads=HeadsSpec(query=2))
    block = BlockSpec(
        attention=attention,
        cross_attention=attention if cross else None,
        feed_forward=ReluSpec(hidden=12),
        placement=placement,
        dropout=0.0,
    )
    return StackSpec(layers=layers, mask=Causal(), block=block).build(M).double()


def example(batch: int, length: int) -> Tensor:
    generator = torch.Generator().manual_seed(length)
    return torch.randn(batch, length, M, generator=generator, dtype=torch.float64)


@PLACEMENTS
@pytest.mark.parametrize("pieces", [[1] * L, [3, 1, 60, 6], [L]])
def test_piece_by_piece_is_the_whole(placement: PlacementSpec, pieces: list[int]):
    stack = decoder(placement)
    memory = stack.read(example(2, 5), Layout.of(torch.tensor([[True] * 5, [True] * 2 + [False] * 3])))
    x, layout = example(2, L), Layout(torch.arange(L).expand(2, -1))
    with torch.no_grad():
        whole = stack(x, layout, cross=memory)
        cache, first = stack.new_cache(), 0
        for length in pieces:
            part = slice(first, first + length)
            piece = stack(x[:, part], Layout(layout.position[:, part]), cache=cache, cross=memory)
            torch.testing.assert_close(piece, whole[:, part], rtol=1e-10, atol=1e-10)
            first += length
            assert cache.length == first


def test_padding_on_the_left_may_be_cached_too():
    stack = decoder(PostNormSpec(), cross=False)
    valid = torch.arange(6) >= torch.tensor([[0], [4]])
    layout, x = Layout.of(valid), example(2, 6)
    with torch.no_grad():
        whole = stack(x, layout)
        cache = stack.new_cache()
        for t in range(6):
            queries = Layout(layout.position[:, t : t + 1], valid[:, t : t + 1])
            step = stack(x[:, t : t + 1], queries, cache=cache)
            real = valid[:, t]
            torch.testing.assert_close(step[real, 0], whole[real, t], rtol=1e-10, atol=1e-10)
        # The second sentence by itself, without its padding.
        alone = stack(x[1:, 4:], Layout(torch.arange(2)[None]))
    torch.testing.assert_close(whole[1:, 4:], alone, rtol=1e-10, atol=1e-10)


def test_only_pre_norm_needs_a_last_norm():
    post, pre = decoder(PostNormSpec()), decoder(PreNormSpec())
    assert post.final_norm is None
    assert pre.final_norm is not None
    x, layout = example(1, 4) * 100, Layout(torch.arange(4)[None])
    memory = example(1, 3), Layout(torch.arange(3)[None])
    for stack in (post, pre):
        out = stack(x, layout, cross=stack.read(*memory))
        # Whatever goes in, each token comes out with mean 0 and variance 1.
        torch.testing.assert_close(out.mean(-1), torch.zeros(1, 4).double())
        torch.testing.assert_close(out.var(-1, correction=0), torch.ones(1, 4).double(), rtol=1e-3, atol=0)


def test_a_block_is_attention_memory_and_network_one_after_another():
    stack = decoder(PostNormSpec(), layers=1)
    memory = stack.read(example(1, 3), Layout(torch.arange(3)[None]))
    x, layout = example(1, 4), Layout(torch.arange(4)[None])
    order: list[str] = []
    with attach(stack, "*", lambda name, _: order.append(name)):
        stack(x, layout, cross=memory)
    one = ["scores", "weights", "context"]
    assert order == [
        *(f"blocks.0.attention.taps.{tap}" for tap in one),
        "blocks.0.attention_branch.residual",
        *(f"blocks.0.cross_attention.taps.{tap}" for tap in one),
        "blocks.0.cross_branch.residual",
        "blocks.0.feed_forward_branch.residual",
    ]


def test_the_memory_is_read_by_every_layer_with_its_own_matrices():
    stack = decoder(PostNormSpec())
    memory = stack.read(example(1, 3), Layout(torch.arange(3)[None]))
    assert len(memory.layers) == 2
    for layer, block in zip(memory.layers, stack.blocks, strict=True):
        assert isinstance(block, Block)
        assert block.cross_attention is not None
        torch.testing.assert_close(
            layer.key.transpose(1, 2).flatten(2), block.cross_attention.key(example(1, 3))
        )
    assert decoder(PostNormSpec(), cross=False).read(example(1, 3), memory.layout).layers == []


def test_a_decoder_without_its_memory_is_a_mistake():
    with pytest.raises(AssertionError, match="needs a memory"):
        decoder(PostNormSpec())(example(1, 2), Layout(torch.arange(2)[None]))


@PLACEMENTS
def test_residual_dropout_acts_in_training_only(placement: PlacementSpec):
    attention = AttentionSpec(heads=HeadsSpec(query=2))
    block = BlockSpec(attention=attention, feed_forward=ReluSpec(hidden=12), placement=placement, dropout=0.5)
    stack = StackSpec(layers=1, block=block).build(M).double()
    x, layout = example(1, 4), Layout(torch.arange(4)[None])
    torch.manual_seed(0)
    assert not torch.equal(stack(x, layout), stack(x, layout))
    stack.eval()
    assert torch.equal(stack(x, layout), stack(x, layout))
    with record(stack, "*.residual") as tape:
        stack(x, layout)
    assert sorted(tape) == ["blocks.0.attention_branch.residual", "blocks.0.feed_forward_branch.residual"]


def test_keys_that_were_turned_cannot_be_weighed_by_content():
    with pytest.raises(ValidationError, match="transformer_xl weighs keys by content, but rotary has turned"):
        StackSpec(positions=(RotarySpec(), TransformerXLSpec()))
