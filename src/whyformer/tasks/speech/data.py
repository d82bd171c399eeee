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
