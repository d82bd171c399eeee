"""Strings of words have the words they say, at the times they say."""

import io
import os
import tarfile
import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from pydantic import ValidationError

from whyformer.data.audio.augmentation import AugmentationSpec, SoundChanges, SpeedSpec
from whyformer.data.audio.spoken.clips import Clip, RecordingsSpec, read_clips, words_of
from whyformer.data.audio.spoken.strings import SpokenStrings, StringSpec, joined
from whyformer.data.audio.spoken.tones import ToneSpec
from whyformer.errors import DataError

pytest.importorskip("soundfile")
pytest.importorskip("soxr")
pytest.importorskip("kaldi_native_fbank")

RATE = 8_000
SHARED = os.environ.get("WHYFORMER_SHARED")
DIGITS = Path(SHARED or ".") / "data" / "fsdd"
needs_digits = pytest.mark.skipif(
    SHARED is None or not DIGITS.is_dir(), reason="the spoken digits are not here (WHYFORMER_SHARED)"
)
TONES = ToneSpec(words=5, voices=3, takes=4).load(RATE)
seeds = some.integers(0, 1_000)


def marked_clips() -> list[Clip]:
    """Clips whose samples tell which clip they are: all samples of clip i are (i + 1) / 100."""
    return [
        Clip(np.full(400 + 40 * i, (i + 1) / 100, np.float32), RATE, str(i % 5), f"s{i // 5}", 0)
        for i in range(10)
    ]


@given(
    lengths=some.lists(some.integers(1, 50), min_size=1, max_size=6),
    pauses=some.data(),
    fade=some.integers(0, 20),
)
def test_joined_sounds_lie_where_it_is_said(lengths: list[int], pauses: some.DataObject, fade: int) -> None:
    gaps = pauses.draw(some.lists(some.integers(0, 30), min_size=len(lengths) + 1, max_size=len(lengths) + 1))
    sounds = [np.full(length, index + 1, np.float32) for index, length in enumerate(lengths)]
    samples, starts, ends = joined(sounds, gaps)
    assert len(samples) == sum(lengths) + sum(gaps)
    rest = samples.copy()
    for index, (start, end) in enumerate(zip(starts, ends, strict=True)):
        assert end - start == lengths[index]
        assert (samples[start:end] == index + 1).all()
        rest[start:end] = 0
    assert not rest.any()
    assert [start - end for start, end in zip([*starts, len(samples)], [0, *ends], strict=True)] == gaps
    faded, *times = joined(sounds, gaps, fade)
    assert times == [starts, ends]
    assert (faded <= samples + 1e-6).all()


@given(seed=seeds, epoch=some.integers(0, 50), index=some.integers(0, 10_000))
@settings(max_examples=30)
def test_a_string_is_a_pure_function_of_seed_epoch_and_index(seed: int, epoch: int, index: int) -> None:
    made = [
        SpokenStrings(TONES.train, StringSpec(), seed, SoundChanges(AugmentationSpec(), RATE))
        for _ in range(2)
    ]
    made[1].at(epoch + 1, index + 1)  # whatever was made before
    first, second = (strings.at(epoch, index) for strings in made)
    assert np.array_equal(first.samples, second.samples)
    assert (first.words, first.starts, first.ends) == (second.words, second.starts, second.ends)
    assert not np.array_equal(made[0].at(epoch, index + 1).samples, first.samples)
    assert not np.array_equal(made[0].at(epoch + 1, index).samples, first.samples)


@given(seed=seeds)
def test_words_are_of_one_speaker_and_where_they_should_be(seed: int) -> None:
    spec = StringSpec(shortest=2, longest=5, pause_ms=(10, 200), hush_db=(-90, -80))
    clips = {(clip.speaker, clip.label): clip for clip in marked_clips()}
    string = SpokenStrings(marked_clips(), spec, seed).at(0, 0)
    assert 2 <= len(string.words) <= 5
    gaps = np.diff(np.stack([[0, *string.ends], [*string.starts, len(string.samples)]]), axis=0)[0]
    assert (gaps >= 80).all()
    assert (gaps <= 1_600).all()
    for word, start, end in zip(string.words, string.starts, string.ends, strict=True):
        clip = clips[string.speaker, word]
        assert end - start == len(clip.samples)
        inside = string.samples[start + 40 : end - 40]
        assert np.allclose(inside, clip.samples[0], atol=2e-3)
        assert np.abs(string.samples[end : end + 80]).max() < 2e-3


