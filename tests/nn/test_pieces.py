"""Texts fed in pieces: a cache that forgets what nobody sees any more, and pieces that a mask refuses."""

import pytest
import torch
from torch import Tensor

from whyformer.attention.heads import HeadsSpec
from whyformer.attention.mask import Causal, Chunk, Everything, MaskRule, SameSegment, Window
from whyformer.attention.multihead import AttentionSpec
from whyformer.nn.cache import BLOCK, KVCache
from whyformer.nn.feed_forward import ReluSpec
from whyformer.nn.stack import BlockSpec, Stack, StackSpec
from whyformer.position.absolute import SinusoidalSpec
from whyformer.position.alibi import AlibiSpec
from whyformer.position.layout import Layout
from whyformer.position.positions import PositionSpec
from whyformer.position.rotary import RotarySpec
from whyformer.position.shaw import ShawKeysSpec, ShawValuesSpec
from whyformer.position.t5 import T5Spec
from whyformer.position.transformer_xl import TransformerXLSpec

M, BACK = 8, 5
NEAR = Window(left=BACK, right=0)
SCHEMES: dict[str, tuple[PositionSpec, ...]] = {
    "none": (),
    "sinusoidal": (SinusoidalSpec(),),
    "rotary": (RotarySpec(),),
    "alibi": (AlibiSpec(),),
    "t5": (T5Spec(buckets=4, farthest=4),),
    "shaw": (ShawKeysSpec(distance=3), ShawValuesSpec(distance=3)),
    "transformer_xl": (TransformerXLSpec(),),
}


def stack(rule: MaskRule, *positions: PositionSpec) -> Stack:
    torch.manual_seed(0)
    block = BlockSpec(
        attention=AttentionSpec(heads=HeadsSpec(query=2)), feed_forward=ReluSpec(hidden=8), dropout=0.0
    )
    made = StackSpec(layers=2, mask=rule, positions=positions, block=block).build(M).double().eval()
    for parameter in made.parameters():
        # Some begin as zeros, which would hide a wrong offset.
        torch.nn.init.normal_(parameter, std=0.5)
    return made


def example(rows: int, length: int) -> Tensor:
    return torch.randn(rows, length, M, generator=torch.Generator().manual_seed(length), dtype=torch.float64)


def unbounded(model: Stack) -> KVCache:
    return KVCache(len(model.blocks))


@pytest.mark.parametrize("name", SCHEMES)
@pytest.mark.parametrize(
    "rule",
    [NEAR, Causal() & Window(left=BACK, right=9), NEAR & SameSegment()],
    ids=["window", "both", "apart"],
)
@torch.no_grad()
def test_a_trimmed_cache_gives_what_one_that_keeps_all_gives(rule: MaskRule, name: str):
    model, rows = stack(rule, *SCHEMES[name]), torch.tensor([1, 1, 0])
    short, long = model.new_cache(), unbounded(model)
    most = 0
    for step in range(260):
        x = example(len(rows), step + 1)[:, -1:]
        queries = Layout.counting(len(rows), 1, start=step)
        expected = model(x, queries, cache=long)
        torch.testing.assert_close(model(x, queries, cache=short), expected, rtol=0, atol=1e-10)
        if step % 37 == 0:
            rows = (rows + step) % len(rows)
            short.select(rows)
            long.select(rows)
        most = max(most, short.length)
        assert short.layout is not None
        assert short.layout.start == step + 1 - short.length
        assert short.layout.position[0].tolist() == list(range(step + 1 - short.length, step + 1))
    assert (short.seen, long.length) == (260, 260)
    assert BACK <= short.length <= most <= 2 * BACK + BLOCK


@pytest.mark.parametrize("name", SCHEMES)
@torch.no_grad()
def test_rows_that_stand_at_different_positions_are_trimmed_alike(name: str):
    model, lengths = stack(NEAR, *SCHEMES[name]), torch.tensor([1, 30, 9])
    short, long = model.new_cache(), unbounded(model)
    prompts = Layout.right_padded(torch.arange(30) < lengths[:, None], lengths.tolist())
    for cache in (short, long):
        model(example(3, 30), prompts, cache=cache)
    # Nothing may go as long as a prompt's only token is near, though its padding stands between.
    assert short.length == 30
    for step in range(200):
        x, queries = example(3, step + 40)[:, -1:], Layout((lengths + step)[:, None])
        expected = model(x, queries, cache=long)
        torch.testing.assert_close(model(x, queries, cache=short), expected, rtol=0, atol=1e-10)
        if step == 100:
            lengths = lengths[[2, 0, 1]]
            short.select(torch.tensor([2, 0, 1]))
            long.select(torch.tensor([2, 0, 1]))
    assert short.length <= 2 * BACK + BLOCK < long.length


@torch.no_grad()
def test_a_long_prompt_is_trimmed_at_once():
    model = stack(NEAR, RotarySpec())
    cache, x, layout = model.new_cache(), example(2, 301), Layout.counting(2, 301)
    whole = model(x, layout)
    torch.testing.assert_close(model(x[:, :300], layout.cut(slice(300)), cache=cache), whole[:, :300])
    assert cache.length == BACK
    torch.testing.assert_close(model(x[:, 300:], layout.cut(slice(300, 301)), cache=cache), whole[:, 300:])


