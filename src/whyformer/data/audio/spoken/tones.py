"""Words made of tones, said by made-up voices: spoken data that needs no recordings."""

from typing import Literal

import numpy as np
from numpy.random import Generator
from pydantic import Field

from whyformer.data.audio.resampling import Samples
from whyformer.data.audio.spoken.clips import Clip, ClipSets
from whyformer.spec import Spec

# Each word glides through three of these frequencies, in Hz; every voice shifts them all.
_PITCHES = (400.0, 640.0, 1000.0, 1560.0)
_NAMES = ("la", "mi", "so", "du", "ke", "ti", "ra", "fo", "ne", "bu", "wa", "ze")


class ToneSpec(Spec):
    """Words of three gliding tones each; a voice has its own pitch, overtones and tempo."""

    kind: Literal["tones"] = "tones"
    """Kind of words."""
    words: int = Field(default=8, ge=2, le=len(_NAMES))
    """Number of different words."""
    voices: int = Field(default=6, ge=2, le=100)
    """Number of voices; the last one is heard in the test set only."""
    takes: int = Field(default=12, ge=2, le=1000)
    """Times that each voice says each word; a sixth of them, one at least, is for validation."""
    seed: int = 1
    """Seed of voices and takes."""

    def load(self, rate: int) -> ClipSets:
        """Make all clips at ``rate``; the same spec gives the same ones."""
        sets = ClipSets([], [], [])
        for voice in range(self.voices):
            for word in range(self.words):
                for take in range(self.takes):
                    clip = self.clip(word, voice, take, rate)
                    if voice == self.voices - 1:
                        sets.test.append(clip)
                    else:
                        (sets.valid if take < max(1, self.takes // 6) else sets.train).append(clip)
        return sets

    def clip(self, word: int, voice: int, take: int, rate: int) -> Clip:
        """One take of one word by one voice."""
        manner = np.random.default_rng((self.seed, voice))
        pitch, tempo = manner.uniform(0.85, 1.18), manner.uniform(0.85, 1.18)
        overtones = manner.uniform(0.1, 0.5, 2)
        generator = np.random.default_rng((self.seed, voice, word, take))
        pattern = [_PITCHES[place] * pitch for place in _pattern(word)]
        samples = _sung(pattern, 0.27 / tempo, overtones, rate, generator)
        return Clip(samples, rate, _NAMES[word], f"voice{voice}", take)


def _pattern(word: int) -> tuple[int, int, int]:
    """Places of a word's three tones, no two neighbours equal; words differ in their tones or their order."""
    count = len(_PITCHES)
    every = [
        (first, second, third)
        for first in range(count)
        for second in range(count)
        for third in range(count)
        if first != second != third
    ]
    return every[word * 7 % len(every)]


def _sung(
    pattern: list[float], seconds: float, overtones: np.ndarray, rate: int, generator: Generator
) -> Samples:
    """The tones of a word, gliding from one to the next, with a soft beginning and end."""
    length = round(seconds * generator.uniform(0.9, 1.1) * rate)
    pitches = np.asarray(pattern) * generator.uniform(0.98, 1.02, len(pattern))
    # A tone is held for the most of its third and glides in the rest.
    knots = np.asarray([0.0, 0.28, 0.38, 0.62, 0.72, 1.0]) * length
    frequency = np.interp(np.arange(length), knots, np.repeat(pitches, 2))
    phase = np.cumsum(2 * np.pi * frequency / rate)
    sound = np.sin(phase)
    for harmonic, strength in enumerate(overtones, start=2):
        # An overtone above half the rate would come back as a false one.
        sound += strength * np.sin(harmonic * phase) * (harmonic * frequency < rate / 2)
    envelope = np.minimum(1, np.minimum(np.arange(length), np.arange(length)[::-1]) / (0.02 * rate))
    level = 0.2 * generator.uniform(0.7, 1.3)
    return (level * envelope * sound).astype(np.float32)
