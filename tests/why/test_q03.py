"""Question 3 in small: it goes the right way, and not where scaling is switched off."""

from dataclasses import replace

from whyformer.attention.score import DotSpec
from whyformer.why.lab.training import ToyTraining
from whyformer.why.questions.q03_scale import QUESTION, Scale


def test_the_small_experiment_supports_the_answer():
    small = Scale(training=ToyTraining(steps=180, test_every=10, test_examples=256))
    findings = replace(QUESTION, experiment=small).ask([1])
    assert findings.verdict == "supported", findings.judgements


def test_without_the_scale_it_does_not():
    broken = Scale(scaled=DotSpec(), training=ToyTraining(steps=40, test_every=40))
    findings = replace(QUESTION, experiment=broken).ask([1])
    assert [judged.outcome for judged in findings.judgements] == ["holds", "fails", "fails", "holds"]
    assert findings.verdict == "undecided"
