"""Signals are pure functions of seed, epoch and index, and normalised by the run's statistics."""

import numpy as np
import pytest

from whyformer.data.audio.augmentation import AugmentationSpec
from whyformer.data.audio.features import FilterBankSpec
from whyformer.data.audio.spoken.tones import ToneSpec
from whyformer.tasks.speech.data import StringsSpec
from whyformer.tasks.speech.signals import SoundSignals, estimate_statistics, held_out_signals
from whyformer.tasks.streaming.vocabulary import SymbolTable

FEATURES = FilterBankSpec(bins=16)
DATA = StringsSpec(words=ToneSpec(words=4, voices=3, takes=4), train=12, valid=4, test=4)
PLAIN = AugmentationSpec(speed=None, gain=None, noise=None, vocal_tract=None, tone=None, masks=None)


def signals(augmentation: AugmentationSpec, seed: int = 1) -> SoundSignals:
    sets = DATA.load(FEATURES, augmentation, seed)
    symbols = SymbolTable.of_texts(sets.texts, "word")
    statistics = estimate_statistics(sets.train, FEATURES, augmentation)
    return SoundSignals(sets.train, FEATURES, augmentation, symbols, statistics)


def test_a_signal_is_a_pure_function_of_seed_epoch_and_index() -> None:
    one, other = signals(AugmentationSpec()), signals(AugmentationSpec())
    # What was asked for before makes no difference.
    other.signal(0, 5)
    assert one.text(2, 3) == other.text(2, 3)
    np.testing.assert_array_equal(one.signal(2, 3).frames, other.signal(2, 3).frames)
    for changed in (signals(AugmentationSpec(), seed=2).signal(2, 3), one.signal(1, 3), one.signal(2, 4)):
        assert (
            changed.frames.shape != (again := one.signal(2, 3).frames).shape
            or (changed.frames != again).any()
        )


@pytest.mark.parametrize("augmentation", [PLAIN, AugmentationSpec(masks=None)])
def test_training_signals_are_normalised(augmentation: AugmentationSpec) -> None:
    source = signals(augmentation)
    frames = np.concatenate([source.signal(0, index).frames for index in range(12)])
    np.testing.assert_allclose(frames.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(frames.std(axis=0), 1, atol=1e-2)


def test_lengths_are_near_those_of_signals_that_are_not_changed() -> None:
    source = signals(PLAIN)
    for index, length in enumerate(source.lengths.tolist()):
        assert len(source.signal(0, index).frames) == pytest.approx(length, rel=0.5)


def test_held_out_sets_are_the_same_for_all_runs_and_not_changed() -> None:
    sets = DATA.load(FEATURES, AugmentationSpec(), 7)
    again = DATA.load(FEATURES, PLAIN, 8)
    symbols = SymbolTable.of_texts(sets.texts, "word")
    statistics = estimate_statistics(sets.train, FEATURES, PLAIN)
    for one, other in zip(sets.valid, again.valid, strict=True):
        assert one.words == other.words
        np.testing.assert_array_equal(one.samples, other.samples)
    assert len(held_out_signals(sets.valid, FEATURES, symbols, statistics)) == 4
    assert {name: len(DATA.held_out(name, FEATURES)) for name in DATA.test_names} == {"seen": 4, "unheard": 4}
