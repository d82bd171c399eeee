"""Each change does what it says, keeps what it must, and is decided by the generator alone."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from pydantic import ValidationError

from whyformer.data.audio.augmentation import (
    AugmentationSpec,
    GainSpec,
    NoiseSpec,
    SoundChanges,
    SpecAugmentSpec,
    SpeedSpec,
    ToneControlSpec,
    VocalTractSpec,
    band_centres,
    change_speed,
    coloured_noise,
)
from whyformer.data.audio.features import FilterBankSpec

pytest.importorskip("soxr")
pytest.importorskip("kaldi_native_fbank")

RATE = 8_000
BANK = FilterBankSpec()
seeds = some.integers(0, 10_000)


def tone(frequency: float, seconds: float = 1.0) -> np.ndarray:
    times = np.arange(round(RATE * seconds)) / RATE
    return (0.3 * np.sin(2 * np.pi * frequency * times)).astype(np.float32)


def pitch(samples: np.ndarray) -> float:
    return float(np.abs(np.fft.rfft(samples)).argmax() * RATE / len(samples))


@given(factor=some.floats(0.8, 1.25))
def test_speed_changes_length_and_pitch_alike(factor: float) -> None:
    faster = change_speed(tone(500), factor, RATE)
    assert len(faster) == pytest.approx(RATE / factor, abs=2)
    assert pitch(faster) == pytest.approx(500 * factor, rel=0.01)


def test_speed_one_is_the_same_sound() -> None:
    samples = tone(500)
    assert change_speed(samples, 1.0, RATE) is samples


@given(seed=seeds)
def test_speeds_are_in_range_and_some_are_one(seed: int) -> None:
    generator = np.random.default_rng(seed)
    factors = [SpeedSpec(slowest=0.9, fastest=1.1, probability=0.5).draw(generator) for _ in range(50)]
    assert all(0.9 <= factor <= 1.1 for factor in factors)
    assert 0 < factors.count(1.0) < 50


@given(seed=seeds, amplitude=some.floats(0.001, 0.99))
def test_gain_is_one_factor_and_never_clips(seed: int, amplitude: float) -> None:
    samples = tone(500) * np.float32(amplitude / 0.3)
    louder = GainSpec(softest_db=-20, loudest_db=40).apply(samples, np.random.default_rng(seed))
    factors = louder[np.abs(samples) > 1e-4] / samples[np.abs(samples) > 1e-4]
    assert np.allclose(factors, factors[0], rtol=1e-5)
    assert np.abs(louder).max() <= 1 + 1e-6
    assert 0.1 - 1e-6 <= factors[0] <= 100


@given(seed=seeds, ratio=some.floats(0, 40))
@settings(max_examples=25)
def test_noise_has_the_ratio_that_was_asked_for(seed: int, ratio: float) -> None:
    samples = tone(500, 4.0)
    spec = NoiseSpec(probability=1, lowest_db=ratio, highest_db=ratio, colours=("white",))
    noise = spec.apply(samples, RATE, np.random.default_rng(seed)) - samples
    found = 10 * np.log10(np.mean(samples**2) / np.mean(noise**2))
    assert found == pytest.approx(ratio, abs=0.5)


@pytest.mark.parametrize(("colour", "slope"), [("white", 0), ("pink", -1), ("brown", -2)])
def test_noise_has_its_colour(colour: str, slope: float) -> None:
    noise = coloured_noise(colour, 30 * RATE)
    assert np.mean(noise**2) == pytest.approx(1, rel=1e-3)
    energy = np.abs(np.fft.rfft(noise)) ** 2
    frequencies = np.fft.rfftfreq(len(noise), 1 / RATE)
    octaves = [250, 500, 1_000, 2_000, 4_000]
    levels = [
        np.log2(energy[(frequencies >= low) & (frequencies < high)].mean()) for low, high in pairwise(octaves)
    ]
    assert np.allclose(np.diff(levels), slope, atol=0.15)


def test_no_noise_where_there_is_no_sound() -> None:
    generator = np.random.default_rng(0)
    assert len(NoiseSpec(probability=1).apply(np.zeros(0, np.float32), RATE, generator)) == 0


@given(factor=some.floats(0.85, 1.15), frequency=some.floats(400, 2_200))
def test_the_vocal_tract_moves_frequencies_by_its_factor(factor: float, frequency: float) -> None:
    warped = BANK.extract(tone(frequency)) @ VocalTractSpec().weights(factor, BANK)
    centres = band_centres(BANK)
    loudest = centres[warped.mean(axis=0).argmax()]
    width = np.diff(centres)[warped.mean(axis=0).argmax() - 1]
    assert loudest == pytest.approx(frequency / factor, abs=1.6 * float(width))


@given(factor=some.floats(0.5, 2.0), knee=some.floats(0.2, 0.95))
def test_a_warp_mixes_neighbours_and_keeps_what_is_flat(factor: float, knee: float) -> None:
    weights = VocalTractSpec(knee=knee).weights(factor, BANK)
    assert np.allclose(weights.sum(axis=0), 1, atol=1e-5)
    assert (weights >= 0).all()
    assert ((weights > 0).sum(axis=0) <= 2).all()
    order = weights.T @ np.arange(BANK.bins)
    assert (np.diff(order) >= -1e-4).all()


def test_a_warp_by_one_changes_nothing() -> None:
    assert np.allclose(VocalTractSpec().weights(1.0, BANK), np.eye(BANK.bins), atol=1e-4)


@given(seed=seeds)
def test_tone_control_is_the_same_gain_throughout(seed: int) -> None:
    features = BANK.extract(tone(800) + 0.05 * np.random.default_rng(1).standard_normal(RATE, np.float32))
    spec = ToneControlSpec(probability=1, narrowing=0)
    change = spec.apply(features, np.random.default_rng(seed)) - features
    assert np.allclose(change, change[0], atol=1e-4)
    assert np.abs(change).max() <= 6 * np.log(10) / 10 + 1e-4


def test_a_narrow_band_takes_the_ends_away_and_stays_above_the_floor() -> None:
    features = np.zeros((10, 40), np.float32)
    spec = ToneControlSpec(probability=1, bumps_db=0, narrowing=0.4)
    for seed in range(20):
        changed = spec.apply(features, np.random.default_rng(seed))
        assert (changed[:, 17:23] == 0).all()
        assert changed.min() >= np.log(np.finfo(np.float32).eps) - 1e-4


@given(seed=seeds, frames=some.integers(0, 60))
def test_masks_are_no_wider_than_they_may_be_and_zero(seed: int, frames: int) -> None:
    features = np.random.default_rng(1).uniform(1, 2, (frames, 40)).astype(np.float32)
    kept = features.copy()
    spec = SpecAugmentSpec(frequency_masks=2, widest=5, time_masks=3, longest=7)
    masked = spec.apply(features, np.random.default_rng(seed))
    assert np.array_equal(features, kept)
    gone = masked == 0
    assert np.array_equal(masked[~gone], features[~gone])
    if frames > 21:
        assert gone.all(axis=0).sum() <= 10
        assert gone.all(axis=1).sum() <= 21
    lines = gone.all(axis=0)[None, :] | gone.all(axis=1)[:, None]
    assert np.array_equal(gone, lines & (frames > 0))


@given(seed=seeds)
@settings(max_examples=10)
def test_the_generator_alone_decides(seed: int) -> None:
    spec = AugmentationSpec()
    outcomes = list[np.ndarray]()
    for _ in range(2):
        generator = np.random.default_rng(seed)
        changes = SoundChanges(spec, RATE)
        samples = change_speed(tone(600), changes.speed_of(generator), RATE)
        features = BANK.extract(changes.changed(samples, generator))
        outcomes.append(spec.masked(spec.features_changed(features, BANK, generator), generator))
    assert np.array_equal(outcomes[0], outcomes[1])


def test_what_is_null_is_not_done() -> None:
    nothing = AugmentationSpec(speed=None, gain=None, noise=None, vocal_tract=None, tone=None, masks=None)
    generator, samples = np.random.default_rng(0), tone(600)
    features = BANK.extract(samples)
    changes = SoundChanges(nothing, RATE)
    assert changes.speed_of(generator) == 1.0
    assert changes.changed(samples, generator) is samples
    assert nothing.masked(nothing.features_changed(features, BANK, generator), generator) is features


def test_ratios_in_the_wrong_order_are_refused() -> None:
    with pytest.raises(ValidationError, match="lowest_db 20 is above highest_db 10; exchange them"):
        NoiseSpec(lowest_db=20, highest_db=10)
