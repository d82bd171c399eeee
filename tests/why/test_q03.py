"""Question 3 in small: it goes the right way, and not where scaling is switched off."""

from dataclasses import replace

from whyformer.attention.score import DotSpec
from whyformer.why.lab.training import ToyTraining
from whyformer.why.questions.q03_scale import QUESTION, Scale


def test_the_small_experiment_goes_the_right_way():
    short = ToyTraining(steps=170, test_every=10, test_examples=128)
    findings = replace(QUESTION, experiment=Scale(rates=(1e-3,), training=short)).ask([11])
    # Seeds 11 to 15: 2.1 times the steps (stopped at 170), gradients 6.7 to 10.7 times as large (2 hold),
    # Jacobians 0.31 to 0.37 (up to 0.4), a small W_Q 0.29 to 0.35 times the steps (up to 0.5).
    outcomes = {judged.claim.key: judged.outcome for judged in findings.judgements}
    assert all(
        outcomes[key] == "holds" for key in ("gradient", "jacobian", "top", "exponent", "jacobian4", "small")
    )
    [steps, *_] = findings.judgements
    assert steps.interval.mean > 1.5


def test_without_the_scale_it_does_not():
    broken = Scale(scaled=DotSpec(), rates=(1e-3,), training=ToyTraining(steps=10, test_every=10))
    findings = replace(QUESTION, experiment=broken).ask([11])
    outcomes = {judged.claim.key: judged.outcome for judged in findings.judgements}
    assert all(outcomes[key] == "fails" for key in ("steps", "steps64", "gradient", "jacobian"))
    assert findings.verdict != "supported"
