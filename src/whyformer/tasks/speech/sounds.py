"""Sounds with what is said in them, and those that training asks for one by one."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.random import Generator
from typing_extensions import override

from whyformer.data.audio.augmentation import SoundChanges, change_speed
from whyformer.data.audio.files import open_audio
from whyformer.data.audio.resampling import Samples, resampled
from whyformer.data.audio.spoken.strings import SpokenString, SpokenStrings, StringSpec
from whyformer.data.corpora.formats.tables import read_rows
from whyformer.data.corpora.lines import BadLine
from whyformer.errors import DataError
from whyformer.training.storage.fingerprint import Fingerprint

_FOR_FEATURES = 1
"""Use of a sound's random draws apart from those for its samples."""


@dataclass(frozen=True)
class SpokenSound:
    """A sound, and what is said in it."""

    name: str
    samples: Samples
    """(n,) in [-1, 1]."""
    rate: int
    """Samples per second."""
    words: tuple[str, ...]
    ends: tuple[float, ...] | None = None
    """Time in seconds at which each word is over; None where nobody knows."""

    @staticmethod
    def of(string: SpokenString, name: str) -> "SpokenSound":
        """A string of words as a sound."""
        ends = tuple(end / string.rate for end in string.ends)
        return SpokenSound(name, string.samples, string.rate, string.words, ends)

    @property
    def seconds(self) -> float:
        """Duration."""
        return len(self.samples) / self.rate


class SoundSource(Protocol):
    """Sounds to train on; each is a pure function of the seed, the epoch and its index."""

    def __len__(self) -> int:
        """Number of sounds of an epoch."""
        ...

    def seconds(self, index: int) -> float:
        """Duration of a sound, about."""
        ...

    def at(self, epoch: int, index: int) -> SpokenSound:
        """The sound, changed as training wants it."""
        ...

    def generator(self, epoch: int, index: int) -> Generator:
        """The source of all that is random in what is done to its features."""
        ...


class EpochStrings(SoundSource):
    """Strings of words, of which every epoch has others, in numbers of words that follow from the index.

    Args:
        strings: to be drawn from.
        spec: of their lengths and pauses.
        count: strings of an epoch.
        word_seconds: mean duration of a word.
    """

    def __init__(self, strings: SpokenStrings, spec: StringSpec, count: int, word_seconds: float) -> None:
        self._strings = strings
        self._count = count
        self._word = word_seconds
        self._pause = sum(spec.pause_ms) / 2000

    @override
    def __len__(self) -> int:
        return self._count

    @override
    def seconds(self, index: int) -> float:
        words = self._strings.count(index)
        return words * self._word + (words + 1) * self._pause

    @override
    def at(self, epoch: int, index: int) -> SpokenSound:
        return SpokenSound.of(self._strings.at(epoch, index), f"string {index} of epoch {epoch}")

    @override
    def generator(self, epoch: int, index: int) -> Generator:
        return self._strings.generator(epoch, index, _FOR_FEATURES)


class UtteranceSource(SoundSource):
    """Utterances, the same in every epoch but for the changes that are drawn for them."""

    def __init__(self, sounds: Sequence[SpokenSound], changes: SoundChanges, seed: int) -> None:
        self._sounds = sounds
        self._changes = changes
        self._seed = seed

    @override
    def __len__(self) -> int:
        return len(self._sounds)

    @override
    def seconds(self, index: int) -> float:
        return self._sounds[index].seconds

    @override
    def at(self, epoch: int, index: int) -> SpokenSound:
        sound, generator = self._sounds[index], np.random.default_rng((self._seed, epoch, index))
        samples = change_speed(sound.samples, self._changes.speed_of(generator), sound.rate)
        return SpokenSound(sound.name, self._changes.changed(samples, generator), sound.rate, sound.words)

    @override
    def generator(self, epoch: int, index: int) -> Generator:
        return np.random.default_rng((self._seed, epoch, index, _FOR_FEATURES))


def read_utterances(table: Path, rate: int) -> list[SpokenSound]:
    """The sounds of a ``table``, resampled to ``rate``: on each line the path of a file, a tab, what is said.

    Paths are relative to the table's folder.

    Raises:
        DataError: the table or a sound cannot be read, or a line is not of that form.
    """
    sounds: list[SpokenSound] = []
    for row in read_rows(table, "\t", quotes=False):
        if isinstance(row, BadLine):
            raise row.error()
        place = f"{table}, line {row.number}"
        if len(row.cells) != 2 or not row.cells[0].strip():
            raise DataError(f"{place}: should be the path of a sound file, a tab, and what is said in it.")
        path, text = row.cells
        source = open_audio(table.parent / path)
        blocks = [block.mean(axis=1) for block in source.blocks()]
        if not blocks:
            raise DataError(f"{place}: {path} has no sound; remove the line.")
        samples = resampled(np.concatenate(blocks).astype(np.float32), source.rate, rate)
        sounds.append(SpokenSound(path, samples, rate, tuple(text.split())))
    if not sounds:
        raise DataError(f"{table}: has no utterances; write the path of a sound file, a tab, what is said.")
    return sounds


def sounds_fingerprint(sounds: Iterable[SpokenSound]) -> Fingerprint:
    """The fingerprint of ``sounds``: their samples and what is said."""
    digest, count = hashlib.sha256(), 0
    for sound in sounds:
        count += 1
        digest.update(f"{sound.rate} {len(sound.samples)} {' '.join(sound.words)}\n".encode())
        digest.update(np.ascontiguousarray(sound.samples).tobytes())
    return Fingerprint(count, digest.hexdigest())
