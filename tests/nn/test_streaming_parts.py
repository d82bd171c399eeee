"""Parts of a stream by themselves: subsampling, convolution, state, laws of chunks; and what they refuse."""

import re
from collections import Counter
from collections.abc import Callable
from typing import cast

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor
from torch.nn import functional as F

from streams import FEATURES, Shape, difference, encoder, signals, whole
from whyformer.attention.mask import Causal, Chunk, Everything, Rule, SameSegment, Window
from whyformer.attention.multihead import AttentionSpec
from whyformer.errors import DataError
from whyformer.models.streaming.encoder import EncoderState, StreamingEncoderSpec
from whyformer.nn.residual.norm import MaskedBatchNormSpec, NoNormSpec
from whyformer.nn.stack import Block, BlockSpec, StackSpec
from whyformer.nn.streaming.chunking import UniformChunksSpec, WeNetChunksSpec
from whyformer.nn.streaming.convolution import ConvolutionSpec
from whyformer.nn.streaming.pieces import memory, same_when_shifted
from whyformer.nn.streaming.subsampling import ConvolutionalSubsampling, ConvolutionalSubsamplingSpec
from whyformer.position.layout import Layout
from whyformer.position.rotary import RotarySpec


def front(strides: tuple[int, ...], kernel: int, over: str) -> ConvolutionalSubsampling:
    torch.manual_seed(0)
    spec = ConvolutionalSubsamplingSpec.model_validate(
        {"features": FEATURES, "strides": strides, "kernel": kernel, "channels": 2, "over": over}
    )
    made = spec.build(4).double()
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return made


