"""Tubelets: what each reads, ragged ends, and pieces of a video."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor
from torch.nn import functional as F

from whyformer.attention.mask import Chunk, Everything, Rule
from whyformer.models.streaming.encoder import StreamingEncoder, StreamingEncoderSpec
from whyformer.nn.stack import BlockSpec, StackSpec
from whyformer.nn.streaming.convolution import ConvolutionSpec
from whyformer.nn.streaming.subsampling import ConvolutionalSubsamplingSpec
from whyformer.nn.streaming.tubelet import Tubelet, TubeletSpec

SPEC = TubeletSpec(height=6, width=9, pictures=3, patch=3, channels=4, merging=(5,))
PLAIN = SPEC.model_copy(update={"merging": ()})
M = 8


def front(spec: TubeletSpec = SPEC) -> Tubelet:
    torch.manual_seed(0)
    return spec.build(M).eval()


def video(rows: int, length: int) -> Tensor:
    return torch.rand(rows, length, 6, 9, generator=torch.Generator().manual_seed(length))


def test_a_tubelet_is_projected_with_all_its_pixels():
    module, frames = front(PLAIN), video(2, 6)
    whole, _ = module(frames, [6, 6])
    for row in range(2):
        for output in range(2):
            parts = [
                frames[row, 3 * output : 3 * output + 3, top : top + 3, left : left + 3].flatten()
                for top in (0, 3)
                for left in (0, 3, 6)
            ]
            inner = F.gelu(torch.stack(parts) @ module.embed.weight.T + module.embed.bias)
            expected = module.project(inner.T.flatten())
            torch.testing.assert_close(whole[row, output], expected)


def test_a_merged_tubelet_reads_its_neighbours():
    module, frames = front(), video(1, 3)
    tubelets = torch.nn.functional.unfold(frames[0].unsqueeze(1), 3, stride=3).permute(2, 0, 1).flatten(1)
    inner = F.gelu(tubelets @ module.embed.weight.T + module.embed.bias).T.view(1, 4, 2, 3)
    (merge,) = module.merge
    assert isinstance(merge, torch.nn.Conv2d)
    merged = F.gelu(F.conv2d(inner, merge.weight, merge.bias, stride=2, padding=1))
    torch.testing.assert_close(module(frames, [3])[0][0, 0], module.project(merged.flatten()))


@pytest.mark.parametrize("length", range(1, 14))
@pytest.mark.parametrize("pictures", [1, 2, 3, 5])
def test_every_picture_counts_and_only_for_its_own_output(pictures: int, length: int):
    module = front(SPEC.model_copy(update={"pictures": pictures}))
    frames = video(1, length)
    whole, _ = module(frames, [length])
    assert whole.shape == (1, -(-length // pictures), M)
    for changed in range(length):
        other = frames.clone()
        other[:, changed] += 1
        moved = (module(other, [length])[0] != whole).any(-1)[0].nonzero().flatten().tolist()
        assert moved == [changed // pictures]


@settings(deadline=None, max_examples=60)
@given(lengths=st.lists(st.integers(0, 14), min_size=1, max_size=4))
def test_rows_are_filled_with_black_by_their_own_length(lengths: list[int]):
    module, frames = front(), video(len(lengths), max(lengths))
    whole, _ = module(frames, lengths)
    for row, length in enumerate(lengths):
        black = torch.zeros(1, -(-length // 3) * 3, 6, 9)
        black[0, :length] = frames[row, :length]
        alone, _ = module(black, [black.shape[1]])
        torch.testing.assert_close(whole[row : row + 1, : alone.shape[1]], alone, rtol=0, atol=1e-6)


def test_pixels_may_not_be_left_out():
    for wrong in ({"height": 7}, {"width": 8}):
        with pytest.raises(ValidationError, match="no multiple of patch 3"):
            TubeletSpec.model_validate({**SPEC.model_dump(), **wrong})


def test_there_must_be_tubelets_to_merge():
    with pytest.raises(ValidationError, match="merging halves the tubelets 2 times"):
        TubeletSpec.model_validate({**SPEC.model_dump(), "merging": (4, 4)})


def test_another_size_is_refused():
    with pytest.raises(ValueError, match=r"front.height and front.width are 6 and 9.*\(9, 6\)"):
        front()(torch.zeros(1, 3, 9, 6), [3])


def test_a_row_that_has_ended_does_not_go_on():
    module = front()
    _, state = module(video(1, 4), [4], module.new_state())
    assert state is not None
    assert state.frames == (4,)
    with pytest.raises(ValueError, match="only be a row's last"):
        module(video(1, 3), [3], state)


def encoder(convolution: bool) -> StreamingEncoder:
    torch.manual_seed(1)
    block = BlockSpec(convolution=ConvolutionSpec(kernel=5, reach="chunk")) if convolution else BlockSpec()
    spec = StreamingEncoderSpec(d_model=M, front=SPEC, stack=StackSpec(layers=2, block=block))
    return spec.build().eval()


def streamed(model: StreamingEncoder, frames: Tensor, rule: Rule, piece: int) -> Tensor:
    """Hidden states of one video that comes in pieces."""
    state = model.new_state(rule)
    parts = [
        model(part, [part.shape[1]], rule=rule, state=state).hidden for part in frames.split(piece, dim=1)
    ]
    return torch.cat(parts, dim=1)


@settings(deadline=None, max_examples=80)
@given(
    length=st.integers(1, 60),
    size=st.integers(1, 8),
    left=st.sampled_from([0, 1, 4, None]),
    convolution=st.booleans(),
)
@torch.no_grad()
def test_pieces_of_a_video_are_its_masked_full_pass(
    length: int, size: int, left: int | None, convolution: bool
):
    model, frames, rule = encoder(convolution), video(1, length), Chunk(size=size, left_chunks=left)
    whole = model(frames, [length], rule=rule).hidden
    pieces = streamed(model, frames, rule, size * model.stride)
    torch.testing.assert_close(pieces, whole, rtol=0, atol=1e-5)


@torch.no_grad()
def test_a_whole_video_is_one_piece():
    model, frames = encoder(convolution=True), video(1, 20)
    whole = model(frames, [20], rule=Everything()).hidden
    torch.testing.assert_close(streamed(model, frames, Everything(), 20), whole, rtol=0, atol=1e-5)


@torch.no_grad()
def test_videos_that_share_a_batch_are_each_alone():
    model, rule, lengths = encoder(convolution=True), Chunk(size=2, left_chunks=1), [25, 7, 14]
    frames, step = video(3, 25), 2 * model.stride
    state = model.new_state(rule, rows=3)
    parts: list[Tensor] = []
    for begin in range(0, 25, step):
        counts = [min(max(length - begin, 0), step) for length in lengths]
        parts.append(model(frames[:, begin : begin + step], counts, rule=rule, state=state).hidden)
    together = torch.cat(parts, dim=1)
    for row, length in enumerate(lengths):
        alone = model(frames[row : row + 1, :length], [length], rule=rule).hidden
        torch.testing.assert_close(together[row : row + 1, : alone.shape[1]], alone, rtol=0, atol=1e-5)


@pytest.mark.parametrize("front", [SPEC, ConvolutionalSubsamplingSpec()])
def test_the_kind_of_a_front_is_read_back(front: TubeletSpec | ConvolutionalSubsamplingSpec):
    spec = StreamingEncoderSpec(d_model=64, front=front)
    assert StreamingEncoderSpec.model_validate_json(spec.model_dump_json()) == spec
