"""The front end takes any sound, says what it did, refuses what is none, and goes on."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from hypothesis.extra.numpy import arrays

from whyformer.data.audio.features import FilterBankSpec
from whyformer.data.audio.front import SoundFront
from whyformer.data.audio.resampling import resampled
from whyformer.data.audio.statistics import FeatureStatistics
from whyformer.errors import DataError, WhyformerNote

pytest.importorskip("kaldi_native_fbank")
pytest.importorskip("soxr")

RATE = 8_000
SPEC = FilterBankSpec()


def noise(length: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, length).astype(np.float32)


def heard(*pieces: np.ndarray, rate: int = RATE) -> np.ndarray:
    front = SoundFront(SPEC)
    return np.concatenate([*(front.feed(piece, rate) for piece in pieces), front.finish()])


def notes_of(*pieces: np.ndarray, rates: tuple[int, ...] = (RATE,)) -> list[str]:
    front = SoundFront(SPEC, name="a.wav")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for piece, rate in zip(pieces, rates * len(pieces), strict=False):
            front.feed(piece, rate)
        front.finish()
    return [str(each.message) for each in caught]


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.float64, np.float32])
def test_integers_and_floats_are_the_same_sound(dtype: type) -> None:
    samples = np.round(noise(2_000) * 32_767) / 32_768
    scale = {np.int16: 2**15, np.int32: 2**31}.get(dtype, 1)
    assert np.array_equal(heard((samples * scale).astype(dtype)), heard(samples.astype(np.float32)))


def test_unsigned_bytes_are_around_128() -> None:
    quiet = np.full(2_000, 128, np.uint8)
    assert np.array_equal(heard(quiet), heard(np.zeros(2_000, np.float32)))


def test_stereo_is_mixed_and_said_once() -> None:
    left, right = noise(2_000, 1), noise(2_000, 2)
    both = np.stack([left, right], axis=1)
    assert notes_of(both, both, both) == ["a.wav: 2 channels, mixed into one."]
    with pytest.warns(WhyformerNote, match="2 channels"):
        assert np.array_equal(heard(both), heard((left + right) / 2))
    with pytest.warns(WhyformerNote, match="2 channels"):
        assert np.array_equal(heard(*np.split(both, [1, 7, 900])), heard((left + right) / 2))


def test_another_rate_is_resampled_and_said_once() -> None:
    samples = noise(4_000)
    assert notes_of(samples, samples, rates=(16_000,)) == ["a.wav: resampled from 16000 to 8000 Hz."]
    with pytest.warns(WhyformerNote, match="resampled"):
        assert np.array_equal(heard(samples, rate=16_000), SPEC.extract(resampled(samples, 16_000, 8_000)))


def test_a_rate_may_change_on_the_way() -> None:
    first, second, third = noise(4_000, 1), noise(3_001, 2), noise(1_999, 3)
    front = SoundFront(SPEC, name="a.wav")
    with pytest.warns(WhyformerNote) as caught:
        features = [front.feed(first, 16_000), front.feed(second, 11_025), front.feed(third, 8_000)]
    features.append(front.finish())
    joined = [resampled(first, 16_000, 8_000), resampled(second, 11_025, 8_000), third]
    assert np.array_equal(np.concatenate(features), SPEC.extract(np.concatenate(joined)))
    assert [str(each.message) for each in caught] == [
        "a.wav: resampled from 16000 to 8000 Hz.",
        "a.wav: the rate changes from 16000 to 11025 Hz on the way; both are kept.",
        "a.wav: resampled from 11025 to 8000 Hz.",
        "a.wav: the rate changes from 11025 to 8000 Hz on the way; both are kept.",
    ]
    assert front.seconds == pytest.approx(4_000 / 16_000 + 3_001 / 11_025 + 1_999 / 8_000)


@given(
    bad=some.sampled_from([np.nan, np.inf, -np.inf]),
    place=some.integers(0, 99),
    cut=some.integers(0, 2_000),
)
def test_samples_that_are_no_numbers_are_refused_and_the_stream_goes_on(
    bad: float, place: int, cut: int
) -> None:
    samples, broken = noise(2_000), noise(100)
    broken[place] = bad
    front = SoundFront(SPEC)
    before = front.feed(samples[:cut], RATE)
    with pytest.raises(DataError, match=r"the sound: 1 of 100 samples are no finite numbers; these"):
        front.feed(broken, RATE)
    after = front.feed(samples[cut:], RATE)
    assert np.array_equal(np.concatenate([before, after, front.finish()]), SPEC.extract(samples))


@pytest.mark.parametrize(
    ("sound", "rate", "complaint"),
    [
        (noise(10), 0, "a sampling rate of 0 Hz"),
        (np.zeros((2, 8_000), np.float32), RATE, r"samples of shape \(2, 8000\); give"),
        (np.zeros((1, 2, 3), np.float32), RATE, r"samples of shape \(1, 2, 3\)"),
        (np.zeros((5, 0), np.float32), RATE, r"samples of shape \(5, 0\)"),
        (np.zeros(3, np.complex64), RATE, "samples of type complex64; give floats"),
        (np.zeros(3, bool), RATE, "samples of type bool"),
        (np.full(3, 12_000.0), RATE, "samples reach 12,000, but the loudest number is 1"),
        (np.full(3, 1e300), RATE, "3 of 3 samples are no finite numbers"),
    ],
)
def test_refused_sound_leaves_the_stream_as_it_was(sound: np.ndarray, rate: int, complaint: str) -> None:
    front, samples = SoundFront(SPEC), noise(1_000)
    first = front.feed(samples[:333], RATE)
    with pytest.raises(DataError, match=complaint):
        front.feed(sound, rate)
    rest = front.feed(samples[333:], RATE)
    assert np.array_equal(np.concatenate([first, rest, front.finish()]), SPEC.extract(samples))


@given(sound=arrays(np.float32, some.integers(0, 600), elements=some.floats(-1, 1, width=32)))
def test_any_sound_has_finite_features(sound: np.ndarray) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert np.isfinite(heard(sound)).all()


def test_no_sound_at_all() -> None:
    assert heard().shape == (0, 40)
    assert heard(np.zeros(0, np.float32), np.zeros(0, np.float32)).shape == (0, 40)
    with pytest.warns(WhyformerNote, match="resampled"):
        assert heard(np.zeros(0, np.float32), rate=44_100).shape == (0, 40)


def test_clipping_is_said_once_wherever_the_pieces_are_cut() -> None:
    loud = np.clip(8 * noise(4_000), -1, 1)
    clipped = ["a.wav: samples are cut off at full scale (clipping); record it less loud."]
    assert notes_of(loud) == clipped
    assert notes_of(*np.split(loud, 4_000)) == clipped
    assert notes_of(loud, loud, loud) == clipped
    assert notes_of(noise(4_000)) == []
    # One sample, or two, may touch full scale in a recording that was set as loud as can be.
    touching = noise(100)
    touching[[10, 11, 50]] = 1.0
    assert notes_of(touching) == []
    assert notes_of(*np.split(touching, 100)) == []


def test_statistics_normalise_what_they_were_estimated_on() -> None:
    utterances = [SPEC.extract(noise(length, length)) for length in (900, 2_000, 5_000)]
    statistics = FeatureStatistics.estimate(utterances)
    normalised = statistics.normalised(np.concatenate(utterances))
    assert np.allclose(normalised.mean(axis=0), 0, atol=1e-4)
    assert np.allclose(normalised.std(axis=0), 1, atol=1e-3)
    assert statistics.frames == len(normalised)
    assert statistics.description == f"mean and deviation of 40 features over {len(normalised):,} frames"


def test_statistics_are_kept_bit_for_bit(tmp_path: Path) -> None:
    statistics = FeatureStatistics.estimate([SPEC.extract(noise(3_000))])
    statistics.save(tmp_path)
    again = FeatureStatistics.load(tmp_path)
    assert np.array_equal(again.mean, statistics.mean)
    assert np.array_equal(again.deviation, statistics.deviation)
    assert (again.frames, again.fingerprint) == (statistics.frames, statistics.fingerprint)
    other = FeatureStatistics.estimate([SPEC.extract(noise(3_000, 1))])
    assert other.fingerprint != statistics.fingerprint


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        "null",
        '{"mean": [1], "deviation": [1, 2], "frames": 3}',
        '{"mean": [1], "deviation": [0], "frames": 3}',
        '{"mean": [NaN], "deviation": [1], "frames": 3}',
        '{"mean": ["a"], "deviation": [1], "frames": 3}',
        '{"mean": [], "deviation": [], "frames": 3}',
        '{"mean": [1], "deviation": [1], "frames": null}',
        "\xff",
    ],
)
def test_damaged_statistics_are_one_sentence(tmp_path: Path, content: str) -> None:
    (tmp_path / "features.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(DataError, match=r"features\.json: damaged, as it holds no feature statistics"):
        FeatureStatistics.load(tmp_path)


def test_missing_statistics_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"features\.json: no such file; it belongs to the run"):
        FeatureStatistics.load(tmp_path)
    with pytest.raises(DataError, match="no sound, so no feature statistics"):
        FeatureStatistics.estimate([])


def test_statistics_of_other_features_are_refused() -> None:
    statistics = FeatureStatistics(np.zeros(23, np.float32), np.ones(23, np.float32), 1)
    with pytest.raises(DataError, match="the feature statistics are of 23 bins, the features have 40"):
        SoundFront(SPEC, statistics)


def test_a_missing_library_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "kaldi_native_fbank", None)
    with pytest.raises(DataError, match=r"install it with `pip install 'whyformer\[audio\]'`"):
        SPEC.open()
