"""What a comparison comes to: rows by cell and seed, the JSON, the page and the picture."""

import json
import math
from pathlib import Path

import pytest

from whyformer.errors import RecipeError
from whyformer.experiments.grid import Results, Variation, plan_trials
from whyformer.experiments.results import rows, save_comparison
from whyformer.experiments.trial import Measured


def measured(nll: float, **others: float) -> Measured:
    scores = [{"name": "bleu", "value": 10 * nll, "signature": "s"}]
    return Measured({"nll": nll, **others}, {"test": {"scores": scores}}, 100, 2e6, 500.0, 1.5, 7, 1)


@pytest.fixture
def results(tmp_path: Path) -> Results:
    """Three cells and two seeds, of which the last cell fails once and the second always."""
    trials = plan_trials("reverse", [Variation.of("training.clip=1,2,3")], [1, 2], tmp_path)
    found = [
        measured(1.0, bleu=3.0),
        "it failed.",
        measured(1.5),
        measured(2.0, bleu=4.0),
        "so did it.",
        "too.",
    ]
    return dict(zip(trials, found, strict=True))


def test_a_row_holds_the_seeds_and_the_difference_is_taken_seed_by_seed(results: Results):
    first, failed, last = rows(results, "nll")
    assert [row.cell for row in (first, failed, last)] == ["clip=1", "clip=2", "clip=3"]
    assert first.values == {1: 1.0, 2: 2.0}
    assert first.estimate is not None
    assert (first.estimate.mean, first.estimate.low, first.estimate.high) == (1.5, 1.0, 2.0)
    assert first.difference is None
    assert (failed.values, failed.estimate, failed.difference) == ({}, None, None)
    # Only the seed that both have counts, so it is 1.5 - 1.0 and not 1.5 - 1.5.
    assert last.difference is not None
    assert last.difference.mean == 0.5


def test_a_figure_that_only_some_have_is_missing_elsewhere(results: Results):
    assert [len(row.values) for row in rows(results, "bleu")] == [2, 0, 0]
    assert [row.values for row in rows(results, "test.bleu")] == [{1: 10.0, 2: 20.0}, {}, {1: 15.0}]
    with pytest.raises(RecipeError, match=r"no figure blue; there are: nll, bleu, test\.bleu, parameters"):
        rows(results, "blue")


def test_the_json_tells_everything(results: Results, tmp_path: Path):
    record = save_comparison(tmp_path / "out", results, {"recipe": "reverse"}, ["nll", "seconds"])
    read = json.loads((tmp_path / "out" / "comparison.json").read_text(encoding="utf-8"))
    assert read["recipe"] == "reverse"
    assert read["code"] is None or len(read["code"].rstrip("+")) == 40
    assert len(read["runs"]) == 6
    assert read["runs"][0]["settings"] == {"training.clip": "1"}
    assert read["runs"][0]["flops_per_token"] == 2e6
    assert read["runs"][1]["error"] == "it failed."
    assert read["figures"]["nll"][2] == {
        "cell": "clip=3",
        "values": {"1": 1.5},
        "estimate": {"mean": 1.5, "low": 1.5, "high": 1.5},
        "difference": {"mean": 0.5, "low": 0.5, "high": 0.5},
    }
    assert record["figures"].keys() == read["figures"].keys() >= {"nll", "test.bleu", "steps", "parameters"}
    assert all(math.isfinite(row["estimate"]["mean"]) for row in read["figures"]["nll"] if row["estimate"])
    assert (tmp_path / "out" / "comparison.png").read_bytes().startswith(b"\x89PNG")
    page = (tmp_path / "out" / "comparison.html").read_text(encoding="utf-8")
    assert "negative log-likelihood" in page
    assert "seconds" in page


def test_a_comparison_in_which_all_fails_is_written_too(results: Results, tmp_path: Path):
    failed: Results = dict.fromkeys(results, "it failed.")
    record = save_comparison(tmp_path / "out", failed, {}, ["nll"])
    assert record["figures"] == {}
    assert [row.estimate for row in rows(failed, "nll")] == [None, None, None]
    assert (tmp_path / "out" / "comparison.png").exists()