@pytest.mark.parametrize("speed", [0.8, 0.9, 1.1, 1.25])
def test_times_stay_true_when_the_speed_changes(speed: float) -> None:
    # All of the energy lies between the starts and the ends, at any speed.
    changes = AugmentationSpec(
        speed=SpeedSpec(slowest=min(speed, 1), fastest=max(speed, 1), probability=1), noise=None, gain=None
    )
    spec = StringSpec(pause_ms=(100, 300), hush_db=(-90, -90))
    strings = SpokenStrings(TONES.train, spec, 1, SoundChanges(changes, RATE))
    for index in range(20):
        string = strings.at(0, index)
        rest = string.samples.copy()
        for start, end in zip(string.starts, string.ends, strict=True):
            assert np.sqrt(np.mean(string.samples[start:end] ** 2)) > 0.05
            # The word itself, without its soft edges, fills its place.
            assert np.abs(string.samples[end - 160 : end - 80]).max() > 0.02
            rest[start:end] = 0
        assert np.abs(rest).max() < 1e-3


def test_words_speakers_and_lengths_come_about_evenly() -> None:
    uneven = [*TONES.train, *[clip for clip in TONES.train if clip.speaker == "voice0"] * 5]
    strings = [SpokenStrings(uneven, StringSpec(), 3).at(0, index) for index in range(300)]
    counts = [sum(string.speaker == f"voice{voice}" for string in strings) for voice in range(2)]
    assert min(counts) > 100
    lengths = [sum(len(string.words) == count for string in strings) for count in range(3, 8)]
    assert min(lengths) > 30
    words = [word for string in strings for word in string.words]
    assert min(words.count(label) for label in words_of(TONES.train)) > len(words) / 5 * 0.8


