"""Streams: piece by piece an encoder gives what one masked pass over the whole gives."""

from collections.abc import Callable
from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from streams import (
    BRANCHES,
    NORMS,
    PLACEMENTS,
    RELATIVE,
    SCHEMES,
    Shape,
    difference,
    encoder,
    in_pieces,
    signals,
    whole,
)
from whyformer.attention.mask import Chunk, Rule
from whyformer.models.streaming import encoder as streaming_encoder
from whyformer.nn import stack as stack_module
from whyformer.nn.streaming import state as state_module
from whyformer.nn.streaming import subsampling
from whyformer.nn.streaming.convolution import ConvolutionBranch, ConvolutionSpec
from whyformer.nn.streaming.pieces import memory
from whyformer.nn.streaming.state import StackState
from whyformer.nn.streaming.subsampling import FrontState
from whyformer.position.absolute import FAR, Sinusoidal
from whyformer.position.layout import Layout

SHAPES = st.builds(
    Shape,
    scheme=st.sampled_from(sorted(SCHEMES)),
    branch=st.sampled_from(BRANCHES),
    norm=st.sampled_from(sorted(NORMS)),
    placement=st.sampled_from(sorted(PLACEMENTS)),
    strides=st.sampled_from([(2, 2), (2,), (1, 3), (3, 2)]),
    over=st.sampled_from(["time", "time_frequency"]),
    additions=st.booleans(),
)
LEFT = (0, 1, 4, None)


@settings(max_examples=80)
@given(
    shape=SHAPES,
    size=st.integers(1, 12),
    left=st.sampled_from(LEFT),
    rows=st.lists(st.tuples(st.integers(1, 90), st.integers(0, 4)), min_size=1, max_size=4),
)
@torch.no_grad()
def test_pieces_give_what_the_whole_gives(
    shape: Shape, size: int, left: int | None, rows: list[tuple[int, int]]
):
    model, rule = encoder(shape, dtype=torch.float32), Chunk(size=size, left_chunks=left)
    lengths, starts = [length for length, _ in rows], [start for _, start in rows]
    frames = signals(lengths, dtype=torch.float32)
    expected = whole(model, frames, lengths, rule)
    assert difference(in_pieces(model, frames, lengths, rule, starts=starts), expected) <= 1e-5
    alone = [
        whole(model, frames[row : row + 1, :length], [length], rule)[0] for row, length in enumerate(lengths)
    ]
    assert difference(alone, expected) <= 1e-5


# Every scheme and every pair of the other choices.
EVERYWHERE = [
    Shape(scheme, branch, norm, placement)
    for number, scheme in enumerate(SCHEMES)
    for branch, norm, placement in [[*product(BRANCHES, NORMS, PLACEMENTS)][5 * number % 12]]
]


