"""Strings of words as a recogniser hears them: features, words and the time of each."""

from dataclasses import dataclass

from whyformer.data.audio.augmentation import AugmentationSpec
from whyformer.data.audio.features import Features, FilterBankSpec
from whyformer.data.audio.spoken.strings import SpokenStrings
from whyformer.data.audio.statistics import FeatureStatistics

# Marks the draws for features apart from those for samples, which the same string has.
_FOR_FEATURES = 1


@dataclass(frozen=True)
class HeardString:
    """Features of a string of words."""

    features: Features
    """Normalised features (frames, bins)."""
    words: tuple[str, ...]
    """The words, in order."""
    starts: tuple[int, ...]
    """First sample of each word."""
    ends: tuple[int, ...]
    """Sample behind the last one of each word."""
    speaker: str
    """Speaker's name."""


class HeardStrings:
    """Endless examples; an example is a pure function of the strings' seed, epoch and index.

    Args:
        strings: The strings, at the rate of the features.
        bank: The features.
        statistics: Mean and deviation that normalise them.
        augmentation: Changes of the features for training; the strings have their own for samples.
    """

    def __init__(
        self,
        strings: SpokenStrings,
        bank: FilterBankSpec,
        statistics: FeatureStatistics,
        augmentation: AugmentationSpec | None = None,
    ) -> None:
        assert strings.rate == bank.rate, "clips are loaded at the rate of the features"
        self.strings: SpokenStrings = strings
        """The strings that are heard."""
        self._bank = bank
        self._statistics = statistics
        self._augmentation = augmentation

    def at(self, epoch: int, index: int) -> HeardString:
        """Example ``index`` of an epoch."""
        string = self.strings.at(epoch, index)
        features = self._bank.extract(string.samples)
        if self._augmentation is not None:
            generator = self.strings.generator(epoch, index, _FOR_FEATURES)
            features = self._augmentation.features_changed(features, self._bank, generator)
            features = self._augmentation.masked(self._statistics.normalised(features), generator)
        else:
            features = self._statistics.normalised(features)
        return HeardString(features, string.words, string.starts, string.ends, string.speaker)


def estimate_statistics(
    strings: SpokenStrings,
    bank: FilterBankSpec,
    count: int = 400,
    augmentation: AugmentationSpec | None = None,
) -> FeatureStatistics:
    """Estimate feature statistics on ``count`` training strings of epoch 0, changed as in training.

    Raises:
        DataError: kaldi-native-fbank is missing, or there is no frame.
    """

    def features(index: int) -> Features:
        plain = bank.extract(strings.at(0, index).samples)
        if augmentation is None:
            return plain
        generator = strings.generator(0, index, _FOR_FEATURES)
        return augmentation.features_changed(plain, bank, generator)

    return FeatureStatistics.estimate(features(index) for index in range(count))