def group_by_group(made: ConvolutionalSubsampling, frames: Tensor) -> Tensor:
    """Output after output by the definition: frames (T,F) of one signal -> (L,M)."""
    inputs = [frame[None, :] if made.over_features else frame[:, None] for frame in frames]
    for layer in made.layers:
        assert isinstance(layer, torch.nn.Conv2d)
        kernel, stride = layer.kernel_size[0], layer.stride[0]
        outputs: list[Tensor] = []
        for j in range(-(-len(inputs) // stride)):
            read = range(stride * (j + 1) - kernel, stride * (j + 1))
            zero = torch.zeros_like(inputs[0])
            window = torch.stack([inputs[i] if 0 <= i < len(inputs) else zero for i in read], dim=1)
            outputs.append(layer(window[None])[0, :, 0].relu())
        inputs = outputs
    # (C,F') -> (F',C) -> (F'·C)
    return torch.stack([made.project(x.T.flatten()) for x in inputs])


@settings(max_examples=50)
@given(
    strides=st.lists(st.integers(1, 3), min_size=1, max_size=3).map(tuple),
    kernel=st.sampled_from([3, 4]),
    over=st.sampled_from(["time", "time_frequency"]),
    lengths=st.lists(st.integers(1, 20), min_size=1, max_size=3),
)
@torch.no_grad()
def test_subsampling_is_its_definition(strides: tuple[int, ...], kernel: int, over: str, lengths: list[int]):
    made, frames = front(strides, kernel, over), signals(lengths)
    x, state = made(frames, lengths)
    assert state is None
    assert made.stride == made.spec.stride
    assert x.shape[1] == -(-max(lengths) // made.stride)
    for row, length in enumerate(lengths):
        expected = group_by_group(made, frames[row, :length])
        torch.testing.assert_close(x[row, : -(-length // made.stride)], expected)


@given(
    kernel=st.integers(0, 4).map(lambda half: 2 * half + 1),
    reach=st.sampled_from(["causal", "chunk"]),
    chunk=st.one_of(st.none(), st.integers(1, 12)),
    length=st.integers(1, 25),
)
@torch.no_grad()
def test_a_convolution_is_its_definition(kernel: int, reach: str, chunk: int | None, length: int):
    torch.manual_seed(kernel)
    spec = ConvolutionSpec.model_validate({"kernel": kernel, "reach": reach, "norm": NoNormSpec()})
    branch = spec.build(4).double()
    assert branch.depthwise.bias is not None
    torch.nn.init.normal_(branch.depthwise.bias)
    x = torch.randn(1, length, 4, dtype=torch.float64)
    gated, weight = branch.gate(x, None), branch.depthwise.weight[:, 0]
    first, second = branch.enter(x).chunk(2, dim=-1)
    torch.testing.assert_close(gated, first * second.sigmoid())
    past = gated.new_zeros(1, branch.back, 4)
    found = branch(gated, past, chunk, None)
    ahead = kernel // 2 if reach == "chunk" else 0
    for at in range(length):
        end = length if chunk is None else min((at // chunk + 1) * chunk, length)
        total = branch.depthwise.bias.clone()
        for tap in range(kernel):
            if 0 <= (read := at + tap - (kernel - 1 - ahead)) < end:
                total += weight[:, tap] * gated[0, read]
        torch.testing.assert_close(found[0, at], branch.leave(F.silu(total)))


@torch.no_grad()
def test_a_macaron_counts_each_network_half():
    x, layout = torch.randn(1, 5, 8, dtype=torch.float64), Layout.counting(1, 5)
    model = encoder(Shape(branch="causal", layers=1))
    block = cast("Block", model.stack.blocks[0])
    assert block.convolution is not None
    assert block.attention is not None
    # Branches that add nothing leave the two networks alone.
    for layer in (block.attention.output, block.convolution.leave):
        layer.weight.zero_()
        layer.bias.zero_()
    expected = x
    for network, branch in (
        (block.first_feed_forward, block.first_feed_forward_branch),
        (block.feed_forward, block.feed_forward_branch),
    ):
        assert network is not None
        assert branch is not None
        expected = expected + 0.5 * network(branch.norm(expected))
    assert model.stack.final_norm is not None
    torch.testing.assert_close(model.stack(x, layout), model.stack.final_norm(expected))


@settings(max_examples=20)
@given(rows=st.permutations(range(5)), cut=st.integers(1, 4))
@torch.no_grad()
def test_rows_go_on_in_any_company(rows: list[int], cut: int):
    model, rule = encoder(Shape(branch="chunk")), Chunk(size=2, left_chunks=2)
    lengths = [24] * 5
    frames = signals(lengths)
    expected = whole(model, frames, lengths, rule)
    alone = model.new_state(rule)
    model(frames[4:, :8], [8], rule=rule, state=alone)
    state = model.new_state(rule, 4)
    model(frames[:4, :8], [8] * 4, rule=rule, state=state)
    own = [*state.split(), alone]
    parts: list[Tensor] = []
    for group in (rows[:cut], rows[cut:]):
        joined = EncoderState.join([own[row] for row in group])
        assert joined.nbytes == sum(own[row].nbytes for row in group)
        parts.append(model(frames[group, 8:], [16] * len(group), rule=rule, state=joined).hidden)
    together = torch.cat(parts)
    assert difference([*together], [expected[row][2:] for row in rows]) <= 1e-10
    # What was split off before is what it was.
    late = EncoderState.join(own).select([3, 4])
    again = model(frames[3:, 8:], [16, 16], rule=rule, state=late).hidden
    assert difference([*again], [expected[3][2:], expected[4][2:]]) <= 1e-10


@torch.no_grad()
def test_a_piece_without_frames_changes_nothing():
    model, rule = encoder(Shape("sinusoidal", "causal")), Chunk(size=2, left_chunks=1)
    frames = signals([11])
    expected = whole(model, frames, [11], rule)[0]
    state, parts = model.new_state(rule), list[Tensor]()
    for first, count in ((0, 0), (0, 8), (8, 0), (8, 3), (11, 0)):
        parts.append(model(frames[:, first : first + count], [count], rule=rule, state=state).hidden[0])
    assert difference([torch.cat(parts)], [expected]) <= 1e-10
    assert (state.frames, state.seen) == ((11,), (3,))


def fed(rule: Rule, counts: list[list[int]], other: Rule | None = None) -> None:
    model = encoder(Shape(branch="causal"))
    state = model.new_state(rule, len(counts[0]))
    for index, lengths in enumerate(counts):
        asked = rule if other is None or not index else other
        model(torch.zeros(len(lengths), max(lengths), FEATURES).double(), lengths, rule=asked, state=state)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: fed(Chunk(size=2), [[4], [8]]), "begins at position 1 of row 0 cannot follow others"),
        (lambda: fed(Chunk(size=2), [[8, 4], [8, 8]]), "begins at position 1 of row 1 cannot follow others"),
        (lambda: fed(Everything(), [[8], [8]]), "begins at position 2 of row 0 cannot follow others"),
        (lambda: fed(Window(left=3, right=1), [[8], [8]]), "begins at position 2 of row 0 cannot follow"),
        (lambda: fed(Chunk(size=2), [[7], [8]]), "row 0 has brought 7 frames, which is no multiple of 4"),
        (lambda: fed(Chunk(size=2), [[8], [8]], Chunk(size=1)), "the state belongs to the mask Chunk"),
        (
            lambda: fed(Chunk(size=2), [[8], [8, 8]]),
            "2 lengths and a state of 1 rows do not fit",
        ),
        (
            lambda: EncoderState.join([encoder(Shape()).new_state(Chunk(size=size)) for size in (1, 2)]),
            "cannot share a batch; join those of one mask",
        ),
        (
            lambda: encoder(Shape("learned")).new_state(Chunk(size=2)),
            "knows 512 positions, which cannot serve",
        ),
        (
            lambda: encoder(Shape("learned")).new_state(Chunk(size=2), longest=513),
            "cannot serve a stream of 513 frames; train with a relative scheme",
        ),
        (
            lambda: encoder(Shape())(torch.zeros(1, 8, 3), [8], rule=Everything()),
            "front.features is 5, and these frames have 3",
        ),
        (
            lambda: encoder(Shape())(torch.zeros(1, 7, 5), [8], rule=Everything()),
            "lengths of up to 8 frames, and there are 7",
        ),
        (
            lambda: encoder(Shape(branch="chunk"))(
                torch.zeros(1, 8, 5).double(), [8], rule=Window(left=3, right=1)
            ),
            "a convolution cannot look ahead by the mask Window",
        ),
    ],
)
def test_what_cannot_be_exact_is_refused_in_a_sentence(call: Callable[[], object], sentence: str):
    with pytest.raises((ValueError, DataError), match=re.escape(sentence)):
        call()


@torch.no_grad()
def test_a_refused_piece_leaves_the_state_as_it_was():
    model, rule = encoder(Shape(branch="causal")), Chunk(size=2, left_chunks=1)
    frames = signals([16, 16])
    state = model.new_state(rule, 2)
    model(frames[:, :8], [8, 8], rule=rule, state=state)
    with pytest.raises(ValueError, match="begin a new state"):
        model(frames[:, 8:], [8, 8], rule=Chunk(size=1), state=state)
    assert state.frames == (8, 8)
    again = model(frames[:, 8:], [8, 8], rule=rule, state=state).hidden
    assert difference([*again], [row[2:] for row in whole(model, frames, [16, 16], rule)]) <= 1e-10


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"norm": MaskedBatchNormSpec()}, "statistics of whole signals"),
        ({"convolution": {"norm": {"kind": "batch"}}}, "statistics of whole signals"),
        ({"convolution": {"kernel": 4, "reach": "chunk"}}, "has no middle"),
        ({"cross_attention": AttentionSpec()}, "an encoder has no memory to read"),
        ({"cross_attention": AttentionSpec(), "convolution": {}}, "keeps no convolution's past"),
        ({"macaron": True, "feed_forward": {"kind": "none"}}, "has none"),
        ({"macaron": True, "placement": {"kind": "peri"}}, "undoes that"),
    ],
)
def test_a_spec_that_cannot_stream_is_refused(changes: dict[str, object], sentence: str):
    with pytest.raises(ValidationError, match=sentence):
        StreamingEncoderSpec.model_validate(
            {
                "d_model": 8,
                "stack": {"positions": [], "block": {"attention": {"heads": {"query": 2}}, **changes}},
            }
        )


def test_strides_wider_than_the_kernel_are_refused():
    with pytest.raises(ValidationError, match="would leave frames out"):
        ConvolutionalSubsamplingSpec(strides=(4,), kernel=3)


def test_a_convolution_needs_a_state_and_no_packed_rows():
    block = BlockSpec(attention=AttentionSpec(), convolution=ConvolutionSpec())
    stack = StackSpec(layers=1, mask=Causal(), positions=(RotarySpec(),), block=block).build(16)
    layout = Layout.counting(1, 2)
    with pytest.raises(ValueError, match="feed the pieces with a state"):
        stack(torch.zeros(1, 2, 16), layout, cache=stack.new_cache())
    packed = Layout(layout.position, segment=torch.zeros(1, 2, dtype=torch.int64))
    with pytest.raises(ValueError, match="do not pack them"):
        stack(torch.zeros(1, 2, 16), packed)


RULES = [
    Chunk(size=3, left_chunks=1),
    Chunk(size=2),
    Causal(),
    Window(left=4, right=0),
    Chunk(size=3, left_chunks=4) & Window(left=5, right=9),
    Chunk(size=2, left_chunks=1) | Chunk(size=3, left_chunks=1),
    SameSegment() & Causal(),
]


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_memory_is_all_that_a_later_piece_sees_and_no_more(rule: Rule):
    layout = Layout.counting(1, 48)
    allowed = rule.allows(layout, layout).expand(1, 48, 48)[0]
    first = next(size for size in range(24, 48) if rule.exact_in_pieces(size))
    seen = allowed[first:, :first].any(dim=0).nonzero().flatten().tolist()
    kept = memory(rule)
    assert seen == list(range(0 if kept is None else first - kept, first))


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_a_rule_that_is_the_same_when_shifted_allows_the_same(rule: Rule):
    here = Layout.counting(1, 20)
    for by in range(1, 13):
        there = Layout.counting(1, 20, start=by)
        alike = torch.equal(rule.allows(here, here), rule.allows(there, there))
        assert same_when_shifted(rule, by) <= alike
    assert same_when_shifted(rule, 12)


@given(
    size=st.integers(1, 4),
    left=st.sampled_from([None, 0, 1, 2]),
    start=st.integers(0, 12),
    queries=st.integers(1, 6),
    keys=st.integers(1, 12),
    back=st.integers(0, 8),
)
def test_a_chunk_that_allows_all_needs_no_matrix(
    size: int, left: int | None, start: int, queries: int, keys: int, back: int
):
    rule = Chunk(size=size, left_chunks=left)
    asking, read = Layout.counting(1, queries, start=start), Layout.counting(1, keys, start=start - back)
    everything = bool(rule.allows(asking, read).all())
    assert isinstance(rule.between(asking, read), Everything) == everything


def test_a_draw_is_a_pure_function_of_its_place():
    law = UniformChunksSpec()
    drawn = [law.rule(3, epoch, step, frames=100) for epoch in range(3) for step in range(20)]
    assert drawn == [law.rule(3, epoch, step, frames=100) for epoch in range(3) for step in range(20)]
    assert drawn != [law.rule(4, epoch, step, frames=100) for epoch in range(3) for step in range(20)]
    # What one setting changes is what it is about.
    other = UniformChunksSpec(left_probability=0.0)
    for index, rule in enumerate(drawn):
        plain = other.rule(3, index // 20, index % 20, frames=100)
        assert plain == (Chunk(size=rule.size) if isinstance(rule, Chunk) else rule)


def test_uniform_chunks_follow_their_law():
    law = UniformChunksSpec(shortest=2, longest=5, left_probability=0.25, fewest_left=1, most_left=3)
    drawn = [law.rule(0, step, frames=100) for step in range(4000)]
    chunks = [rule for rule in drawn if isinstance(rule, Chunk)]
    assert all(isinstance(rule, Chunk | Everything) for rule in drawn)
    # Four standard deviations of a binomial are 124 and 85 of 4,000 and 2,400.
    assert abs(len(chunks) - 2400) < 124
    limited = [rule.left_chunks for rule in chunks if rule.left_chunks is not None]
    assert abs(len(limited) - 0.25 * len(chunks)) < 85
    assert set(Counter(rule.size for rule in chunks)) == {2, 3, 4, 5}
    assert set(limited) == {1, 2, 3}


def test_wenets_chunks_follow_their_law():
    law, frames = WeNetChunksSpec(limit_left=True), 200
    drawn = [law.rule(0, step, frames=frames) for step in range(4000)]
    chunks = [rule for rule in drawn if isinstance(rule, Chunk)]
    assert abs(len(chunks) - 2000) < 4 * 1000**0.5
    assert {rule.size for rule in chunks} == set(range(1, 26))
    assert all(0 <= (rule.left_chunks or 0) <= (frames - 1) // rule.size for rule in chunks)
    assert WeNetChunksSpec().rule(0, 0, frames=1) in (Everything(), Chunk(size=1), Chunk(size=2))


def test_ranges_in_the_wrong_order_are_refused():
    with pytest.raises(ValidationError, match="shortest 9 is above longest 3; exchange them"):
        UniformChunksSpec(shortest=9, longest=3)