@torch.no_grad()
def test_a_token_that_sees_itself_alone_needs_no_cache():
    model, x = stack(Window(left=0, right=0)), example(1, 200)
    cache, whole = model.new_cache(), model(x, Layout.counting(1, 200))
    for step in range(200):
        here = model(x[:, step : step + 1], Layout.counting(1, 1, start=step), cache=cache)
        torch.testing.assert_close(here, whole[:, step : step + 1])
        assert cache.length < BLOCK


@torch.no_grad()
def test_what_is_packed_or_has_holes_is_kept():
    model, x = stack(NEAR), example(1, 1)
    for layout in (
        Layout(torch.zeros(1, 1, dtype=torch.int64), segment=torch.ones(1, 1, dtype=torch.int64)),
        Layout(torch.zeros(1, 1, dtype=torch.int64), torch.tensor([[False]])),
    ):
        cache = model.new_cache()
        for step in range(100):
            model(x, layout.shifted(step), cache=cache)
        assert cache.length == 100


def steps_drift_nowhere(model: Stack, steps: int) -> None:
    x, near, cache = example(1, steps), 60, model.new_cache()
    for step in range(steps):
        here = model(x[:, step : step + 1], Layout.counting(1, 1, start=step), cache=cache)
        assert cache.length <= 2 * BACK + BLOCK
        if step % 500 == 499:
            # Two layers see 2 · BACK positions back: a pass over the last few tokens has all that matters.
            queries = Layout.counting(1, near, start=step + 1 - near)
            whole = model(x[:, step + 1 - near : step + 1], queries)
            torch.testing.assert_close(here[0, 0], whole[0, -1], rtol=0, atol=1e-6)


@torch.no_grad()
def test_many_steps_drift_nowhere():
    steps_drift_nowhere(stack(NEAR, RotarySpec(), T5Spec(buckets=4, farthest=4)), 3_000)


@pytest.mark.slow
@pytest.mark.parametrize("name", SCHEMES)
@torch.no_grad()
def test_ten_thousand_steps_drift_nowhere(name: str):
    steps_drift_nowhere(stack(NEAR, *SCHEMES[name]), 10_000)


@pytest.mark.slow
@pytest.mark.parametrize("name", SCHEMES)
@torch.no_grad()
def test_ten_thousand_steps_give_what_a_cache_that_keeps_all_gives(name: str):
    model, x = stack(NEAR, *SCHEMES[name]), example(1, 10_000)
    short, long = model.new_cache(), unbounded(model)
    for step in range(10_000):
        token, queries = x[:, step : step + 1], Layout.counting(1, 1, start=step)
        expected = model(token, queries, cache=long)
        torch.testing.assert_close(model(token, queries, cache=short), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("left", [None, 1])
@torch.no_grad()
def test_chunks_may_come_one_by_one(left: int | None):
    model, x = stack(Chunk(size=4, left_chunks=left), RotarySpec(), AlibiSpec()), example(2, 202)
    layout = Layout.counting(2, 202)
    whole, cache = model(x, layout), model.new_cache()
    for first in range(0, 202, 4):
        part = slice(first, min(first + 4, 202))
        piece = model(x[:, part], layout.cut(part), cache=cache)
        torch.testing.assert_close(piece, whole[:, part], rtol=0, atol=1e-10)
    assert cache.seen == 202
    assert cache.length == 202 if left is None else cache.length <= 2 * 7 + BLOCK


@pytest.mark.parametrize(
    ("rule", "first"),
    [
        (Everything(), 4),
        (SameSegment(), 4),
        (Window(left=3, right=1), 4),
        (Chunk(size=4), 3),
        (Chunk(size=4) | Window(left=1, right=1), 4),
    ],
    ids=["everything", "segments", "window", "chunk", "either"],
)
@torch.no_grad()
def test_a_piece_that_earlier_tokens_had_to_see_is_refused(rule: MaskRule, first: int):
    model, x, layout = stack(rule), example(1, 8), Layout.counting(1, 8)
    cache = model.new_cache()
    # Whatever the mask, the whole text may come at once.
    torch.testing.assert_close(model(x, layout, cache=cache), model(x, layout))
    cache = model.new_cache()
    before, after = slice(first), slice(first, 8)
    piece = model(x[:, before], layout.cut(before), cache=cache)
    assert (piece - model(x, layout)[:, before]).abs().max() > 0.01
    message = (
        rf"a piece that begins at position {first} cannot follow others: by the mask {type(rule).__name__}\("
    )
    with pytest.raises(ValueError, match=message):
        model(x[:, after], layout.cut(after), cache=cache)
    with pytest.raises(ValueError, match="at positions that differ or are unknown"):
        model(example(2, 4), Layout(torch.tensor([[4, 5, 6, 7], [3, 4, 5, 6]])), cache=cache)
