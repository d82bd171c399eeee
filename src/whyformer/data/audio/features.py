"""Log mel energies of short windows, while the sound still comes in (kaldi-native-fbank)."""

from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from whyformer.data.audio.libraries import audio_library
from whyformer.data.audio.resampling import Samples
from whyformer.lengths import Stage, centred_framing
from whyformer.spec import Spec

Features = NDArray[np.float32]


class FilterBankSpec(Spec):
    """Logarithms of the energy in mel-spaced bands of short windows, as Kaldi computes them.

    Nothing depends on what comes later in the signal: no dither, no statistic of the utterance.
    """

    origin: ClassVar[str] = "Davis and Mermelstein 1980; Povey et al. 2011 (Kaldi)"

    kind: Literal["filter_bank"] = "filter_bank"
    """Kind of features."""
    rate: int = Field(default=8_000, ge=4_000, le=48_000)
    """Samples per second at which the energies are computed; other rates are resampled to it."""
    bins: int = Field(default=40, ge=8, le=128)
    """Bands of a frame: the width of the features."""
    frame_ms: float = Field(default=25.0, ge=5.0, le=100.0)
    """Length of a window in milliseconds."""
    shift_ms: float = Field(default=10.0, ge=2.0, le=50.0)
    """Time from one frame to the next in milliseconds."""
    low: float = Field(default=20.0, ge=0.0)
    """Lower edge of the lowest band in Hz."""
    high: float = Field(default=0.0, ge=0.0)
    """Upper edge of the highest band in Hz; 0 for half the rate."""

    @model_validator(mode="after")
    def _fits(self) -> "FilterBankSpec":
        if self.frame_ms < 2 * self.shift_ms:
            raise ValueError(
                f"frame_ms {self.frame_ms:g} is below twice shift_ms {self.shift_ms:g}, so samples at the "
                "end of a sound would be in no window; make the window longer"
            )
        if self.high > self.rate / 2:
            raise ValueError(f"high {self.high:g} is above half the rate, {self.rate / 2:g} Hz")
        if self.low >= self.top:
            raise ValueError(f"low {self.low:g} is not below the upper edge, {self.top:g} Hz")
        return self

    @property
    def top(self) -> float:
        """The upper edge of the highest band in Hz."""
        return self.high or self.rate / 2

    @property
    def window(self) -> int:
        """Samples of a window, rounded down as Kaldi does."""
        return int(self.rate * 0.001 * self.frame_ms)

    @property
    def shift(self) -> int:
        """Samples from one frame to the next."""
        return int(self.rate * 0.001 * self.shift_ms)

    @property
    def stage(self) -> Stage:
        """Count of the frames, and how far a frame looks past the end of its own shift."""
        return centred_framing(self.window, self.shift)

    def open(self) -> "FilterBank":
        """Begin a signal.

        Raises:
            DataError: kaldi-native-fbank is missing.
        """
        return FilterBank(self)

    def extract(self, samples: Samples) -> Features:
        """Return the features (m, bins) of a whole signal (n,): those of a stream that was fed and finished.

        Raises:
            DataError: kaldi-native-fbank is missing.
        """
        bank = self.open()
        return np.concatenate([bank.feed(samples), bank.finish()])


class FilterBank:
    """Filter bank of one signal: pieces of any size give the same features, bit for bit.

    Windows are centred on their shift and the signal's edges mirrored (``snip_edges`` off): of the library's
    two ways it is the one that leaves no sample at the end in no window, and as the mirror is built only when
    the signal is over, it is exact in a stream, too. A signal shorter than half a shift has no frame.
    Energies are of samples in [-1, 1] and floored at the library's 1.19e-7, about the energy of noise in
    the last bit of 16, so digital silence is finite. Memory does not grow with the signal.
    """

    def __init__(self, spec: FilterBankSpec) -> None:
        library = audio_library("kaldi_native_fbank")
        options = library.FbankOptions()
        options.frame_opts.samp_freq = spec.rate
        options.frame_opts.frame_length_ms = spec.frame_ms
        options.frame_opts.frame_shift_ms = spec.shift_ms
        options.frame_opts.dither = 0.0
        options.frame_opts.snip_edges = False
        options.mel_opts.num_bins = spec.bins
        options.mel_opts.low_freq = spec.low
        options.mel_opts.high_freq = spec.high
        self._spec = spec
        self._bank: Any = library.OnlineFbank(options)
        self._taken = 0

    def feed(self, samples: Samples) -> Features:
        """Take the next samples (n,) in [-1, 1] and return the frames (m, bins) that are ready."""
        if len(samples):
            # The library reads a list a quarter faster than an array.
            self._bank.accept_waveform(self._spec.rate, samples.tolist())
        return self._ready()

    def finish(self) -> Features:
        """Return the frames (m, bins) whose windows reach past the end; nothing may be fed afterwards."""
        self._bank.input_finished()
        return self._ready()

    def _ready(self) -> Features:
        """The frames that were not yet taken: copied, as the library's memory is reused, then let go."""
        ready: int = self._bank.num_frames_ready
        if ready == self._taken:
            return np.zeros((0, self._spec.bins), np.float32)
        frames = np.array([self._bank.get_frame(index) for index in range(self._taken, ready)], np.float32)
        self._bank.pop(ready - self._taken)
        self._taken = ready
        return frames
