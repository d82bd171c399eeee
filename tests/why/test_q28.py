"""Question 28 in small: parity, and what each mark is for; a pipeline with a fault is found out."""

import pytest
import torch
from torch import Tensor

from whyformer.attention import multihead
from whyformer.attention.mask import Mask
from whyformer.why.lab.sequences import translation as toy
from whyformer.why.lab.training import ToyTraining
from whyformer.why.questions.q28_pipeline import ENDLESS, QUESTION, UNSHIFTED, WHOLE, Pipeline, by_heart

TRAINING = ToyTraining(steps=250, test_every=25, rate=3e-3, batch=64, test_examples=64)
CLAIMS = {claim.key: claim for claim in QUESTION.claims}


def test_the_small_experiment_goes_the_right_way():
    measured = Pipeline(training=TRAINING, translator=False).run(1)
    # 4 seeds have all 64 right, differences of at most 2e-6, and from 1.4 on without √d (0.01 is asked).
    assert CLAIMS["exact"].value(measured) >= 62
    for key in ("parity", "gradient", "unshifted", "endless", "bare"):
        assert CLAIMS[key].expected.low <= CLAIMS[key].value(measured) <= CLAIMS[key].expected.high


def test_a_wrong_scale_of_the_scores_breaks_parity(monkeypatch: pytest.MonkeyPatch):
    weigh = multihead.weigh

    def sharper(logits: Tensor, mask: Mask) -> Tensor:
        return weigh(2.0 * logits, mask)

    monkeypatch.setattr(multihead, "weigh", sharper)
    monkeypatch.setattr(multihead, "choose", lambda *_args, **_options: "plain")
    torch.manual_seed(0)
    assert toy.differences_from_torch(scaled=True)[0] > 1e-3


def test_arms_differ_in_one_mark_only():
    whole, unshifted, endless = (by_heart(arm, 5) for arm in (WHOLE, UNSHIFTED, ENDLESS))
    assert torch.equal(whole.target, unshifted.target)
    assert torch.equal(unshifted.sentences[:, 9:], whole.target)
    assert torch.equal(whole.sentences[:, 10:], whole.target[:, :-1])
    assert torch.equal(whole.sentences, endless.sentences)
    assert torch.equal(whole.target[:, :-1], endless.target[:, :-1])
