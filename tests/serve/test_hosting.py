"""Runs as they are hosted: one set of weights each, whatever is asked of it."""

import shutil
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from whyformer.cli.main import app
from whyformer.engines.shortlist.search import ShortlistSearch
from whyformer.errors import CheckpointError
from whyformer.runs.execution import Execution
from whyformer.runs.load import load_embedder
from whyformer.serve.hosting import host_run
from whyformer.tasks.translation.translator import Translator


@pytest.mark.parametrize("name", ["filling_run", "counting_run"])
def test_vectors_come_from_the_runners_own_weights(name: str, request: pytest.FixtureRequest):
    folder: Path = request.getfixturevalue(name)
    hosted = host_run("mine", folder, Execution("cpu"))
    assert hosted.embedder is not None
    assert hosted.embedder.model is hosted.runner.model
    texts = ["one two three", "two", ""]
    expected = load_embedder(folder, Execution("cpu")).embed(texts)
    torch.testing.assert_close(hosted.embedder.embed(texts), expected, rtol=0, atol=0, equal_nan=True)


def test_a_run_that_translates_makes_no_vectors(reverse_run: Path):
    assert host_run("mine", reverse_run, Execution("cpu")).embedder is None


def test_a_run_that_translates_is_served_by_its_shortlist(
    reverse_run: Path, counting_run: Path, tmp_path: Path
):
    run = Path(shutil.copytree(reverse_run, tmp_path / "run"))
    listed = Execution("cpu", shortlist=True)
    with pytest.raises(CheckpointError, match=r"has no shortlist, .* make it by `whyformer shortlist"):
        host_run("mine", run, listed)
    assert CliRunner().invoke(app, ["shortlist", str(run), "--threads", "1"]).exit_code == 0
    hosted = [host_run("mine", run, each).runner for each in (listed, Execution("cpu"))]
    translators = [runner for runner in hosted if isinstance(runner, Translator)]
    assert [isinstance(each.engine, ShortlistSearch) for each in translators] == [True, False]
    assert translators[0].best(["0 1 2", "4 3"]) == translators[1].best(["0 1 2", "4 3"])
    # Others beside it have no need of one.
    assert host_run("others", counting_run, listed).task == "causal_lm"
