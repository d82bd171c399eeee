"""Features of a stream are those of the whole signal, and no sample of it is lost."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from pydantic import ValidationError

from whyformer.data.audio.features import FilterBank, FilterBankSpec
from whyformer.data.audio.front import SoundFront
from whyformer.data.audio.statistics import FeatureStatistics
from whyformer.lengths import needed_length, output_count, ready_count

pytest.importorskip("kaldi_native_fbank")
pytest.importorskip("soxr")

SPECS = [
    FilterBankSpec(),
    FilterBankSpec(rate=16_000, bins=80),
    FilterBankSpec(rate=11_025, bins=23, frame_ms=32),
]


STATUS = Path("/proc/self/statm")


def resident_pages() -> int:
    return int(STATUS.read_text().split()[1])


def noise(length: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, length).astype(np.float32)


def streamed(bank: FilterBank, pieces: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([*(bank.feed(piece) for piece in pieces), bank.finish()])


@given(
    spec=some.sampled_from(SPECS),
    length=some.integers(0, 3_000),
    cuts=some.lists(some.integers(0, 3_000), max_size=8),
)
@settings(max_examples=60)
def test_pieces_give_the_whole_bit_for_bit(spec: FilterBankSpec, length: int, cuts: list[int]) -> None:
    samples = noise(length)
    pieces = np.split(samples, sorted(min(cut, length) for cut in cuts))
    whole = spec.extract(samples)
    assert np.array_equal(streamed(spec.open(), pieces), whole)
    assert whole.shape == (output_count(length, spec.stage), spec.bins)
    assert whole.dtype == np.float32


@pytest.mark.parametrize("spec", SPECS)
def test_one_by_one_each_frame_comes_as_soon_as_its_window_is_full(spec: FilterBankSpec) -> None:
    samples, bank, frames = noise(2_001), spec.open(), list[np.ndarray]()
    for count, sample in enumerate(samples, start=1):
        frames.append(bank.feed(np.asarray([sample])))
        assert sum(map(len, frames)) == ready_count(count, spec.stage)
    assert np.array_equal(np.concatenate([*frames, bank.finish()]), spec.extract(samples))


@pytest.mark.parametrize("length", [*range(100, 420, 7), 999, 1_000, 1_001, 1_039, 1_040, 1_041])
def test_the_last_sample_is_heard(length: int) -> None:
    spec, samples = FilterBankSpec(), noise(length)
    louder = samples.copy()
    louder[-1] += 0.5
    assert not np.array_equal(spec.extract(samples)[-1], spec.extract(louder)[-1])


def test_dropping_windows_that_reach_past_the_end_loses_the_last_samples() -> None:
    # The library's other way, and the reason why it is not taken.
    import kaldi_native_fbank as library

    options = library.FbankOptions()
    options.frame_opts.samp_freq = 8_000
    options.frame_opts.dither = 0
    found = list[np.ndarray]()
    for last in (0.0, 0.5):
        samples = noise(1_039)
        samples[-1] += last
        bank = library.OnlineFbank(options)
        bank.accept_waveform(8_000, samples.tolist())
        bank.input_finished()
        found.append(np.stack([bank.get_frame(frame) for frame in range(bank.num_frames_ready)]))
    assert np.array_equal(found[0], found[1])


def test_later_samples_change_no_frame_that_was_given() -> None:
    spec = FilterBankSpec()
    first, second = noise(1_600, seed=1), noise(1_600, seed=2)
    ready = spec.open().feed(first)
    for rest in (second, 100 * second, np.zeros(0, np.float32)):
        assert np.array_equal(spec.extract(np.concatenate([first, rest]))[: len(ready)], ready)


class OfTheWholeUtterance(FilterBank):
    """A filter bank that subtracts the mean of what it was given so far: the mistake to be seen."""

    def feed(self, samples: np.ndarray) -> np.ndarray:
        frames = super().feed(samples)
        return frames - frames.mean(axis=0) if len(frames) else frames


class WithoutTail(FilterBank):
    """A filter bank that gives up the frames at the end: the other mistake to be seen."""

    def finish(self) -> np.ndarray:
        return super().finish()[:0]


class WithoutTailInPieces(FilterBank):
    """A filter bank that loses the last samples of every piece."""

    def feed(self, samples: np.ndarray) -> np.ndarray:
        return super().feed(samples[: len(samples) - len(samples) % 80])


@pytest.mark.parametrize("mistake", [OfTheWholeUtterance, WithoutTail, WithoutTailInPieces])
def test_the_equality_test_sees_mistakes(mistake: Callable[[FilterBankSpec], FilterBank]) -> None:
    spec, samples = FilterBankSpec(), noise(2_000)
    pieces = np.split(samples, [300, 301, 1_111])
    whole = streamed(mistake(spec), [samples])
    in_pieces = streamed(mistake(spec), pieces)
    correct = spec.extract(samples)
    same = whole.shape == in_pieces.shape and np.array_equal(whole, in_pieces)
    assert not (same and whole.shape == correct.shape)


def test_silence_is_finite_and_at_the_floor() -> None:
    features = FilterBankSpec().extract(np.zeros(4_000, np.float32))
    assert np.allclose(features, np.log(np.finfo(np.float32).eps))
    faint = FilterBankSpec().extract(np.full(4_000, 1e-30, np.float32))
    assert np.isfinite(faint).all()


def test_two_runs_give_the_same_bits() -> None:
    # The library's own default adds other noise each time.
    samples = noise(4_000)
    assert np.array_equal(FilterBankSpec().extract(samples), FilterBankSpec().extract(samples))


def test_a_tone_is_loudest_in_the_band_at_its_frequency() -> None:
    from whyformer.data.audio.augmentation import band_centres

    spec = FilterBankSpec()
    for frequency in (500, 1_000, 2_500):
        tone = np.sin(2 * np.pi * frequency * np.arange(8_000) / 8_000).astype(np.float32)
        loudest = int(spec.extract(tone).mean(axis=0).argmax())
        nearest = int(np.abs(band_centres(spec) - frequency).argmin())
        assert abs(loudest - nearest) <= 1


def test_given_frames_do_not_change_when_the_library_reuses_its_memory() -> None:
    bank = FilterBankSpec().open()
    first = bank.feed(noise(1_600))
    kept = first.copy()
    for seed in range(50):
        bank.feed(noise(1_600, seed))
    assert np.array_equal(first, kept)


def test_memory_does_not_grow_with_the_stream() -> None:
    bank, second = FilterBankSpec().open(), noise(8_000)
    given = sum(len(bank.feed(second)) for _ in range(900))  # a quarter of an hour
    with pytest.raises(RuntimeError, match=f"first_available_index = {given}"):
        bank._bank.get_frame(given - 1)


@pytest.mark.skipif(not STATUS.exists(), reason="the system does not tell the memory of a process")
def test_neither_do_the_samples_pile_up() -> None:
    bank, second = FilterBankSpec().open(), noise(8_000)
    for _ in range(20):
        bank.feed(second)
    before = resident_pages()
    for _ in range(900):  # 14 MB of frames, 29 MB of samples
        bank.feed(second)
    assert resident_pages() - before < 1_000  # of 4 KB


def test_the_first_frame_waits_for_its_window() -> None:
    spec = FilterBankSpec()
    assert needed_length(1, spec.stage) == 140
    assert len(spec.open().feed(noise(139))) == 0
    assert len(spec.open().feed(noise(140))) == 1


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"frame_ms": 15.0}, "frame_ms 15 is below twice shift_ms 10"),
        ({"high": 4_001.0}, "high 4001 is above half the rate, 4000 Hz"),
        ({"low": 4_000.0}, "low 4000 is not below the upper edge, 4000 Hz"),
    ],
)
def test_settings_that_do_not_fit(fields: dict[str, float], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        FilterBankSpec.model_validate(fields)


@given(length=some.integers(0, 4_000), cuts=some.lists(some.integers(0, 4_000), max_size=5))
@settings(max_examples=30)
@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
def test_the_whole_front_end_is_exact_in_pieces(rate: int, length: int, cuts: list[int]) -> None:
    import warnings

    statistics = FeatureStatistics(np.full(40, -5, np.float32), np.full(40, 3, np.float32), 1)
    samples = noise(length)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        outcomes = list[np.ndarray]()
        for pieces in (np.split(samples, sorted(min(cut, length) for cut in cuts)), [samples]):
            front = SoundFront(FilterBankSpec(), statistics)
            fed = [front.feed(piece, rate) for piece in pieces]
            outcomes.append(np.concatenate([*fed, front.finish()]))
    assert np.array_equal(outcomes[0], outcomes[1])
    assert len(outcomes[0]) == output_count(length, *SoundFront(FilterBankSpec()).stages(rate))
