"""Verdicts follow from intervals and bounds, and findings are told in full."""

import json
from collections.abc import Sequence
from dataclasses import replace
from io import StringIO
from math import nan

import pytest
from rich.console import Console

from why.toy import ARM, FAILS, HOLDS, LINE, OPEN, QUESTION, Toy, claim
from whyformer.attention.score import ScaledDotSpec
from whyformer.errors import TrainingError
from whyformer.plots.chart import Language
from whyformer.why.lab.toys.retrieval import Retrieval, retrieval
from whyformer.why.lab.training import ToyTraining
from whyformer.why.question import Bounds, Claim, Findings, Verdict, verdict
from whyformer.why.results import result_record
from whyformer.why.terminal.answer import render


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ([claim(HOLDS)], "supported"),
        ([claim(HOLDS), claim(OPEN)], "undecided"),
        ([claim(HOLDS), claim(FAILS)], "undecided"),
        ([claim(HOLDS), claim(FAILS, tolerated=FAILS)], "refuted"),
        ([claim(FAILS, tolerated=OPEN)], "undecided"),
        ([claim(HOLDS), claim(FAILS, control=True)], "undecided"),
        ([claim(FAILS, tolerated=FAILS), claim(OPEN, control=True)], "undecided"),
        ([claim(HOLDS), claim(FAILS, tolerated=FAILS, control=True)], "refuted"),
    ],
)
def test_the_verdict_follows_from_the_claims(claims: list[Claim], expected: Verdict):
    measured = [Toy.measured(seed) for seed in (1, 2, 3)]
    assert verdict([each.judge(measured) for each in claims]) == expected


def test_what_was_not_measured_leaves_a_claim_open():
    measured = Toy.measured(1)
    measured[LINE, ARM, 1] = nan
    assert claim(HOLDS).judge([measured, Toy.measured(2)]).outcome == "open"


def test_bounds_read_like_a_table():
    assert [str(Bounds(low=2.0)), str(Bounds(high=0.4)), str(Bounds(-3.0, 3.0))] == ["≥ 2", "≤ 0.4", "-3 … 3"]


def test_the_record_is_json_and_holds_the_verdict():
    kept = json.loads(json.dumps(result_record(QUESTION.ask([1, 2])), allow_nan=False))
    assert kept["verdict"] == "supported"
    assert kept["seeds"] == [1, 2]
    assert kept["claims"][0]["expected"] == [0.0, None]
    assert kept["figures"][0]["numbers"][0] == {"arm": "arm", "place": "1", "by_seed": [2.0, 3.0]}


def printed(findings: Findings, lang: Language) -> str:
    console = Console(width=100, markup=False, record=True, file=StringIO())
    for part in render(findings, lang):
        console.print(part)
    return console.export_text()


@pytest.mark.parametrize(
    ("lang", "words"),
    [
        (
            "en",
            (
                "Q99 Why?",
                "It is 2.5.",
                "So it is. It is so by definition.",
                "set beforehand",
                "mean [min, max]",
                "≥ 0",
                "2.5 [2, 3]",
                "✓ holds",
                "━━ B other  → 3.5",
                "┈┈ two: 2",
                "Verdict: supported by the experiment ✓ (2 seeds; 1 of 1 claims hold)",
            ),
        ),
        (
            "zh",
            (
                "Q99 为何？",
                "结果是 2.5。",
                "事先设定的范围",
                "平均 [最小, 最大]",
                "✓ 成立",
                "━━ A 甲组  → 3.5",
                "结论：实验支持 ✓（2 个种子；1 条命题中 1 条成立）",
            ),
        ),
    ],
)
def test_it_is_told_in_both_languages(lang: Language, words: Sequence[str]):
    told = printed(QUESTION.ask([1, 2]), lang)
    assert [word for word in words if word not in told] == []
    assert "[^" not in told


def test_five_seeds_have_an_interval_and_a_wrong_headline_is_told_of():
    told = printed(replace(QUESTION, claims=(claim(FAILS, tolerated=FAILS),)).ask([1, 2, 3, 4, 5]), "en")
    assert "mean [95 % interval]" in told
    assert "4 [2.04, 5.96]" in told
    assert "Verdict: refuted by the experiment ✗ (5 seeds; 0 of 1 claims hold)" in told
    assert "written for another verdict (supported by the experiment)" in told


def test_budget_scales_effort_and_nothing_else():
    class Trained(Toy):
        training: ToyTraining = ToyTraining(steps=200, test_every=50, seconds=9.0)

    question = replace(QUESTION, experiment=Trained())
    assert question.with_budget(1.0) is question
    small, large = (question.with_budget(budget).experiment for budget in (0.1, 3.0))
    assert isinstance(small, Trained)
    assert isinstance(large, Trained)
    assert (small.training.steps, large.training.steps) == (20, 600)
    assert (small.training.seconds, large.training.seconds) == (9.0, 27.0)
    assert small.step == 1.0
    assert question.experiment == Trained()


def test_an_arm_that_the_clock_stops_proves_nothing():
    training = ToyTraining(steps=9, seconds=1e-9, batch=2, test_every=9, test_examples=2)
    with pytest.raises(TrainingError, match="step 1 of 9"):
        training.run(Retrieval(ScaledDotSpec(), 4), retrieval(keys=2), seed=1)
