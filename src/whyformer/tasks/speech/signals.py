"""Signals to train and to be judged by: features of sounds, with the symbols that are said in them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from whyformer.data.audio.augmentation import AugmentationSpec
from whyformer.data.audio.features import FilterBankSpec
from whyformer.data.audio.statistics import FeatureStatistics
from whyformer.lengths import output_count
from whyformer.tasks.speech.sounds import SoundSource, SpokenSound
from whyformer.tasks.streaming.training import MadeSignals, Signal
from whyformer.tasks.streaming.vocabulary import SymbolTable

_STATISTICS_FROM = 200  # sounds of the first epoch: some ten minutes


class SoundSignals(MadeSignals):
    """Signals made of sounds as training asks for them.

    Args:
        sounds: to be trained on.
        features: way to make features of them.
        augmentation: changes of the features; those of the samples are the source's.
        symbols: to write what is said.
        statistics: to normalise by.
    """

    def __init__(
        self,
        sounds: SoundSource,
        features: FilterBankSpec,
        augmentation: AugmentationSpec,
        symbols: SymbolTable,
        statistics: FeatureStatistics,
    ) -> None:
        super().__init__()
        self._sounds = sounds
        self._features = features
        self._augmentation = augmentation
        self._symbols = symbols
        self._statistics = statistics

    @property
    @override
    def lengths(self) -> NDArray[np.int64]:
        stage, rate = self._features.stage, self._features.rate
        seconds = [self._sounds.seconds(index) for index in range(len(self._sounds))]
        return np.array([output_count(round(rate * each), stage) for each in seconds], dtype=np.int64)

    @override
    def make(self, epoch: int, index: int) -> Signal:
        sound, generator = self._sounds.at(epoch, index), self._sounds.generator(epoch, index)
        raw = self._features.extract(sound.samples)
        changed = self._augmentation.features_changed(raw, self._features, generator)
        frames = self._augmentation.masked(self._statistics.normalised(changed), generator)
        text = self._symbols.encode(" ".join(sound.words), sound.name)
        return Signal(frames.astype(np.float32), tuple(text))


def estimate_statistics(
    sounds: SoundSource, features: FilterBankSpec, augmentation: AugmentationSpec
) -> FeatureStatistics:
    """Statistics of the first sounds of the first epoch, changed as in training, but without masks."""

    def changed(index: int) -> NDArray[np.float32]:
        raw = features.extract(sounds.at(0, index).samples)
        return augmentation.features_changed(raw, features, sounds.generator(0, index))

    return FeatureStatistics.estimate(changed(i) for i in range(min(len(sounds), _STATISTICS_FROM)))


def held_out_signals(
    sounds: Sequence[SpokenSound],
    features: FilterBankSpec,
    symbols: SymbolTable,
    statistics: FeatureStatistics,
) -> list[Signal]:
    """Signals of ``sounds`` as they are."""
    return [
        Signal(
            statistics.normalised(features.extract(sound.samples)),
            tuple(symbols.encode(" ".join(sound.words), sound.name)),
        )
        for sound in sounds
    ]
