"""What is published is short, and says what was measured."""

import runpy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from why.toy import ARM, LINE, QUESTION, Toy
from whyformer.why import catalogue
from whyformer.why.published import published, published_folder
from whyformer.why.question import Bounds, Claim, Measurements, Question, Text
from whyformer.why.results import SeedResults, concluded

SCRIPT = Path(__file__).parents[2] / "docs" / "why" / "publish.py"


class Curve(Toy):
    """A long learning curve."""

    @override
    def measure(self, seed: int) -> Measurements:
        measured = self.measured(seed)
        measured.update({(LINE, ARM, step): seed + step / 3 for step in range(1, 501)})
        return measured


def at(place: int) -> Claim:
    return Claim("it", Text("at", "在"), lambda measured: measured[LINE, ARM, place], Bounds(low=0.0))


@pytest.fixture
def publish(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[Question], list[str]]:
    module: dict[str, Any] = runpy.run_path(str(SCRIPT))

    def put(question: Question) -> list[str]:
        monkeypatch.setattr(catalogue, "QUESTIONS", {99: question})
        module["publish"].__globals__["QUESTIONS"] = {99: question}
        return module["publish"](tmp_path / "runs", tmp_path / "docs")

    return put


@pytest.mark.parametrize(("place", "kept"), [(500, 57), (499, 500)])
def test_curves_are_thinned_where_no_claim_reads_what_goes(
    publish: Callable[[Question], list[str]], tmp_path: Path, place: int, kept: int
):
    question = replace(QUESTION, claims=(at(place),), experiment=Curve())
    results = SeedResults(question, tmp_path / "runs")
    full = concluded(question, {seed: results.measure(seed) for seed in (1, 2, 3)})
    assert publish(question) == []
    short = published(question, tmp_path / "docs")
    assert short is not None
    assert len(short.measured[1].line(LINE, ARM)) == kept
    assert short.judgements[0].values == pytest.approx(full.judgements[0].values, rel=1e-6)
    assert short.verdict == full.verdict
    assert short.origin == full.origin


def test_what_is_not_whole_stays_as_it_was(publish: Callable[[Question], list[str]], tmp_path: Path):
    SeedResults(QUESTION, tmp_path / "runs").measure(2)
    assert publish(QUESTION) == ["q99: not published, seeds 1, 3 are missing"]
    assert published(QUESTION, tmp_path / "docs") is None


def test_a_checkout_has_them_among_its_documents():
    assert published_folder() == SCRIPT.parent
