"""Another sampling rate, while the sound still comes in (soxr)."""

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whyformer.data.audio.libraries import audio_library
from whyformer.errors import DataError
from whyformer.lengths import Stage, resampling

Samples = NDArray[np.float32]

LOWEST_RATE, HIGHEST_RATE = 1_000, 768_000
# Samples fed one by one to find out what is held back, at least; and how often as many as are held back.
_TRIAL, _BLOCKS = 20_000, 3


class Resampler:
    """Resamples one signal as its samples come in; pieces of any size give the same samples, bit for bit.

    It works in float32: soxr dithers integers, and dithered pieces differ from the dithered whole. Equal
    rates pass through. A finished signal has the count that ``stage`` says: the nearest, half up.

    Raises:
        DataError: soxr is missing, or a rate is outside of 1,000 to 768,000 Hz.
    """

    def __init__(self, from_rate: int, to_rate: int) -> None:
        refuse_odd_rate(from_rate)
        refuse_odd_rate(to_rate)
        self._rates = from_rate, to_rate
        self._stream: Any = None if from_rate == to_rate else _stream(from_rate, to_rate)

    @property
    def stage(self) -> Stage:
        """Count of its outputs, and the most samples that it holds back."""
        return resampling(*self._rates, held_back(*self._rates))

    def feed(self, samples: Samples) -> Samples:
        """Take the next samples (n,) and return those that are ready (m,)."""
        if self._stream is None:
            return samples
        return self._stream.resample_chunk(np.ascontiguousarray(samples, np.float32))

    def finish(self) -> Samples:
        """Return the samples (m,) that were held back; nothing may be fed afterwards."""
        nothing = np.zeros(0, np.float32)
        return nothing if self._stream is None else self._stream.resample_chunk(nothing, last=True)


def resampled(samples: Samples, from_rate: int, to_rate: int) -> Samples:
    """Return a whole signal (n,) at another rate: the samples that a stream gives."""
    resampler = Resampler(from_rate, to_rate)
    return np.concatenate([resampler.feed(samples), resampler.finish()])


@functools.cache
def held_back(from_rate: int, to_rate: int) -> int:
    """The most input samples that soxr keeps to itself in a running stream: latency, found by trying.

    The library works in blocks, so this is up to 0.16 s, and no document says it.
    """
    if from_rate == to_rate:
        return 0
    stream, ratio = _stream(from_rate, to_rate), resampling(from_rate, to_rate)
    one = np.zeros(1, np.float32)
    fed = given = most = 0
    while fed < max(_TRIAL, _BLOCKS * most) or not given:
        fed += 1
        given += len(stream.resample_chunk(one))
        # The smallest reach under which the stage would have promised no more than was given.
        most = max(most, fed - ((given + 1) * ratio.stride - 1) // ratio.outputs)
    return most


def refuse_odd_rate(rate: int) -> None:
    """Raise an error for a sampling rate that no sound has.

    Raises:
        DataError: it is outside of 1,000 to 768,000 Hz.
    """
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise DataError(
            f"a sampling rate of {rate} Hz: sound is taken at {LOWEST_RATE:,} to {HIGHEST_RATE:,} Hz."
        )


def _stream(from_rate: int, to_rate: int) -> Any:
    return audio_library("soxr").ResampleStream(from_rate, to_rate, 1, dtype="float32", quality="MQ")
