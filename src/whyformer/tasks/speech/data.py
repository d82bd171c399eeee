"""The spoken data of a recipe: strings of recorded or generated words, or utterances in a table."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal, Protocol

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import Field

from whyformer.data.audio.augmentation import AugmentationSpec, SoundChanges
from whyformer.data.audio.clips import Clip, ClipSets, RecordingsSpec
from whyformer.data.audio.features import FilterBankSpec
from whyformer.data.audio.statistics import FeatureStatistics
from whyformer.data.audio.strings import SpokenString, SpokenStrings, StringSpec
from whyformer.data.audio.tones import ToneSpec
from whyformer.data.corpora.held_out import VALID, refuse_unknown_sets
from whyformer.lengths import output_count
from whyformer.spec import Spec
from whyformer.tasks.streaming.symbols import SymbolTable
from whyformer.tasks.streaming.training import Signal
from whyformer.training.storage.fingerprint import Fingerprint

SEEN, UNHEARD = "seen", "unheard"
"""Names of the test sets of strings: of speakers in the training data, and of others."""


class SoundSource(Protocol):
    """Sounds to train on; each is a pure function of the seed, the epoch and its index."""

    def __len__(self) -> int:
        """Number of sounds of an epoch."""
        ...

    def seconds(self, index: int) -> float:
        """Duration of a sound, about."""
        ...

    def at(self, epoch: int, index: int) -> SpokenString:
        """The sound, changed as training wants it."""
        ...

    def generator(self, epoch: int, index: int) -> Generator:
        """The source of all that is random in what is done to its features."""
        ...


@dataclass(frozen=True)
class SpeechSets:
    """Sounds to train on, and sets that are held out, by name; ``valid`` is to choose by."""

    train: SoundSource
    held_out: Mapping[str, Sequence[SpokenString]]
    words: tuple[str, ...]
    """Words that occur, sorted."""
    summary: str
    """One sentence on what was read."""
    fingerprints: Mapping[str, Fingerprint]


class StringsSpec(Spec):
    """Strings of words: recordings of single words laid behind one another, so that their times are known."""

    kind: Literal["strings"] = "strings"
    words: Annotated[RecordingsSpec | ToneSpec, Field(discriminator="kind")]
    """Source of the words."""
    strings: StringSpec = StringSpec()
    """Lengths and pauses."""
    train: int = Field(default=600, ge=1)
    """Strings of an epoch; each epoch has others."""
    valid: int = Field(default=100, ge=1)
    """Strings of the validation set: of speakers in the training data, from recordings that are not."""
    test: int = Field(default=200, ge=1)
    """Strings of each test set: ``seen`` speakers with such recordings, and ``unheard`` ones."""

    @property
    def test_names(self) -> tuple[str, ...]:
        """Names of the test sets."""
        return SEEN, UNHEARD

    def load(self, features: FilterBankSpec, augmentation: AugmentationSpec, seed: int) -> SpeechSets:
        """Read the words.

        Args:
            features: whose sampling rate the sounds get.
            augmentation: changes of the strings that are trained on.
            seed: of those strings; held-out ones are always the same.

        Raises:
            DataError: words cannot be read, or a side has none.
        """
        clips = self.words.load(features.rate)
        changes = SoundChanges(augmentation, features.rate)
        train = _EpochStrings(SpokenStrings(clips.train, self.strings, seed, changes), self, clips.train)
        held_out = self._held_out(clips)
        words = sorted({clip.label for clip in clips.train})
        return SpeechSets(
            train,
            held_out,
            tuple(words),
            _summary(clips, self),
            {
                "train": _clips_fingerprint(clips.train, self.strings),
                "valid": _clips_fingerprint(clips.valid, self.strings),
            },
        )

    def held_out(self, name: str, features: FilterBankSpec) -> Sequence[SpokenString]:
        """The held-out set ``name``.

        Raises:
            DataError: there is none of that name, or words cannot be read.
        """
        refuse_unknown_sets([name], [VALID, *self.test_names])
        return self._held_out(self.words.load(features.rate))[name]

    def _held_out(self, clips: ClipSets) -> dict[str, Sequence[SpokenString]]:
        sets = {VALID: (clips.valid, self.valid), SEEN: (clips.valid, self.test), UNHEARD: (clips.test, self.test)}
        found: dict[str, Sequence[SpokenString]] = {}
        for number, (name, (side, count)) in enumerate(sets.items()):
            strings = SpokenStrings(side, self.strings, _HELD_OUT_SEED + number)
            found[name] = [strings.at(0, index) for index in range(count)]
        return found


_HELD_OUT_SEED = 1_000_003
"""Seed of strings that are held out: no recipe's, so that all runs are judged by the same ones."""


class _EpochStrings:
    """The strings of each epoch, in numbers of words that follow from their index alone."""

    def __init__(self, strings: SpokenStrings, spec: StringsSpec, clips: Sequence[Clip]) -> None:
        self._strings = strings
        self._spec = spec
        self._word = float(np.mean([len(clip.samples) for clip in clips])) / strings.rate

    def __len__(self) -> int:
        return self._spec.train

    def seconds(self, index: int) -> float:
        """Mean duration of such a string before its speed is changed."""
        count = self._strings.count_of(index)
        pause = sum(self._spec.strings.pause_ms) / 2000
        return count * self._word + (count + 1) * pause

    def at(self, epoch: int, index: int) -> SpokenString:
        """The string."""
        return self._strings.at(epoch, index)

    def generator(self, epoch: int, index: int) -> Generator:
        """Random draws for its features."""
        return self._strings.generator(epoch, index).spawn(1)[0]


class UtterancesSpec(Spec):
    """Utterances in tables: the path of a sound file, a tab, what is said in it, on each line.

    Paths are relative to the table's folder.
    """

    kind: Literal["utterances"] = "utterances"
    train: Path
    """Table to train on."""
    valid: Path
    """Table to choose by."""
    test: dict[str, Path] = Field(default={})
    """Test sets by name."""

    @model_validator(mode="after")
    def _names_differ(self) -> "UtterancesSpec":
        refuse_reserved_name(self.test, "utterances")
        return self

    @property
    def test_names(self) -> tuple[str, ...]:
        """Names of the test sets."""
        return tuple(self.test)

    def load(self, features: FilterBankSpec, augmentation: AugmentationSpec, seed: int) -> SpeechSets:
        """Read the tables and their sounds; see ``StringsSpec.load``."""
        train, valid = (read_utterances(path, features.rate) for path in (self.train, self.valid))
        changes = SoundChanges(augmentation, features.rate)
        seconds = sum(len(each.samples) for each in train) / features.rate
        return SpeechSets(
            UtteranceSource(train, changes, seed),
            {VALID: valid},
            [each.words for each in train],
            f"{len(train):,} utterances of {seconds / 60:.1f} minutes to train on, {len(valid):,} in {VALID}",
            {"train": utterances_fingerprint(train), "valid": utterances_fingerprint(valid)},
        )

    def held_out(self, name: str, features: FilterBankSpec) -> Sequence[SpokenString]:
        """The held-out set ``name``; see ``StringsSpec.held_out``."""
        refuse_unknown_sets([name], [VALID, *self.test])
        return read_utterances(self.valid if name == VALID else self.test[name], features.rate)
