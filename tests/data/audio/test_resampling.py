"""A resampler gives the same samples however they come in, and holds back no more than it says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from whyformer.data.audio.resampling import Resampler, held_back, refuse_odd_rate, resampled
from whyformer.errors import DataError
from whyformer.lengths import needed_length, output_count, ready_count

pytest.importorskip("soxr")

PAIRS = [(16_000, 8_000), (8_000, 16_000), (44_100, 8_000), (48_000, 16_000), (11_025, 8_000), (8_000, 8_000)]


def noise(length: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, length).astype(np.float32)


@given(
    rates=some.sampled_from(PAIRS),
    length=some.integers(0, 5_000),
    cuts=some.lists(some.integers(0, 5_000), max_size=6),
)
@settings(max_examples=40)
def test_pieces_give_the_whole_bit_for_bit(rates: tuple[int, int], length: int, cuts: list[int]) -> None:
    samples, resampler = noise(length), Resampler(*rates)
    pieces = [resampler.feed(piece) for piece in np.split(samples, sorted(min(cut, length) for cut in cuts))]
    whole = resampled(samples, *rates)
    assert np.array_equal(np.concatenate([*pieces, resampler.finish()]), whole)
    assert len(whole) == output_count(length, resampler.stage)


@pytest.mark.parametrize("rates", PAIRS)
def test_one_by_one_at_least_the_promised_count_is_there(rates: tuple[int, int]) -> None:
    resampler, given_out = Resampler(*rates), 0
    samples = noise(12_000)
    for count, sample in enumerate(samples, start=1):
        given_out += len(resampler.feed(np.asarray([sample])))
        assert given_out >= ready_count(count, resampler.stage)


@pytest.mark.parametrize("rates", PAIRS[:-1])
def test_the_reach_is_not_larger_than_it_must_be(rates: tuple[int, int]) -> None:
    # With one sample less of reach, the promise would be broken somewhere.
    stage, resampler, given_out, tight = Resampler(*rates).stage, Resampler(*rates), 0, False
    one = np.zeros(1, np.float32)
    for count in range(1, 20_001):
        given_out += len(resampler.feed(one))
        tight = tight or given_out < (count - stage.beyond + 1) * stage.outputs // stage.stride
    assert tight
    assert needed_length(1, stage) > stage.beyond == held_back(*rates)


def test_silence_stays_silence_and_a_tone_keeps_its_level() -> None:
    assert not resampled(np.zeros(4_000, np.float32), 44_100, 8_000).any()
    tone = np.sin(2 * np.pi * 1_000 * np.arange(44_100) / 44_100).astype(np.float32)
    inside = resampled(tone, 44_100, 8_000)[1_000:-1_000]
    assert np.sqrt(np.mean(inside**2)) == pytest.approx(np.sqrt(0.5), rel=1e-3)
    # Above half the new rate nothing may come back as something else.
    high = np.sin(2 * np.pi * 6_000 * np.arange(44_100) / 44_100).astype(np.float32)
    assert np.abs(resampled(high, 44_100, 8_000)[1_000:-1_000]).max() < 1e-4


@pytest.mark.parametrize("rate", [0, -8_000, 999, 768_001])
def test_no_sound_has_such_a_rate(rate: int) -> None:
    with pytest.raises(DataError, match=f"a sampling rate of {rate} Hz: sound is taken at 1,000 to"):
        refuse_odd_rate(rate)
    with pytest.raises(DataError, match="a sampling rate of"):
        Resampler(rate, 8_000)


def test_integers_dithered_by_the_library_are_why_it_works_in_floats() -> None:
    import soxr

    silence = np.zeros(4_000, np.int16)
    stream = soxr.ResampleStream(8_000, 16_000, 1, dtype="int16")
    assert np.abs(stream.resample_chunk(silence, last=True)).max() > 0
