"""Strings of words: clips of one speaker laid behind one another, with pauses between."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.random import Generator
from pydantic import Field, model_validator

from whyformer.data.audio.augmentation import SoundChanges, change_speed
from whyformer.data.audio.resampling import Samples
from whyformer.data.audio.spoken.clips import Clip
from whyformer.errors import DataError
from whyformer.spec import Spec

_FADE_SECONDS = 0.004  # at both ends of a clip, so that joining it makes no click


@dataclass(frozen=True)
class SpokenString:
    """Words that follow one another, with the time of each."""

    samples: Samples
    """Samples (n,) in [-1, 1]."""
    rate: int
    """Samples per second."""
    words: tuple[str, ...]
    """The words, in order."""
    starts: tuple[int, ...]
    """First sample of each word."""
    ends: tuple[int, ...]
    """Sample behind the last one of each word."""
    speaker: str
    """Speaker's name."""


class StringSpec(Spec):
    """Lengths and pauses of strings of words."""

    shortest: int = Field(default=3, ge=1)
    """Fewest words of a string."""
    longest: int = Field(default=7, ge=1)
    """Most words of a string."""
    pause_ms: tuple[float, float] = (50.0, 500.0)
    """Shortest and longest pause before, between and behind the words in milliseconds."""
    hush_db: tuple[float, float] = (-75.0, -55.0)
    """Level of the low noise under the whole string, in dB of full scale: from, to."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.shortest > self.longest:
            raise ValueError(f"shortest is {self.shortest} but longest is {self.longest}; exchange them")
        if not 0 <= self.pause_ms[0] <= self.pause_ms[1]:
            raise ValueError(
                f"pause_ms is from {self.pause_ms[0]:g} to {self.pause_ms[1]:g}; give 0 ≤ from ≤ to"
            )
        if not self.hush_db[0] <= self.hush_db[1] <= 0:
            raise ValueError(
                f"hush_db is from {self.hush_db[0]:g} to {self.hush_db[1]:g}; give from ≤ to ≤ 0"
            )
        return self


class SpokenStrings:
    """Endless strings made from clips; a string is a pure function of seed, epoch and index.

    Args:
        clips: The words, all at one rate; a string has clips of one speaker.
        spec: Lengths and pauses.
        seed: Seed of all draws.
        changes: Changes of the sound for training: speed, gain, noise.

    Raises:
        DataError: there are no clips, or their rates differ.
    """

    def __init__(
        self, clips: Sequence[Clip], spec: StringSpec, seed: int, changes: SoundChanges | None = None
    ) -> None:
        rates = {clip.rate for clip in clips}
        if len(rates) != 1:
            raise DataError(f"strings need clips of one rate, and these have {len(rates)}.")
        (self.rate,) = rates
        """Samples per second."""
        self._spec = spec
        self._seed = seed
        self._changes = changes
        by_speaker: dict[str, dict[str, list[Clip]]] = defaultdict(lambda: defaultdict(list))
        for clip in clips:
            by_speaker[clip.speaker][clip.label].append(clip)
        # Words and speakers are drawn evenly, however many recordings each has.
        self._speakers = [[*words.values()] for _, words in sorted(by_speaker.items())]

    def generator(self, epoch: int, index: int, use: int = 0) -> Generator:
        """The source of all that is random in one string; another ``use`` of it has draws of its own."""
        return np.random.default_rng((self._seed, epoch, index, use))

    def at(self, epoch: int, index: int) -> SpokenString:
        """String ``index`` of an epoch."""
        return self.draw(self.generator(epoch, index), self.count(index))

    def count(self, index: int) -> int:
        """Number of words of a string: all numbers in turn, so that lengths are known before strings are."""
        return self._spec.shortest + index % (self._spec.longest - self._spec.shortest + 1)

    def draw(self, generator: Generator, count: int) -> SpokenString:
        """Draw a string of ``count`` words; the generator alone decides the rest."""
        speaker = self._speakers[generator.integers(len(self._speakers))]
        said = [speaker[word] for word in generator.integers(len(speaker), size=count)]
        clips = [word[generator.integers(len(word))] for word in said]
        speed = 1.0 if self._changes is None else self._changes.speed_of(generator)
        sounds = [change_speed(clip.samples, speed, self.rate) for clip in clips]
        pauses = generator.uniform(*self._spec.pause_ms, size=count + 1) * (self.rate / 1000)
        samples, starts, ends = joined(sounds, [round(pause) for pause in pauses], self._fade)
        level = 10.0 ** (generator.uniform(*self._spec.hush_db) / 20)
        samples += np.float32(level) * generator.standard_normal(len(samples), np.float32)
        if self._changes is not None:
            samples = self._changes.changed(samples, generator)
        words = tuple(clip.label for clip in clips)
        return SpokenString(samples, self.rate, words, tuple(starts), tuple(ends), clips[0].speaker)

    @property
    def _fade(self) -> int:
        return round(_FADE_SECONDS * self.rate)


def joined(
    sounds: Sequence[Samples], pauses: Sequence[int], fade: int = 0
) -> tuple[Samples, list[int], list[int]]:
    """Lay sounds behind one another, ``pauses[i]`` samples of silence before sound i and the last behind all.

    Returns:
        The samples, and the first sample of each sound and the one behind its last.
    """
    lengths = [len(sound) for sound in sounds]
    samples = np.zeros(sum(lengths) + sum(pauses), np.float32)
    starts, ends, at = list[int](), list[int](), 0
    for sound, pause in zip(sounds, pauses, strict=False):
        at += pause
        starts.append(at)
        samples[at : at + len(sound)] = sound
        ramp = np.linspace(0, 1, min(fade, len(sound)), dtype=np.float32)
        samples[at : at + len(ramp)] *= ramp
        at += len(sound)
        samples[at - len(ramp) : at] *= ramp[::-1]
        ends.append(at)
    return samples, starts, ends
