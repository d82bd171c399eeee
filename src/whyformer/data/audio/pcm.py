"""Samples out of a pipe: raw ones, and WAV files whose size nobody knew when they were begun."""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Literal, cast

import numpy as np

from whyformer.data.audio.resampling import Samples
from whyformer.errors import DataError, WhyformerNote

# Sizes that a header has when its writer could not go back to fill in the right one.
_UNKNOWN_SIZES = (0, 0xFFFF_FFFF)
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE


@dataclass(frozen=True)
class SampleCoding:
    """Layout of samples in bytes, least significant first, channels side by side."""

    rate: int
    """Samples per second of each channel."""
    channels: int = 1
    """Samples that belong to one moment."""
    bits: int = 16
    """Bits of a sample."""
    form: Literal["integer", "float"] = "integer"
    """Meaning of the bits; integers of 8 bits have no sign, as in WAV."""

    @property
    def frame_bytes(self) -> int:
        """Bytes of one moment."""
        return self.channels * self.bits // 8

    def decoded(self, data: bytes) -> Samples:
        """Samples (n, channels) in [-1, 1] of whole frames."""
        match self.form, self.bits:
            case "float", _:
                samples = np.frombuffer(data, f"<f{self.bits // 8}").astype(np.float32)
            case _, 8:
                samples = (np.frombuffer(data, np.uint8) / 128.0 - 1.0).astype(np.float32)
            case _, 24:
                # A fourth, lowest byte of zeros makes them integers of 32 bits.
                three = np.frombuffer(data, np.uint8).reshape(-1, 3)
                wide = np.concatenate([np.zeros((len(three), 1), np.uint8), three], axis=1)
                samples = (wide.reshape(-1).view("<i4") / 2.0**31).astype(np.float32)
            case _, bits:
                samples = (np.frombuffer(data, f"<i{bits // 8}") / 2.0 ** (bits - 1)).astype(np.float32)
        return samples.reshape(-1, self.channels)


@dataclass(frozen=True)
class WaveHeader:
    """Facts of a WAV file's header."""

    coding: SampleCoding
    """Layout of the samples."""
    size: int | None
    """Bytes of samples that the header promises; None if its writer did not know."""


def read_wave_header(stream: BinaryIO, name: str) -> WaveHeader:
    """Read a WAV file from behind its first four bytes, ``RIFF``, up to its first sample.

    Raises:
        DataError: it is none, it ends too early, or its samples are coded in another way than plain numbers.
    """
    if _exactly(stream, 8, name)[4:] != b"WAVE":
        raise DataError(f"{name}: begins like a WAV file and is none; send WAV or raw samples.")
    coding: SampleCoding | None = None
    while True:
        head = _exactly(stream, 8, name)
        kind, size = head[:4], int.from_bytes(head[4:], "little")
        if kind == b"data" and coding is not None:
            return WaveHeader(coding, None if size in _UNKNOWN_SIZES else size)
        body = _exactly(stream, size + size % 2, name)
        if kind == b"fmt ":
            coding = _coding(body, name)


def read_frames(stream: BinaryIO, coding: SampleCoding, size: int | None, name: str) -> Iterator[Samples]:
    """Read samples (n, channels) as they come in, up to ``size`` bytes or the end; a note if bytes lack."""
    left, carried = size, b""
    at_once = max(1, coding.rate // 20) * coding.frame_bytes
    while left is None or left > 0:
        # One call of the system: it returns what is there, so that a live sound is not waited for.
        wanted = at_once if left is None else min(at_once, left)
        read = cast("Callable[[int], bytes]", getattr(stream, "read1", stream.read))
        data = read(wanted)
        if not data:
            break
        left = None if left is None else left - len(data)
        carried += data
        whole = len(carried) - len(carried) % coding.frame_bytes
        if whole:
            yield coding.decoded(carried[:whole])
        carried = carried[whole:]
    if left:
        promised = (size or 0) // coding.frame_bytes
        read = promised - -(-left // coding.frame_bytes)
        note_truncated(name, promised, read)
    elif carried:
        warnings.warn(
            f"{name}: ends in the middle of a sample, which is left out.", WhyformerNote, stacklevel=2
        )


def note_truncated(name: str, promised: int, read: int) -> None:
    """Say that a file ends before the end that it promises."""
    warnings.warn(
        f"{name}: truncated: it promises {promised:,} samples a channel and {read:,} could be read.",
        WhyformerNote,
        stacklevel=3,
    )


def _coding(body: bytes, name: str) -> SampleCoding:
    """The layout that the ``fmt`` part of a WAV file describes."""
    number = [
        int.from_bytes(body[at : at + size], "little") for at, size in ((0, 2), (2, 2), (4, 4), (14, 2))
    ]
    kind, channels, rate, bits = number
    if kind == _EXTENSIBLE:
        kind = int.from_bytes(body[24:26], "little")
    known = (kind == _PCM and bits in (8, 16, 24, 32)) or (kind == _FLOAT and bits in (32, 64))
    if not known or not channels or len(body) < 16:
        raise DataError(
            f"{name}: WAV samples of {bits} bits in coding {kind} cannot be read from a pipe; send "
            "16-bit PCM."
        )
    return SampleCoding(rate, channels, bits, "float" if kind == _FLOAT else "integer")


def _exactly(stream: BinaryIO, size: int, name: str) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise DataError(f"{name}: a WAV file that ends before its first sample; send it whole.")
    return data
