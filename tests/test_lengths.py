"""Lengths are what the real libraries give, for every length in reach."""

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from whyformer.lengths import (
    Stage,
    centred_framing,
    grouping,
    inputs_per_output,
    look_ahead,
    needed_length,
    output_count,
    ready_count,
    resampling,
    snipped_framing,
)

SAMPLES = range(2_001)
FRAMES = range(401)
RATES = [
    (8000, 16000),
    (16000, 8000),
    (44100, 16000),
    (44100, 8000),
    (48000, 16000),
    (22050, 8000),
    (11025, 8000),
]

stages = some.builds(
    Stage,
    stride=some.integers(1, 12),
    outputs=some.integers(1, 5),
    beyond=some.integers(0, 20),
    end=some.sampled_from(["dropped", "nearest", "filled"]),
)


@pytest.mark.parametrize(("before", "after"), RATES)
def test_a_finished_resampler_gives_the_nearest_count(before: int, after: int) -> None:
    soxr = pytest.importorskip("soxr")
    stage = resampling(before, after)
    for length in SAMPLES:
        stream = soxr.ResampleStream(before, after, 1, dtype="float32")
        made = len(stream.resample_chunk(np.zeros(length, np.float32), last=True))
        assert output_count(length, stage) == made, length


@pytest.mark.parametrize("snip", [False, True])
@pytest.mark.parametrize(("rate", "window", "shift"), [(8000, 200, 80), (16000, 400, 160), (11025, 275, 110)])
def test_frames_are_those_of_the_filter_bank(rate: int, window: int, shift: int, snip: bool) -> None:
    kaldi = pytest.importorskip("kaldi_native_fbank")
    options = kaldi.FbankOptions()
    options.frame_opts.samp_freq = rate
    options.frame_opts.dither = 0
    options.frame_opts.snip_edges = snip
    stage = snipped_framing(window, shift) if snip else centred_framing(window, shift)
    running = kaldi.OnlineFbank(options)
    for length in SAMPLES:
        if length:
            running.accept_waveform(rate, [0.5])
        assert ready_count(length, stage) == running.num_frames_ready, length
        finished = kaldi.OnlineFbank(options)
        finished.accept_waveform(rate, [0.5] * length)
        finished.input_finished()
        assert output_count(length, stage) == finished.num_frames_ready, length


@pytest.mark.parametrize("stride", [1, 2, 3, 4, 6, 8])
def test_a_subsampling_gives_an_output_for_every_group_begun(stride: int) -> None:
    for frames in FRAMES:
        groups = [range(start, min(start + stride, frames)) for start in range(0, frames, stride)]
        assert output_count(frames, grouping(stride)) == len(groups)
        assert ready_count(frames, grouping(stride)) == sum(len(group) == stride for group in groups)


def test_two_halvings_are_one_quartering() -> None:
    for frames in FRAMES:
        assert output_count(frames, grouping(2), grouping(2)) == output_count(frames, grouping(4))


@given(some.lists(stages, max_size=4), some.integers(1, 60))
def test_the_needed_length_is_the_smallest_that_is_enough(chain: list[Stage], count: int) -> None:
    needed = needed_length(count, *chain)
    assert ready_count(needed, *chain) >= count
    assert needed == 0 or ready_count(needed - 1, *chain) < count
    assert needed_length(0, *chain) == 0


@given(some.lists(stages, max_size=4), some.integers(0, 3_000))
def test_counts_grow_with_the_signal_and_the_end_adds_to_them(chain: list[Stage], length: int) -> None:
    counts: list[Callable[..., int]] = [output_count, ready_count]
    for counted in counts:
        assert counted(length, *chain) <= counted(length + 1, *chain)
    assert ready_count(length, *chain) <= output_count(length, *chain)


@given(some.lists(stages, max_size=4), some.integers(1, 30))
def test_an_output_waits_for_its_group_and_the_look_ahead(chain: list[Stage], count: int) -> None:
    # Rounding a rational group up to whole inputs costs less than one input of each stage.
    exact = count * inputs_per_output(*chain) + look_ahead(*chain)
    slack, ratio = Fraction(0), Fraction(1)
    for stage in chain:
        slack += ratio
        ratio *= Fraction(stage.stride, stage.outputs)
    assert exact <= needed_length(count, *chain) < exact + slack + (not chain)


def test_the_chain_of_a_recogniser() -> None:
    chain = centred_framing(200, 80), grouping(4)
    assert output_count(8_000, *chain) == 25
    assert needed_length(1, *chain) == 380
    assert look_ahead(*chain) == 60
    assert inputs_per_output(*chain) == 320


@pytest.mark.parametrize(("stride", "outputs", "beyond"), [(0, 1, 0), (2, 0, 0), (2, 1, -1)])
def test_no_stage_without_inputs_or_outputs(stride: int, outputs: int, beyond: int) -> None:
    with pytest.raises(ValueError, match="stride ≥ 1"):
        Stage(stride, outputs, beyond)
