"""The spoken data of a recipe: strings of single words, prompts, or utterances in tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from whyformer.data.audio.augmentation import AugmentationSpec, SoundChanges
from whyformer.data.audio.features import FilterBankSpec
from whyformer.data.audio.spoken.clips import Clip, ClipSets, RecordingsSpec
from whyformer.data.audio.spoken.prompts import PromptsSpec, RecordedPrompt
from whyformer.data.audio.spoken.strings import SpokenStrings, StringSpec
from whyformer.data.audio.spoken.tones import ToneSpec
from whyformer.data.corpora.held_out import VALID, refuse_reserved_name, refuse_unknown_sets
from whyformer.spec import Spec
from whyformer.tasks.speech.sounds import (
    EpochStrings,
    SoundSource,
    SpokenSound,
    UtteranceSource,
    read_utterances,
    sounds_fingerprint,
)
from whyformer.training.storage.fingerprint import Fingerprint

SEEN, UNHEARD = "seen", "unheard"
"""Names of the test sets of strings: of speakers in the training data, and of others."""

_HELD_OUT_SEED = 1_000_003
"""Seed of strings that are held out: no recipe's, so that all runs are judged by the same ones."""


@dataclass(frozen=True)
class SpeechSets:
    """Sounds to train on and to choose by."""

    train: SoundSource
    valid: Sequence[SpokenSound]
    texts: Sequence[str]
    """All that may be said in training."""
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
        strings = SpokenStrings(clips.train, self.strings, seed, SoundChanges(augmentation, features.rate))
        mean = sum(len(clip.samples) for clip in clips.train) / len(clips.train) / features.rate
        speakers = len({clip.speaker for clip in clips.train})
        return SpeechSets(
            EpochStrings(strings, self.strings, self.train, mean),
            self._held_out(clips, VALID),
            sorted({clip.label for clip in clips.train}),
            f"{len(clips.train):,} words of {speakers} speakers to train on, {len(clips.valid):,} of them to "
            f"choose by, {len(clips.test):,} of others; {self.train:,} strings an epoch",
            {"train": _clips_fingerprint(clips.train), "valid": _clips_fingerprint(clips.valid)},
        )

    def held_out(self, name: str, features: FilterBankSpec) -> Sequence[SpokenSound]:
        """The held-out set ``name``.

        Raises:
            DataError: there is none of that name, or words cannot be read.
        """
        refuse_unknown_sets([name], [VALID, *self.test_names])
        return self._held_out(self.words.load(features.rate), name)

    def _held_out(self, clips: ClipSets, name: str) -> list[SpokenSound]:
        sets = {
            VALID: (clips.valid, self.valid),
            SEEN: (clips.valid, self.test),
            UNHEARD: (clips.test, self.test),
        }
        side, count = sets[name]
        strings = SpokenStrings(side, self.strings, _HELD_OUT_SEED + [*sets].index(name))
        return [SpokenSound.of(strings.at(0, index), f"{name} {index}") for index in range(count)]


def _clips_fingerprint(clips: Sequence[Clip]) -> Fingerprint:
    return sounds_fingerprint(
        SpokenSound(clip.label, clip.samples, clip.rate, (clip.label,)) for clip in clips
    )


class SpokenPromptsSpec(Spec):
    """Recorded telephone prompts: whole sentences of one voice."""

    kind: Literal["prompts"] = "prompts"
    prompts: PromptsSpec = PromptsSpec()
    """Where they are."""

    @property
    def test_names(self) -> tuple[str, ...]:
        """Names of the test sets."""
        return ("test",)

    def load(self, features: FilterBankSpec, augmentation: AugmentationSpec, seed: int) -> SpeechSets:
        """Read the prompts; see ``StringsSpec.load``."""
        sets = self.prompts.load(features.rate)
        train, valid = (
            [_sound_of(each, features.rate) for each in side] for side in (sets.train, sets.valid)
        )
        return _utterance_sets(train, valid, augmentation, features.rate, seed)

    def held_out(self, name: str, features: FilterBankSpec) -> Sequence[SpokenSound]:
        """The held-out set ``name``; see ``StringsSpec.held_out``."""
        refuse_unknown_sets([name], [VALID, *self.test_names])
        sets = self.prompts.load(features.rate)
        return [_sound_of(each, features.rate) for each in (sets.valid if name == VALID else sets.test)]


def _sound_of(prompt: RecordedPrompt, rate: int) -> SpokenSound:
    return SpokenSound(prompt.name, prompt.samples, rate, tuple(prompt.text.split()))


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
        return _utterance_sets(train, valid, augmentation, features.rate, seed)

    def held_out(self, name: str, features: FilterBankSpec) -> Sequence[SpokenSound]:
        """The held-out set ``name``; see ``StringsSpec.held_out``."""
        refuse_unknown_sets([name], [VALID, *self.test])
        return read_utterances(self.valid if name == VALID else self.test[name], features.rate)


def _utterance_sets(
    train: Sequence[SpokenSound],
    valid: Sequence[SpokenSound],
    augmentation: AugmentationSpec,
    rate: int,
    seed: int,
) -> SpeechSets:
    minutes = sum(sound.seconds for sound in train) / 60
    return SpeechSets(
        UtteranceSource(train, SoundChanges(augmentation, rate), seed),
        valid,
        [" ".join(sound.words) for sound in train],
        f"{len(train):,} utterances, {minutes:.1f} minutes, to train on; {len(valid):,} to choose by",
        {"train": sounds_fingerprint(train), "valid": sounds_fingerprint(valid)},
    )


SpeechDataSpec = Annotated[StringsSpec | SpokenPromptsSpec | UtterancesSpec, Field(discriminator="kind")]
"""Sounds of any kind."""
