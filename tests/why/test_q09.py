"""Question 9 in small: it goes the right way, and not where the width is not split."""

from dataclasses import replace
from functools import partial

import pytest

from whyformer.attention.heads import HeadsSpec
from whyformer.attention.multihead import AttentionSpec
from whyformer.why.lab.training import ToyTraining
from whyformer.why.questions.q09_split import FULL, LAYOUTS, QUESTION, SPLIT, SplitWidth

SMALL = partial(SplitWidth, tokens=64, turns=5, dims=(1, 2, 4, 32), rates=(1e-2,), lookup_rates=(4e-3,))


def test_the_small_experiment_goes_the_right_way():
    short = ToyTraining(steps=150, test_every=50, test_examples=128)
    findings = replace(QUESTION, experiment=SMALL(training=short)).ask([11])
    outcomes = {judged.claim.key: judged.outcome for judged in findings.judgements}
    # Seeds 101 and 102 at full length: 80 points and more (5 hold), no point (5 hold).
    assert all(outcomes[key] == "holds" for key in ("parameters", "operations", "full", "full_time", "knee"))
    assert outcomes["alone"] == "holds"


def test_without_the_split_several_heads_cost_more():
    once = ToyTraining(steps=1, test_every=1)
    broken = SMALL(layouts={**LAYOUTS, SPLIT: LAYOUTS[FULL]}, training=once)
    findings = replace(QUESTION, experiment=broken).ask([11])
    outcomes = {judged.claim.key: judged.outcome for judged in findings.judgements}
    assert [outcomes[key] for key in ("parameters", "operations", "time")] == ["fails"] * 3
    assert findings.verdict != "supported"


@pytest.mark.parametrize("heads", [1, 2, 4, 8])
def test_projections_of_split_heads_have_four_squares_of_the_width(heads: int):
    attention = AttentionSpec(heads=HeadsSpec(query=heads, bias=False)).build(32)
    assert sum(parameter.numel() for parameter in attention.parameters()) == 4 * 32**2
