"""Sound files as they really are: whole, truncated, empty, through a pipe, and no sound at all."""

import io
import struct
import warnings
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from typing_extensions import Buffer, override

from whyformer.data.audio.files import open_audio
from whyformer.data.audio.pcm import SampleCoding, read_wave_header
from whyformer.errors import DataError, WhyformerNote

soundfile = pytest.importorskip("soundfile")

RATE = 8_000
FORMATS = ["wav", "flac", "mp3", "ogg", "aiff", "au", "w64", "caf"]


def tone(seconds: float = 1.0) -> np.ndarray:
    times = np.arange(round(RATE * seconds)) / RATE
    return (0.3 * np.sin(2 * np.pi * 440 * times) * (times % 0.5 < 0.3)).astype(np.float32)


def read(path: Path | str, rate: int | None = None, stdin: BinaryIO | None = None) -> np.ndarray:
    source = open_audio(path, rate, stdin)
    blocks = list(source.blocks())
    return np.concatenate(blocks) if blocks else np.zeros((0, source.channels), np.float32)


@pytest.fixture
def made(tmp_path: Path):
    def make(name: str, samples: np.ndarray | None = None, **more: str) -> Path:
        path = tmp_path / name
        soundfile.write(path, tone() if samples is None else samples, RATE, **more)
        return path

    return make


def truncated(path: Path, share: float = 0.6) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


@pytest.mark.parametrize("ending", FORMATS)
def test_every_format_gives_what_the_library_decodes_in_one_go(made, ending: str) -> None:
    path = made(f"a.{ending}", np.tile(tone(), 4))
    expected, rate = soundfile.read(path, dtype="float32", always_2d=True)
    source = open_audio(path)
    assert (source.rate, source.channels, source.frames) == (rate, 1, len(expected))
    # The decoder of MP3 rounds the last bit in another way from one opening to the next.
    assert np.abs(read(path) - expected).max() <= (1e-6 if ending == "mp3" else 0)


def test_mp3_in_blocks_is_why_it_is_decoded_in_one_go(made) -> None:
    path = made("a.mp3", np.tile(tone(), 4))
    whole, _ = soundfile.read(path, dtype="float32")
    with soundfile.SoundFile(path) as file:
        blocks = np.concatenate([*file.blocks(800, dtype="float32")])
    assert np.abs(blocks[: len(whole)] - whole[: len(blocks)]).max() > 0.01


@pytest.mark.parametrize("ending", ["wav", "aiff", "au", "w64"])
def test_a_file_that_was_cut_off_gives_what_is_there_and_a_note(made, ending: str) -> None:
    path = truncated(made(f"a.{ending}"))
    with pytest.warns(WhyformerNote, match=r"truncated: [0-9,]+ bytes of it are missing; 4,[0-9]+ samples"):
        samples = read(path)
    assert np.allclose(samples[:, 0], tone()[: len(samples)], atol=1e-4)
    assert 4_000 < len(samples) < 5_000


@pytest.mark.parametrize("ending", ["flac", "mp3"])
def test_a_compressed_file_that_was_cut_off_gives_what_can_be_decoded(made, ending: str) -> None:
    path = truncated(made(f"a.{ending}", np.tile(tone(), 4)))
    with pytest.warns(WhyformerNote, match="truncated: it promises 32,000 samples a channel and"):
        samples = read(path)
    assert 8_000 < len(samples) < 32_000


def test_an_ogg_file_that_was_cut_off_says_that_nothing_came(made) -> None:
    noise = np.random.default_rng(0).uniform(-0.1, 0.1, 16_000)
    path = truncated(made("a.ogg", noise))
    with pytest.warns(WhyformerNote, match="no sample could be read from it; it is empty or damaged"):
        assert len(read(path)) == 0


def test_whole_files_are_read_without_a_note(made) -> None:
    paths = [made(f"a.{ending}") for ending in FORMATS]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for path in paths:
            assert len(read(path)) == RATE


@pytest.mark.parametrize("size", [0, 0xFFFF_FFFF])
def test_a_wav_file_written_through_a_pipe_has_its_samples(made, size: int) -> None:
    path = made("a.wav")
    data = bytearray(path.read_bytes())
    place = data.index(b"data") + 4
    data[place : place + 4] = struct.pack("<I", size)
    path.write_bytes(data)
    assert np.allclose(read(path)[:, 0], tone(), atol=1e-4)
    assert np.allclose(read("-", stdin=io.BytesIO(data))[:, 0], tone(), atol=1e-4)


