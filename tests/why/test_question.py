"""Verdicts follow from intervals and bounds, and findings are told in full."""

import json
from dataclasses import replace
from math import nan
from pathlib import Path

import pytest
from rich.table import Table
from typer.testing import CliRunner

from why.toy import ARM, FAILS, HOLDS, LINE, OPEN, QUESTION, Toy, claim
from whyformer.attention.score import ScaledDotSpec
from whyformer.cli.main import app
from whyformer.errors import TrainingError
from whyformer.plots.chart import Language
from whyformer.why import catalogue
from whyformer.why.book.charts import findings_page
from whyformer.why.book.terminal import render
from whyformer.why.lab.retrieval import Retrieval, retrieval
from whyformer.why.lab.training import ToyTraining
from whyformer.why.question import Bounds, Claim, Question, Verdict, verdict
from whyformer.why.results import result_record


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


@pytest.mark.parametrize(("lang", "word"), [("en", "Verdict: supported"), ("zh", "结论：支持")])
def test_it_is_told_in_both_languages(lang: Language, word: str):
    parts = [*render(QUESTION.ask([1, 2]), lang)]
    assert isinstance(parts[-1], str)
    assert parts[-1].startswith(word)
    assert sum(isinstance(part, Table) for part in parts) == 3


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_picture_is_drawn(lang: Language):
    page = findings_page(QUESTION.ask([1, 2]), lang)
    assert page.png().startswith(b"\x89PNG")
    assert page.stem == "q99"
    prose = ("So.", "But.", "And.") if lang == "en" else ("如此。", "不过。", "以及。")
    assert page.paragraphs[-3:] == prose


def test_without_a_chinese_font_the_picture_is_in_english(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("whyformer.why.book.charts.missing_glyphs", frozenset)
    page = findings_page(QUESTION.ask([1, 2]), "zh")
    assert page.note is not None
    assert json.dumps(page.still).isascii()
    assert not json.dumps(page.interactive, ensure_ascii=False).isascii()


@pytest.mark.parametrize("question", catalogue.QUESTIONS.values(), ids=lambda question: question.stem)
def test_every_question_is_whole(question: Question):
    assert catalogue.find(question.number) is question
    texts = [question.title, *(each.text for each in question.claims)]
    assert all(text.en.isprintable() and text.zh and text.en != text.zh for text in texts)
    assert any(each.control for each in question.claims)
    assert any(each.tolerated for each in question.claims)
    json.dumps(question.experiment.model_dump(mode="json"))


def test_the_verb_lists_answers_and_saves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(catalogue.QUESTIONS, 99, replace(QUESTION))
    run = CliRunner().invoke
    assert " 99  为何？" in run(app, ["why", "--lang", "zh"]).stdout
    told_ = run(app, ["why", "99", "--out", str(tmp_path)], catch_exceptions=False)
    assert "Verdict: supported (3 seeds" in told_.stdout
    assert {path.name for path in tmp_path.iterdir()} == {"q99", "q99.json", "q99.html", "q99.png"}
    printed = run(app, ["why", "99", "--out", str(tmp_path), "--json", "--seeds", "4"]).stdout
    assert json.loads(printed)["seeds"] == [1, 2, 3, 4]


def test_an_unknown_question_is_a_sentence():
    result = CliRunner().invoke(app, ["why", "77"])
    assert result.exit_code == 2
    assert "there is no question 77; there are: 3, 8, 20." in result.stderr


def test_an_arm_that_the_clock_stops_proves_nothing():
    training = ToyTraining(steps=9, seconds=1e-9, batch=2, test_every=9, test_examples=2)
    with pytest.raises(TrainingError, match="step 1 of 9"):
        training.run(Retrieval(ScaledDotSpec(), 4), retrieval(keys=2), seed=1)