@pytest.mark.slow
@pytest.mark.parametrize("shape", EVERYWHERE, ids=lambda shape: f"{shape.scheme}-{shape.branch}")
@torch.no_grad()
def test_every_chunk_and_every_length_gives_what_the_whole_gives(shape: Shape):
    lengths = list(range(1, 401))
    model, frames = encoder(shape, dtype=torch.float32), signals(lengths, dtype=torch.float32)
    for size in range(1, 400 // model.stride + 1):
        for left in LEFT:
            rule = Chunk(size=size, left_chunks=left)
            pieces = in_pieces(model, frames, lengths, rule)
            assert difference(pieces, whole(model, frames, lengths, rule)) <= 1e-5, rule


@pytest.mark.parametrize("branch", BRANCHES)
@torch.no_grad()
def test_half_precision_gives_nearly_the_same(branch: str):
    model, rule = encoder(Shape(branch=branch), dtype=torch.float32), Chunk(size=3, left_chunks=2)
    lengths = [61, 8, 33]
    frames = signals(lengths, dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        expected = whole(model, frames, lengths, rule)
        pieces = in_pieces(model, frames, lengths, rule, starts=[0, 3, 1])
    exact = whole(model, frames, lengths, rule)
    assert difference(expected, exact) > 1e-3
    assert difference(pieces, expected) <= 1e-3


@pytest.mark.parametrize("scheme", RELATIVE)
@torch.no_grad()
def test_after_a_day_it_gives_what_it_gave_at_first(scheme: str):
    model, rule = encoder(Shape(scheme), dtype=torch.float32), Chunk(size=4, left_chunks=2)
    x = torch.randn(1, 40, 8, generator=torch.Generator().manual_seed(0))
    expected = model.stack(x, Layout.counting(1, 40), rule=rule)
    late = Layout.counting(1, 40, start=10_000_000)
    assert difference(model.stack(x, late, rule=rule), expected) <= 1e-5
    state = model.stack.new_state(rule)
    for first in range(0, 40, 4):
        part = slice(first, first + 4)
        piece = model.stack(x[:, part], late.cut(part), rule=rule, state=state)
        assert difference(piece, expected[:, part]) <= 1e-5


@torch.no_grad()
def test_a_table_of_sinusoids_does_not_grow_with_the_stream():
    scheme, x = Sinusoidal(8), torch.zeros(2, 3, 8)
    near = scheme.embed(x, Layout.counting(2, 3, start=FAR - 3))
    assert len(scheme.table) <= 2 * FAR
    table = scheme.table
    far = scheme.embed(x, Layout.counting(2, 3, start=10**9))
    assert scheme.table is table
    position = torch.tensor([[FAR - 3, FAR - 2, FAR - 1], [FAR - 2, FAR - 1, FAR]])
    beyond = scheme.embed(x, Layout(position))
    torch.testing.assert_close(beyond[0], near[0])
    assert not torch.equal(far, near)


@pytest.mark.parametrize("branch", BRANCHES)
def test_a_batch_trains_as_its_rows_do(branch: str):
    rule, lengths = Chunk(size=3, left_chunks=1), [41, 7, 26]
    frames = signals(lengths)

    def gradients(rows: list[int]) -> list[Tensor]:
        model = encoder(Shape(branch=branch))
        own = [lengths[row] for row in rows]
        states = whole(model, frames[rows, : max(own)], own, rule)
        torch.stack([(state.sin() * (1 + len(state))).sum() for state in states]).sum().backward()
        found = [p.grad for p in model.parameters() if p.grad is not None]
        assert all(bool(x.isfinite().all()) for x in found)
        return found

    single = [sum(parts) for parts in zip(*(gradients([row]) for row in range(3)), strict=True)]
    for together, alone in zip(gradients([0, 1, 2]), single, strict=True):
        torch.testing.assert_close(together, alone, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("branch", BRANCHES)
@pytest.mark.parametrize("left", LEFT)
def test_a_frame_reads_its_chunk_and_nothing_behind(branch: str, left: int | None):
    size, frames = 3, signals([50]).requires_grad_()
    model = encoder(Shape(branch=branch, layers=1))
    hidden = model(frames, [50], rule=Chunk(size=size, left_chunks=left)).hidden[0]
    for at, state in enumerate(hidden):
        (gradient,) = torch.autograd.grad(state.sum(), frames, retain_graph=True)
        read = gradient[0].abs().sum(dim=-1).nonzero().flatten().tolist()
        chunk = at // size
        assert read[-1] == min((chunk + 1) * size * model.stride, 50) - 1
        if left is not None and branch == "transformer":
            # The front of two convolutions of kernel 3 and stride 2 reads three frames before its own four.
            assert read[0] == max((chunk - left) * size * model.stride - 3, 0)


@torch.no_grad()
def test_a_state_is_as_large_as_the_mask_reaches_and_never_larger():
    rule, size = Chunk(size=3, left_chunks=2), 3
    model = encoder(Shape(branch="causal", layers=2))
    state, sizes = model.new_state(rule, 2), set[int]()
    for step in range(40):
        model(signals([size * 4] * 2, seed=step), [size * 4] * 2, rule=rule, state=state)
        _, stack = state.parts
        if step >= 2:
            sizes.add(state.nbytes)
            tensors = [x for pair in stack.keys if pair is not None for x in pair]
            assert all(x.shape[2] == 6 for x in tensors)
            held = {x.untyped_storage().data_ptr(): x.untyped_storage().nbytes() for x in tensors}
            assert sum(held.values()) <= 2 * sum(x.numel() * x.element_size() for x in tensors)
    assert len(sizes) == 1
    # Two rows, two layers: six keys and values of eight numbers, three inputs of a convolution of kernel 4.
    assert sizes == {8 * 2 * 2 * (2 * 6 * 8 + 3 * 8) + state.parts[0].nbytes}
    assert state.frames == (480, 480)
    assert sum(own.nbytes for own in state.split()) == state.nbytes


def gap(shape: Shape, size: int = 3, left: int | None = 1) -> float:
    rule, lengths = Chunk(size=size, left_chunks=left), [37, 12, 61]
    with torch.no_grad():
        model, frames = encoder(shape), signals(lengths)
        expected = whole(model, frames, lengths, rule)
        alone = [
            whole(model, frames[row : row + 1, :length], [length], rule)[0]
            for row, length in enumerate(lengths)
        ]
        pieces = in_pieces(model, frames, lengths, rule, starts=[2, 0, 1])
        return max(difference(pieces, expected), difference(alone, expected))


def one_short(rule: Rule) -> int | None:
    kept = memory(rule)
    return None if kept is None else kept - 1


def forgetful(self: StackState, layer: int, new: Tensor, back: int) -> Tensor:
    return new.new_zeros(len(new), back, new.shape[2])


ADVANCED = FrontState.advanced


def careless(self: FrontState, lengths: list[int], tails: list[Tensor], stride: int) -> FrontState:
    return ADVANCED(self, lengths, [torch.zeros_like(tail) for tail in tails], stride)


GATE = ConvolutionBranch.gate


def unmasked(self: ConvolutionBranch, x: Tensor, valid: Tensor | None) -> Tensor:
    return GATE(self, x, None)


LAYOUT = streaming_encoder._layout


def from_zero(counts: list[int], seen: tuple[int, ...], device: torch.device) -> Layout:
    return LAYOUT(counts, (0,) * len(seen), device)


MUTATIONS: dict[str, tuple[Shape, object, str, Callable[..., object]]] = {
    "a cache one frame short": (Shape(), state_module, "memory", one_short),
    "a convolution that forgets": (Shape(branch="causal"), StackState, "past", forgetful),
    "a convolution that looks over the chunk": (
        Shape(branch="chunk"),
        stack_module,
        "chunk_size",
        lambda rule: None,
    ),
    "padding that a convolution reads": (Shape(branch="chunk"), ConvolutionBranch, "gate", unmasked),
    "a front that forgets": (Shape(), FrontState, "advanced", careless),
    "positions that begin anew": (Shape("sinusoidal"), streaming_encoder, "_layout", from_zero),
    "rotations that begin anew": (Shape("rotary"), streaming_encoder, "_layout", from_zero),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_the_comparison_sees(name: str, monkeypatch: pytest.MonkeyPatch):
    shape, owner, attribute, wrong = MUTATIONS[name]
    assert gap(shape) <= 1e-10
    monkeypatch.setattr(owner, attribute, wrong)
    assert gap(shape) > 1e-4


def test_the_comparison_sees_a_convolution_that_looks_right(monkeypatch: pytest.MonkeyPatch):
    init = ConvolutionBranch.__init__

    def centred(self: ConvolutionBranch, spec: ConvolutionSpec, d_model: int) -> None:
        init(self, spec, d_model)
        self.ahead, self.back = 1, self.back - 1

    monkeypatch.setattr(ConvolutionBranch, "__init__", centred)
    assert gap(Shape(branch="causal")) > 1e-4


def test_the_comparison_sees_a_tail_that_is_dropped(monkeypatch: pytest.MonkeyPatch):
    for module in (subsampling, streaming_encoder):
        monkeypatch.setattr(module, "output_count", lambda count, stage: count // stage.stride)
    with pytest.raises(AssertionError):
        gap(Shape())