def test_a_wav_file_without_samples_is_no_error(made) -> None:
    with pytest.warns(WhyformerNote, match="no sample could be read"):
        assert read(made("a.wav", np.zeros(0, np.float32))).shape == (0, 1)


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_wav_from_a_pipe_is_decoded_as_by_the_library(made, subtype: str, channels: int) -> None:
    samples = np.random.default_rng(0).uniform(-1, 1, (500, channels))
    path = made("a.wav", samples, subtype=subtype, format="WAVEX" if channels == 3 else "WAV")
    expected, _ = soundfile.read(path, dtype="float32", always_2d=True)
    assert np.array_equal(read("-", stdin=io.BytesIO(path.read_bytes())), expected)


class Dribble(io.RawIOBase):
    """A pipe whose bytes come in pieces of drawn sizes."""

    def __init__(self, data: bytes, sizes: list[int]) -> None:
        self._data, self._sizes = data, sizes

    @override
    def readable(self) -> bool:
        return True

    @override
    def readinto(self, buffer: Buffer) -> int:
        view = memoryview(buffer)
        size = min(self._sizes.pop() if self._sizes else len(self._data), len(view))
        piece, self._data = self._data[:size], self._data[size:]
        view[: len(piece)] = piece
        return len(piece)


@given(
    samples=some.lists(some.integers(-32_768, 32_767), max_size=300),
    sizes=some.lists(some.integers(1, 50), max_size=30),
)
@settings(max_examples=60)
def test_raw_samples_from_a_pipe_survive_any_pieces(samples: list[int], sizes: list[int]) -> None:
    data = np.asarray(samples, "<i2").tobytes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = read("-", RATE, cast(BinaryIO, io.BufferedReader(Dribble(data, sizes))))
    assert np.array_equal(found[:, 0] * 32_768, np.asarray(samples))


def test_half_a_sample_at_the_end_is_told() -> None:
    with pytest.warns(WhyformerNote, match="standard input: ends in the middle of a sample"):
        assert len(read("-", RATE, io.BytesIO(bytes(101)))) == 50


def test_a_wav_that_stops_in_the_pipe_is_told(made) -> None:
    data = made("a.wav").read_bytes()[:1_000]
    with pytest.warns(WhyformerNote, match="truncated: it promises 8,000 samples a channel and 478"):
        assert len(read("-", stdin=io.BytesIO(data))) == 478


def test_raw_files_need_a_rate(tmp_path: Path) -> None:
    path = tmp_path / "a.raw"
    path.write_bytes(bytes(200))
    assert read(path, RATE).shape == (100, 1)
    with pytest.raises(DataError, match="raw samples do not tell their rate; give it with --rate"):
        open_audio(path)


def test_names_that_are_no_sound(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("This is no sound.\n" * 100)
    (tmp_path / "empty.wav").touch()
    for name, complaint in [
        ("text.wav", r"text\.wav: no sound file that can be read \(Format not recognised\)"),
        ("empty.wav", r"empty\.wav: no sound file that can be read"),
        ("nowhere.wav", r"nowhere\.wav: no such file"),
        (".", "is a folder; name a sound file in it"),
    ]:
        with pytest.raises(DataError, match=complaint):
            open_audio(tmp_path / name)


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "standard input: no WAV file; for raw 16-bit samples give their rate with --rate"),
        (b"fLaC" + bytes(50), "standard input: no WAV file"),
        (b"RIFF\x00\x00\x00\x00AVI " + bytes(50), "begins like a WAV file and is none"),
        (b"RIFF\x00\x00\x00\x00WAVE", "ends before its first sample"),
        (
            b"RIFF\x00\x00\x00\x00WAVEfmt \x10\x00\x00\x00" + struct.pack("<HHIIHH", 7, 1, 8000, 8000, 1, 8),
            "ends before|WAV samples of 8 bits in coding 7 cannot be read from a pipe",
        ),
    ],
)
def test_a_pipe_that_brings_no_sound(data: bytes, complaint: str) -> None:
    with pytest.raises(DataError, match=complaint):
        open_audio("-", stdin=io.BytesIO(data))


def test_a_broken_header_of_any_bytes_is_one_sentence() -> None:
    generator = np.random.default_rng(0)
    for _ in range(300):
        data = b"\0\0\0\0WAVEfmt \x10\0\0\0" + generator.bytes(30)
        with pytest.raises(DataError):
            read_wave_header(io.BytesIO(data), "a.wav")


def test_16_bits_go_to_floats_and_back_exactly() -> None:
    every = np.arange(-32_768, 32_768, dtype="<i2")
    floats = SampleCoding(RATE).decoded(every.tobytes())[:, 0]
    assert np.array_equal(floats * 32_768, every)


def test_writing_16_bits_turns_small_negatives_into_minus_one(tmp_path: Path) -> None:
    # libsndfile rounds down, so a silence with noise of less than a bit is no silence when it is read.
    path = tmp_path / "a.wav"
    soundfile.write(path, np.asarray([-1e-6, 1e-6], np.float32), RATE)
    assert read(path)[:, 0].tolist() == [-1 / 32_768, 0.0]