def test_clips_of_several_rates_or_none_are_refused() -> None:
    clips = marked_clips()
    with pytest.raises(DataError, match="strings need clips of one rate, and these have 2"):
        SpokenStrings([clips[0], clips[1].at_rate(16_000)], StringSpec(), 1)
    with pytest.raises(DataError, match="and these have 0"):
        SpokenStrings([], StringSpec(), 1)


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"shortest": 5, "longest": 4}, "shortest is 5 but longest is 4; exchange them"),
        ({"pause_ms": (5, 4)}, "pause_ms is from 5 to 4"),
        ({"pause_ms": (-1, 4)}, "pause_ms is from -1 to 4"),
        ({"hush_db": (-1, 4)}, "hush_db is from -1 to 4"),
    ],
)
def test_settings_of_strings_that_do_not_fit(fields: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        StringSpec.model_validate(fields)


def test_tones_are_the_same_each_time_and_differ_by_word_voice_and_take() -> None:
    again = ToneSpec(words=5, voices=3, takes=4).load(RATE)
    for first, second in zip(TONES, again, strict=True):
        assert all(np.array_equal(a.samples, b.samples) for a, b in zip(first, second, strict=True))
    assert (
        {clip.speaker for clip in TONES.train}
        == {clip.speaker for clip in TONES.valid}
        == {"voice0", "voice1"}
    )
    assert {clip.speaker for clip in TONES.test} == {"voice2"}
    assert len(words_of(TONES.train)) == 5
    sounds = {clip.samples.tobytes() for clips in TONES for clip in clips}
    assert len(sounds) == sum(map(len, TONES)) == 3 * 5 * 4
    assert all(0.05 < np.abs(clip.samples).max() < 1 for clip in TONES.train)


@pytest.mark.parametrize("words", [2, 8, 12])
def test_no_two_words_of_tones_are_alike(words: int) -> None:
    from whyformer.data.audio.spoken.tones import _pattern

    patterns = [_pattern(word) for word in range(words)]
    assert len(set(patterns)) == words
    assert all(first != second != third for first, second, third in patterns)


def wav(samples: np.ndarray, rate: int = RATE) -> bytes:
    data = io.BytesIO()
    with wave.open(data, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((samples * 32_767).astype("<i2").tobytes())
    return data.getvalue()


def recordings(folder: Path, rate: int = RATE) -> RecordingsSpec:
    """Three words by two speakers and one unheard, half of them in an archive."""
    folder.mkdir()
    with tarfile.open(folder / "more.tar.gz", "w:gz") as tar:
        for speaker in ("ann", "bob", "cid"):
            for word in ("0", "1", "yes"):
                for index in range(4):
                    data = wav(np.full(rate // 10, 0.1 * (index + 1)), rate)
                    name = f"{word}_{speaker}_{index}.wav"
                    if index % 2:
                        (folder / name).write_bytes(data)
                    else:
                        member = tarfile.TarInfo(f"inside/{name}")
                        member.size = len(data)
                        tar.addfile(member, io.BytesIO(data))
    return RecordingsSpec(folder=folder, unheard=("cid",), held_out=1)


def test_recordings_are_split_by_speaker_and_index(tmp_path: Path) -> None:
    sets = recordings(tmp_path / "words").load(RATE)
    assert [len(clips) for clips in sets] == [18, 6, 12]
    assert {clip.speaker for clip in sets.test} == {"cid"}
    assert {clip.index for clip in sets.valid} == {0}
    assert {clip.index for clip in sets.train} == {1, 2, 3}
    assert words_of(sets.train) == ("0", "1", "yes")
    for clip in sets.train:
        assert np.allclose(clip.samples, 0.1 * (clip.index + 1), atol=1e-3)


def test_recordings_are_resampled(tmp_path: Path) -> None:
    sets = recordings(tmp_path / "words", rate=16_000).load(RATE)
    assert {clip.rate for clip in sets.train} == {RATE}
    assert {len(clip.samples) for clip in sets.train} == {800}


def test_recordings_that_cannot_be_used(tmp_path: Path) -> None:
    spec = recordings(tmp_path / "words")
    with pytest.raises(DataError, match=r"no recording is left for test; its speakers are ann, bob, cid, of"):
        spec.model_copy(update={"unheard": ("dan",)}).load(RATE)
    with pytest.raises(DataError, match="no recording is left for train"):
        spec.model_copy(update={"held_out": 9}).load(RATE)
    with pytest.raises(DataError, match="no such folder; it should hold recordings"):
        read_clips(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="has no recordings; put files named"):
        read_clips(tmp_path / "empty")
    for name, data, complaint in [
        ("hello.wav", wav(np.ones(9)), r"hello\.wav: its name is not of the form WORD_SPEAKER_INDEX\.wav"),
        ("0_ann_0.wav", b"no sound", r"0_ann_0\.wav: a damaged recording"),
        ("0_ann_0.wav", wav(np.zeros(0)), r"0_ann_0\.wav: a recording without samples; remove it"),
        ("a.tar.gz", b"no archive", r"a\.tar\.gz: a damaged archive"),
    ]:
        folder = tmp_path / f"bad-{name}-{len(data)}"
        folder.mkdir()
        (folder / name).write_bytes(data)
        with pytest.raises(DataError, match=complaint):
            read_clips(folder)


@needs_digits
def test_the_spoken_digits_have_their_documented_split() -> None:
    sets = RecordingsSpec(folder=DIGITS).load(RATE)
    assert [len(clips) for clips in sets] == [1_350, 150, 500]
    assert {clip.speaker for clip in sets.test} == {"yweweler"}
    assert {clip.speaker for clip in sets.train} == {"george", "jackson", "nicolas"}
    assert words_of(sets.train) == tuple("0123456789")
    seconds = sum(len(clip.samples) for clips in sets for clip in clips) / RATE
    assert seconds == pytest.approx(220.9 + 258.2 + 174.6 + 177.1, abs=0.3)
    string = SpokenStrings(sets.test, StringSpec(), 1).at(0, 0)
    assert string.speaker == "yweweler"
    assert 3 <= len(string.words) <= 7
