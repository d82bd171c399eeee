"""Changes of sounds and features for training: each is small, optional, and drawn from a generator given."""

import functools
from typing import ClassVar, Literal, Self

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import Field, model_validator

from whyformer.data.audio.features import Features, FilterBankSpec
from whyformer.data.audio.libraries import audio_library
from whyformer.data.audio.resampling import Samples
from whyformer.spec import Spec

NoiseColour = Literal["white", "pink", "brown"]

_SHAPES: dict[NoiseColour, float] = {"white": 0.0, "pink": 0.5, "brown": 1.0}
_NOISE_SECONDS = 30
# Nepers of energy in a decibel: features are natural logarithms.
_NEPERS = float(np.log(10) / 10)


class SpeedSpec(Spec):
    """Faster and slower speech by resampling: tempo, pitch and formants move together."""

    origin: ClassVar[str] = "Ko et al. 2015, Audio Augmentation for Speech Recognition, section 2"

    slowest: float = Field(default=0.8, ge=0.5, le=1.0)
    """Smallest factor of the speed."""
    fastest: float = Field(default=1.25, ge=1.0, le=2.0)
    """Largest factor of the speed."""
    probability: float = Field(default=0.9, ge=0.0, le=1.0)
    """Share of strings whose speed is changed."""

    def draw(self, generator: Generator) -> float:
        """Draw a factor, evenly on a logarithmic scale; 1 where nothing is changed."""
        if generator.random() >= self.probability:
            return 1.0
        return float(np.exp(generator.uniform(np.log(self.slowest), np.log(self.fastest))))


class GainSpec(Spec):
    """Louder and softer sound."""

    softest_db: float = Field(default=-18.0, ge=-60.0, le=0.0)
    """Smallest gain in dB."""
    loudest_db: float = Field(default=6.0, ge=0.0, le=40.0)
    """Largest gain in dB; never so large that a sample goes beyond full scale."""

    def apply(self, samples: Samples, generator: Generator) -> Samples:
        """Return the samples (n,) times one gain."""
        gain = 10 ** (generator.uniform(self.softest_db, self.loudest_db) / 20)
        peak = float(np.abs(samples).max(initial=1e-9))
        return samples * np.float32(min(gain, 1 / peak))


class NoiseSpec(Spec):
    """Noise behind the whole sound."""

    probability: float = Field(default=0.7, ge=0.0, le=1.0)
    """Share of strings that get noise."""
    lowest_db: float = Field(default=5.0, ge=-20.0, le=80.0)
    """Smallest ratio of the sound's energy to the noise's in dB."""
    highest_db: float = Field(default=30.0, ge=-20.0, le=80.0)
    """Largest ratio of the sound's energy to the noise's in dB."""
    colours: tuple[NoiseColour, ...] = Field(default=("white", "pink", "brown"), min_length=1)
    """Spectra to draw from: energy by octave rising, even, falling."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.lowest_db > self.highest_db:
            raise ValueError(
                f"lowest_db {self.lowest_db:g} is above highest_db {self.highest_db:g}; exchange them"
            )
        return self

    def apply(self, samples: Samples, rate: int, generator: Generator) -> Samples:
        """Return the samples (n,) with noise of a drawn colour and ratio."""
        if generator.random() >= self.probability or not len(samples):
            return samples
        noise = coloured_noise(self.colours[generator.integers(len(self.colours))], _NOISE_SECONDS * rate)
        start = int(generator.integers(len(noise)))
        stretch = np.take(noise, np.arange(start, start + len(samples)), mode="wrap")
        ratio = 10 ** (-generator.uniform(self.lowest_db, self.highest_db) / 20)
        level = float(np.sqrt(np.mean(samples.astype(np.float64) ** 2)))
        return (samples + stretch * (level * ratio)).astype(np.float32)


class VocalTractSpec(Spec):
    """Longer and shorter vocal tracts: the frequency axis of the filter bank is warped, the tempo stays."""

    origin: ClassVar[str] = "Jaitly and Hinton 2013, Vocal Tract Length Perturbation, equation 1"

    lowest: float = Field(default=0.85, ge=0.5, le=1.0)
    """Smallest factor of the frequencies."""
    highest: float = Field(default=1.15, ge=1.0, le=2.0)
    """Largest factor of the frequencies."""
    knee: float = Field(default=0.8, gt=0.1, lt=1.0)
    """Share of half the rate up to which the warp is linear; above, it bends so that the top stays."""

    def apply(self, features: Features, bank: FilterBankSpec, generator: Generator) -> Features:
        """Return features (m, bins) read at warped frequencies, between neighbouring bands."""
        factor = float(generator.uniform(self.lowest, self.highest))
        return features @ self.weights(factor, bank)

    def weights(self, factor: float, bank: FilterBankSpec) -> Features:
        """The interpolation (bins, bins): column b mixes the bands that stand at b's warped frequency."""
        centres = band_centres(bank)
        top = bank.rate / 2
        bend = self.knee * top * min(factor, 1) / factor
        source = np.where(
            centres <= bend,
            centres * factor,
            top - (top - bend * factor) / (top - bend) * (top - centres),
        )
        place = np.interp(_mel(source), _mel(centres), np.arange(bank.bins))
        below = np.minimum(place.astype(int), bank.bins - 2)
        columns = np.arange(bank.bins)
        weights = np.zeros((bank.bins, bank.bins), np.float32)
        weights[below, columns] = 1 - (place - below)
        weights[below + 1, columns] = place - below
        return weights


