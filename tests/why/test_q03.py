"""Question 3 in small: it goes the right way, and not where scaling is switched off."""

from dataclasses import replace

from whyformer.attention.score import DotSpec
from whyformer.why.lab.training import ToyTraining
from whyformer.why.questions.q03_scale import QUESTION, Scale


def test_the_small_experiment_goes_the_right_way():
    small = Scale(training=ToyTraining(steps=180, test_every=10, test_examples=256))
    [exponent, jacobian, steps, same] = replace(QUESTION, experiment=small).ask([1]).judgements
    # 20 seeds: exponents of 0.498 to 0.502 (0.45 to 0.55 hold), Jacobians 0.31 to 0.37 (up to 0.4), steps of
    # a small W_Q 0.56 to 1 (up to 1.25).
    assert [each.outcome for each in (exponent, jacobian, same)] == ["holds"] * 3
    # Whether it is twice as many steps is another matter: stopped at 180, 20 seeds have 1.8 to 2.6, mean 2.2,
    # deviation 0.18.
    assert steps.estimate.mean > 1.3


def test_without_the_scale_it_does_not():
    broken = Scale(scaled=DotSpec(), training=ToyTraining(steps=40, test_every=40))
    findings = replace(QUESTION, experiment=broken).ask([1])
    assert [judged.outcome for judged in findings.judgements] == ["holds", "fails", "fails", "holds"]
    assert findings.verdict == "undecided"
