"""Question 6 in small: a model that can see ahead copies, and one that cannot does not."""

import pytest
import torch

from whyformer.attention.mask import Mask
from whyformer.special_tokens import BOS, EOS
from whyformer.why.arms import Text
from whyformer.why.lab.masks import reversed_words
from whyformer.why.lab.training import IGNORED, ToyTraining
from whyformer.why.question import Measurements
from whyformer.why.questions import q06_masks as q06


def measure(arm: Text, masks: tuple[bool, bool], steps: int) -> Measurements:
    training = ToyTraining(steps=steps, test_every=25, rate=3e-3, test_examples=64)
    return q06.Masks(arms={arm: masks}, training=training).run(101)


def test_words_are_reversed():
    letters, length = torch.tensor([[5, 6, 7, 8]]), torch.tensor([[2]])
    sentences, target = reversed_words(letters, length)
    assert sentences.tolist() == [[[5, 6, EOS, 0], [BOS, 6, 5, 0]]]
    assert target.tolist() == [[6, 5, EOS, IGNORED]]


@pytest.mark.parametrize("causal", [False, True])
def test_a_model_that_sees_ahead_copies(causal: bool):
    measured = measure(q06.NO_CAUSAL, (causal, True), steps=200)
    free = measured[q06.WORDS, q06.NO_CAUSAL, q06.FREE]
    hidden, forced = (measured[q06.TOKENS, q06.NO_CAUSAL, test] for test in (q06.HIDDEN, q06.FORCED))
    # 6 seeds: 0 % of words free-running, and 90 points of letters lost; with the mask 28 at least, and 0.
    assert (free < 5) != causal
    assert (forced - hidden > 30) != causal


def test_padding_changes_nothing_unless_it_is_seen(monkeypatch: pytest.MonkeyPatch):
    def logit_change(padding: bool) -> float:
        return measure(q06.BOTH, (True, padding), steps=5)[q06.CHANGES, q06.BOTH, q06.MORE]

    assert logit_change(True) < 1e-4 < 1e-2 < logit_change(False)
    monkeypatch.setattr(Mask, "allowed", None)
    assert logit_change(True) > 1e-2
