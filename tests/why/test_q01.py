"""Question 1 in small: it goes the right way, and not where all heads look the same way."""

from dataclasses import replace

import pytest
from torch import Tensor

from whyformer.attention import multihead
from whyformer.attention.mask import Mask
from whyformer.why.lab.training import ToyTraining
from whyformer.why.questions.q01_heads import QUESTION, SeveralHeads

SMALL = SeveralHeads(
    heads=(1, 4, 8),
    rates=(4e-3,),
    training=ToyTraining(steps=100, batch=64, test_every=50, test_examples=128),
)


def test_the_small_experiment_goes_the_right_way():
    findings = replace(QUESTION, experiment=SMALL).ask([11])
    outcomes = {judged.claim.key: judged.outcome for judged in findings.judgements}
    # Seeds 11 to 13, 150 steps: 49 to 65 points (20 hold), a head's own lookup 86 to 89 (50 hold).
    assert all(outcomes[key] == "holds" for key in ("gap", "specialised", "one"))


def test_with_one_distribution_for_all_heads_it_does_not(monkeypatch: pytest.MonkeyPatch):
    weigh = multihead.weigh

    def alike(logits: Tensor, mask: Mask) -> Tensor:
        return weigh(logits.mean(dim=1, keepdim=True).expand_as(logits), mask)

    monkeypatch.setattr(multihead, "weigh", alike)
    findings = replace(QUESTION, experiment=SMALL).ask([11])
    outcomes = {judged.claim.key: judged.outcome for judged in findings.judgements}
    # Seeds 11 to 13, 150 steps: -9 to 15 points.
    assert (outcomes["gap"], outcomes["one"]) == ("fails", "holds")
