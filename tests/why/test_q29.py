"""Question 29 in small: the bend stores, and where there is none width is worth nothing."""

from dataclasses import replace

import pytest
from torch import Tensor

from whyformer.nn.feed_forward import FeedForward
from whyformer.why.questions.q29_feed_forward import QUESTION, FeedForwardMemory

SMALL = FeedForwardMemory(pairs=512, dim=8, widths=(8, 32, 64), rates=(1e-2,), steps=150)
CLAIMS_BY_KEY = {claim.key: claim for claim in QUESTION.claims}


@pytest.mark.parametrize("seed", [101, 102])
def test_the_small_experiment_goes_the_right_way(seed: int):
    measured = SMALL.run(seed)
    values = {key: claim.value(measured) for key, claim in CLAIMS_BY_KEY.items()}
    # 6 seeds: exponents 0.68 to 0.86 with the bend and up to 0.01 without, shares 0.07 to 0.10.
    assert values["grows"] > 0.5
    assert values["linear"] < 0.2
    assert abs(values["flat"]) < 0.1


def test_a_network_without_its_bend_refutes(monkeypatch: pytest.MonkeyPatch):
    def straight(self: FeedForward, x: Tensor) -> Tensor:
        return self.leave(self.enter(x))

    monkeypatch.setattr(FeedForward, "forward", straight)
    widths = SMALL.model_copy(update={"widths": (8, 64)})
    findings = replace(QUESTION, experiment=widths).ask([101])
    refuting = {each.claim.key for each in findings.judgements if each.refutes}
    assert refuting == {"grows", "linear"}
    assert findings.verdict == "refuted"
