"""Sound files in any format that libsndfile reads, and sound from standard input."""

import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from whyformer.data.audio.libraries import audio_library
from whyformer.data.audio.pcm import (
    SampleCoding,
    note_truncated,
    read_frames,
    read_wave_header,
)
from whyformer.data.audio.resampling import Samples, refuse_odd_rate
from whyformer.errors import DataError, WhyformerNote

STANDARD_INPUT = "-"

_RAW = (".raw", ".pcm", ".s16")


@dataclass(frozen=True)
class AudioSource:
    """Sound that is ready to be read, once."""

    name: str
    """Name of the file in notes and errors."""
    rate: int
    """Samples per second."""
    channels: int
    """Number of channels."""
    frames: int | None
    """Samples of a channel that the file promises; None if it does not say."""
    read: Callable[[], Iterator[Samples]]
    """Function that reads the blocks (n, channels) in [-1, 1]; tells by a note where the file lied."""
    missing: int = 0
    """Bytes that the file promises beyond its end, where its ``frames`` are only those that are there."""

    def blocks(self) -> Iterator[Samples]:
        """Read the sound from its beginning in blocks (n, channels) of float32 in [-1, 1].

        A file that is truncated gives what can be decoded, and a note.
        """
        count = 0
        for block in self.read():
            count += len(block)
            yield block
        if not count:
            _note(f"{self.name}: no sample could be read from it; it is empty or damaged.")


def open_audio(path: str | Path, rate: int | None = None, stdin: BinaryIO | None = None) -> AudioSource:
    """Open a sound file, or standard input under the name ``-``.

    Standard input is a WAV file, even one without a size, or raw samples: 16 bits, least significant byte
    first, one channel, at ``rate``. So are files whose names end in ``.raw``, ``.pcm`` or ``.s16``.

    Args:
        path: The file, or ``-``.
        rate: Samples per second of raw samples; other files say it themselves.
        stdin: The stream behind ``-``; the process's own if None.

    Raises:
        DataError: there is no such file, it is no sound, or the rate of raw samples is missing.
    """
    if rate is not None:
        refuse_odd_rate(rate)
    if str(path) == STANDARD_INPUT:
        return _piped(stdin or sys.stdin.buffer, "standard input", rate)
    path = Path(path)
    try:
        with path.open("rb") as file:
            start = file.read(64)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file.") from None
    except IsADirectoryError:
        raise DataError(f"{path}: is a folder; name a sound file in it.") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from error
    if path.suffix.lower() in _RAW:
        return _raw_file(path, rate)
    return _sound_file(path, start)


def _sound_file(path: Path, start: bytes) -> AudioSource:
    """A file that libsndfile decodes."""
    soundfile = audio_library("soundfile")
    try:
        with soundfile.SoundFile(path) as file:
            frames, rate, channels, form = int(file.frames), file.samplerate, file.channels, file.format
    except (soundfile.LibsndfileError, TypeError) as error:
        raise DataError(
            f"{path}: no sound file that can be read ({_reason(error)}); give WAV, FLAC, MP3 or Ogg."
        ) from None
    if not frames and form in ("WAV", "WAVEX"):
        # Written through a pipe, a WAV file says that it has no samples; they follow nevertheless.
        file = path.open("rb")
        file.seek(4)
        return _wave(file, str(path), close=True)
    missing = _missing_bytes(start, path.stat().st_size)
    return AudioSource(
        str(path), rate, channels, frames, lambda: _decoded(path, form, frames, missing), missing
    )


def _decoded(path: Path, form: str, frames: int, missing: int) -> Iterator[Samples]:
    """The blocks of a file, and a note if they are fewer samples than it promises."""
    soundfile = audio_library("soundfile")
    count = 0
    with soundfile.SoundFile(path) as file:
        # Read in pieces, MP3 loses samples; so it is decoded in one go.
        size = -1 if form in ("MP3", "MPEG") else max(1, file.samplerate // 10)
        try:
            while len(block := file.read(size, dtype="float32", always_2d=True)):
                count += len(block)
                yield block
        except soundfile.LibsndfileError:
            pass  # FLAC raises where it is cut off; the count below tells
    if count < frames:
        note_truncated(str(path), frames, count)
    elif missing:
        _note(f"{path}: truncated: {missing:,} bytes of it are missing; {count:,} samples could be read.")


def _missing_bytes(start: bytes, size: int) -> int:
    """The bytes that a file's header promises beyond its ``size``.

    libsndfile counts only frames that are there, so a truncated WAV, AIFF, AU or W64 file looks whole.
    """
    match start[:4]:
        case b"RIFF":
            promised = 8 + int.from_bytes(start[4:8], "little")
            unknown = promised == 8 + 0xFFFF_FFFF
        case b"FORM":
            promised, unknown = 8 + int.from_bytes(start[4:8], "big"), False
        case b".snd":
            length = int.from_bytes(start[8:12], "big")
            promised, unknown = int.from_bytes(start[4:8], "big") + length, length == 0xFFFF_FFFF
        case b"riff":
            promised, unknown = int.from_bytes(start[16:24], "little"), False
        case _:
            return 0
    return 0 if unknown else max(0, promised - size)


def _raw_file(path: Path, rate: int | None) -> AudioSource:
    if rate is None:
        raise DataError(f"{path}: raw samples do not tell their rate; give it with --rate.")
    coding = SampleCoding(rate)
    frames = path.stat().st_size // coding.frame_bytes

    def read() -> Iterator[Samples]:
        with path.open("rb") as file:
            yield from read_frames(file, coding, None, str(path))

    return AudioSource(str(path), rate, 1, frames, read)


def _piped(stream: BinaryIO, name: str, rate: int | None) -> AudioSource:
    """Sound from a pipe: WAV if it begins so, else raw samples."""
    start = stream.read(4)
    if start == b"RIFF":
        return _wave(stream, name)
    if rate is None:
        raise DataError(f"{name}: no WAV file; for raw 16-bit samples give their rate with --rate.")
    coding = SampleCoding(rate)

    def read() -> Iterator[Samples]:
        whole = len(start) - len(start) % coding.frame_bytes
        if whole:
            yield coding.decoded(start[:whole])
        yield from read_frames(stream, coding, None, name)

    return AudioSource(name, rate, 1, None, read)


def _wave(stream: BinaryIO, name: str, *, close: bool = False) -> AudioSource:
    """A WAV file behind its first four bytes, read without going back."""
    header = read_wave_header(stream, name)
    coding = header.coding
    refuse_odd_rate(coding.rate)
    frames = None if header.size is None else header.size // coding.frame_bytes

    def read() -> Iterator[Samples]:
        try:
            yield from read_frames(stream, coding, header.size, name)
        finally:
            if close:
                stream.close()

    return AudioSource(name, coding.rate, coding.channels, frames, read)


def _reason(error: Exception) -> str:
    """The library's words without the file's name."""
    return str(getattr(error, "error_string", error)).strip().rstrip(".")


def _note(text: str) -> None:
    warnings.warn(text, WhyformerNote, stacklevel=3)
