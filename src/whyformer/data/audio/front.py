"""The front end of a listening session: samples at any rate in, features out."""

import warnings
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from whyformer.data.audio.features import Features, FilterBankSpec
from whyformer.data.audio.resampling import Resampler, Samples, refuse_odd_rate
from whyformer.data.audio.statistics import FeatureStatistics
from whyformer.errors import DataError, WhyformerNote
from whyformer.lengths import Stage

Sound = NDArray[np.generic]
"""Samples (n,) or (n, channels): floats in [-1, 1] or integers over their whole range."""

_MOST_CHANNELS = 64
_LOUDEST = 8.0  # of floats; above it they were meant as integers
_FULL_SCALE = 32_767 / 32_768
_CLIPPED_RUN = 3  # samples at full scale in a row


class SoundFront:
    """Front end of one stream: mixes channels down, resamples, extracts and normalises features.

    Fed one by one, in pieces, or at once, the same samples give the same features, bit for bit. A rate may
    change in the middle: the sound before is finished at its rate and the sound behind joined to it. Refused
    samples change nothing, and the stream goes on. What was done to the sound is said once, as a note.

    Args:
        spec: The features.
        statistics: Mean and deviation that normalise them; None leaves them as they are.
        name: Name of the stream in notes and errors.
        note: Told each note; a warning if None.
    """

    def __init__(
        self,
        spec: FilterBankSpec,
        statistics: FeatureStatistics | None = None,
        name: str = "the sound",
        note: Callable[[str], None] | None = None,
    ) -> None:
        if statistics is not None and len(statistics.mean) != spec.bins:
            raise DataError(
                f"the feature statistics are of {len(statistics.mean)} bins, the features have {spec.bins}; "
                "take those of the same run."
            )
        self._spec = spec
        self._statistics = statistics
        self._name = name
        self._note = note
        self._bank = spec.open()
        self._resampler: Resampler | None = None
        self._rate = 0
        self._said = set[str]()
        self._loud_tail = 0
        self._earlier = 0.0
        self._count = 0

    @property
    def seconds(self) -> float:
        """Time that was fed; counted in samples, so that pieces of any size give the same."""
        return self._earlier + (self._count / self._rate if self._rate else 0.0)

    def stages(self, rate: int) -> tuple[Stage, ...]:
        """The chain from samples at ``rate`` to frames, for counts and look-ahead.

        Raises:
            DataError: the rate is no sampling rate.
        """
        return Resampler(rate, self._spec.rate).stage, self._spec.stage

    def feed(self, sound: Sound, rate: int) -> Features:
        """Take the next samples, (n,) or (n, channels), at ``rate`` and return the ready features (m, bins).

        Raises:
            DataError: the rate or the samples cannot be used; they are left out, and the stream goes on.
        """
        refuse_odd_rate(rate)
        samples, peak = self._checked(sound)
        before = self._change_rate(rate)
        assert self._resampler is not None, "the rate is known by now"
        self._note_clipping(samples, peak)
        self._count += len(samples)
        ready = self._bank.feed(self._resampler.feed(samples))
        return self._normalised(np.concatenate([before, ready]) if len(before) else ready)

    def finish(self) -> Features:
        """Return the features (m, bins) that were held back: the end of the sound; nothing may follow."""
        rest = self._end_of_rate()
        return self._normalised(np.concatenate([rest, self._bank.finish()]))

    def _change_rate(self, rate: int) -> Features:
        """Make ready for samples at ``rate``; features of what the resampler before it held back."""
        if rate == self._rate:
            return self._nothing()
        if self._rate:
            self._say(
                f"{self._name}: the rate changes from {self._rate} to {rate} Hz on the way; both are kept."
            )
        if rate != self._spec.rate:
            self._say(f"{self._name}: resampled from {rate} to {self._spec.rate} Hz.")
        rest = self._end_of_rate()
        self._earlier, self._count = self.seconds, 0
        self._resampler, self._rate = Resampler(rate, self._spec.rate), rate
        return rest

    def _end_of_rate(self) -> Features:
        return self._nothing() if self._resampler is None else self._bank.feed(self._resampler.finish())

    def _checked(self, sound: Sound) -> tuple[Samples, float]:
        """One channel of finite float32 in [-1, 1] and its loudest magnitude, or the reason why not."""
        if sound.ndim not in (1, 2) or (sound.ndim == 2 and not 1 <= sound.shape[1] <= _MOST_CHANNELS):
            raise DataError(
                f"{self._name}: samples of shape {sound.shape}; give (n,) or (n, channels), one row a sample."
            )
        scaled = self._scaled(sound)
        samples = self._mixed(scaled) if scaled.ndim == 2 else scaled
        peak = float(np.abs(samples).max(initial=0.0))
        # What is no number makes the peak none, so one look at the samples is enough.
        if peak <= _LOUDEST:
            return samples, peak
        wrong = int(samples.size - np.count_nonzero(np.isfinite(samples)))
        if wrong:
            raise DataError(
                f"{self._name}: {wrong:,} of {samples.size:,} samples are no finite numbers; these samples "
                "are left out."
            )
        raise DataError(
            f"{self._name}: samples reach {peak:,.0f}, but the loudest number is 1; divide 16-bit samples by "
            "32,768."
        )

    def _scaled(self, sound: Sound) -> Samples:
        """Floats as float32, integers divided by their range."""
        if sound.dtype == np.float32:
            return sound.astype(np.float32, copy=False)
        if sound.dtype == np.uint8:
            return (sound.astype(np.float32) - np.float32(128)) / np.float32(128)
        if np.issubdtype(sound.dtype, np.signedinteger):
            full_scale = 2.0 ** (8 * sound.dtype.itemsize - 1)
            return (sound.astype(np.float64) / full_scale).astype(np.float32)
        if np.issubdtype(sound.dtype, np.floating):
            with np.errstate(over="ignore"):  # becomes infinite, and is refused
                return sound.astype(np.float32)
        raise DataError(f"{self._name}: samples of type {sound.dtype}; give floats in [-1, 1] or integers.")

    def _mixed(self, channels: Samples) -> Samples:
        """The mean of the channels, added one after another so that pieces give the same bits."""
        count = channels.shape[1]
        if count == 1:
            return channels[:, 0]
        self._say(f"{self._name}: {count} channels, mixed into one.")
        mixed = channels[:, 0].copy()
        for channel in range(1, count):
            mixed += channels[:, channel]
        return mixed / np.float32(count)

    def _note_clipping(self, samples: Samples, peak: float) -> None:
        """Say once that the sound, whose loudest is ``peak``, was recorded too loud: full scale in a row."""
        if "clipped" in self._said or not len(samples):
            return
        if peak < _FULL_SCALE:
            self._loud_tail = 0
            return
        loud = np.concatenate([np.ones(self._loud_tail, bool), np.abs(samples) >= _FULL_SCALE])
        runs = np.convolve(loud, np.ones(_CLIPPED_RUN), "valid") if len(loud) >= _CLIPPED_RUN else loud
        if len(loud) >= _CLIPPED_RUN and runs.max() >= _CLIPPED_RUN:
            self._said.add("clipped")
            self._say(f"{self._name}: samples are cut off at full scale (clipping); record it less loud.")
        quiet = np.flatnonzero(~loud[::-1])
        self._loud_tail = min(int(quiet[0]) if len(quiet) else len(loud), _CLIPPED_RUN - 1)

    def _say(self, note: str) -> None:
        """Say a note, once in this stream."""
        if note in self._said:
            return
        self._said.add(note)
        if self._note is None:
            warnings.warn(note, WhyformerNote, stacklevel=4)
        else:
            self._note(note)

    def _nothing(self) -> Features:
        return np.zeros((0, self._spec.bins), np.float32)

    def _normalised(self, features: Features) -> Features:
        return features if self._statistics is None else self._statistics.normalised(features)