class ToneControlSpec(Spec):
    """Other microphones and lines: a smooth gain over frequency, and a band that ends early."""

    bumps_db: float = Field(default=6.0, ge=0.0, le=40.0)
    """Largest gain and loss at four knots spread over the bands, in dB."""
    narrowing: float = Field(default=0.15, ge=0.0, le=0.45)
    """Largest share of the bands that is taken away at either end."""
    probability: float = Field(default=0.5, ge=0.0, le=1.0)
    """Share of strings whose tone is changed."""

    def apply(self, features: Features, generator: Generator) -> Features:
        """Return features (m, bins), each bin raised or lowered throughout."""
        bins = features.shape[1]
        if generator.random() >= self.probability:
            return features
        knots = generator.uniform(-self.bumps_db, self.bumps_db, 4) * _NEPERS
        gains = np.interp(np.linspace(0, 3, bins), np.arange(4), knots)
        low, high = (round(share * bins) for share in generator.uniform(0, self.narrowing, 2))
        distance = np.maximum(low - np.arange(bins), np.arange(bins) - (bins - 1 - high)).clip(0)
        # A band's edge falls by 12 dB a band, as a steep filter does.
        gains -= 12 * _NEPERS * distance
        floor = np.float32(np.log(np.finfo(np.float32).eps))
        return np.maximum(features + gains.astype(np.float32), floor)


class SpecAugmentSpec(Spec):
    """Masks over stretches of bins and of frames."""

    origin: ClassVar[str] = "Park et al. 2019, SpecAugment, section 2"

    frequency_masks: int = Field(default=2, ge=0)
    """Number of masks over bins."""
    widest: int = Field(default=6, ge=0)
    """Most bins of a mask."""
    time_masks: int = Field(default=2, ge=0)
    """Number of masks over frames."""
    longest: int = Field(default=10, ge=0)
    """Most frames of a mask."""

    def apply(self, features: Features, generator: Generator) -> Features:
        """Return normalised features (m, bins) with zeros, their mean, under the masks."""
        frames, bins = features.shape
        masked = features.copy()
        for _ in range(self.frequency_masks):
            start, end = _stretch(bins, self.widest, generator)
            masked[:, start:end] = 0
        for _ in range(self.time_masks):
            start, end = _stretch(frames, self.longest, generator)
            masked[start:end] = 0
        return masked


class AugmentationSpec(Spec):
    """Changes that strings of words go through in training; each is left out where it is null."""

    speed: SpeedSpec | None = SpeedSpec()
    """Tempo and pitch together."""
    gain: GainSpec | None = GainSpec()
    """Loudness."""
    noise: NoiseSpec | None = NoiseSpec()
    """Background noise."""
    vocal_tract: VocalTractSpec | None = VocalTractSpec()
    """Warped frequency axis."""
    tone: ToneControlSpec | None = ToneControlSpec()
    """Microphone and line."""
    masks: SpecAugmentSpec | None = SpecAugmentSpec()
    """Masked bins and frames."""

    def features_changed(self, features: Features, bank: FilterBankSpec, generator: Generator) -> Features:
        """Return raw features (m, bins) as another speaker and another line would have given them."""
        if self.vocal_tract is not None:
            features = self.vocal_tract.apply(features, bank, generator)
        return features if self.tone is None else self.tone.apply(features, generator)

    def masked(self, features: Features, generator: Generator) -> Features:
        """Return normalised features (m, bins) with masks."""
        return features if self.masks is None else self.masks.apply(features, generator)


class SoundChanges:
    """Changes of the samples of a string, at one sampling rate."""

    def __init__(self, spec: AugmentationSpec, rate: int) -> None:
        self._spec = spec
        self._rate = rate

    def speed_of(self, generator: Generator) -> float:
        """Draw the factor of a string's speed."""
        return 1.0 if self._spec.speed is None else self._spec.speed.draw(generator)

    def changed(self, samples: Samples, generator: Generator) -> Samples:
        """Return the samples (n,) with noise and another loudness."""
        if self._spec.noise is not None:
            samples = self._spec.noise.apply(samples, self._rate, generator)
        return samples if self._spec.gain is None else self._spec.gain.apply(samples, generator)


def change_speed(samples: Samples, factor: float, rate: int) -> Samples:
    """Return samples (n,) that are heard ``factor`` times as fast: about n / factor of them."""
    faster = round(rate * factor)
    if faster == rate:
        return samples
    # In one go the library needs no stream, and the count is the same.
    return audio_library("soxr").resample(samples, faster, rate, quality="MQ")


@functools.lru_cache(maxsize=8)
def coloured_noise(colour: NoiseColour, length: int) -> Samples:
    """Noise (n,) of mean energy 1, always the same, to cut stretches from."""
    generator = np.random.default_rng(length)
    frequencies = np.arange(1, length // 2 + 2)
    # No energy is spent below what any microphone hears: a flat start of the falling spectra.
    shape = np.maximum(frequencies, length // 200) ** -_SHAPES[colour]
    phases = generator.standard_normal((2, len(shape)))
    noise = np.fft.irfft((phases[0] + 1j * phases[1]) * shape, length)
    return (noise / np.sqrt(np.mean(noise**2))).astype(np.float32)


def band_centres(bank: FilterBankSpec) -> NDArray[np.float64]:
    """Frequencies in Hz at which the bands (bins,) of a filter bank have their peaks."""
    low, high = _mel(np.asarray([bank.low, bank.top]))
    return 700 * (np.exp(np.linspace(low, high, bank.bins + 2)[1:-1] / 1127) - 1)


def _mel(frequencies: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1127 * np.log1p(frequencies / 700)


def _stretch(length: int, longest: int, generator: Generator) -> tuple[int, int]:
    """A stretch of up to ``longest`` positions of ``length``."""
    size = int(generator.integers(min(longest, length) + 1))
    start = int(generator.integers(length - size + 1))
    return start, start + size
