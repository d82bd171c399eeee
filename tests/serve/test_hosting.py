"""Runs as they are hosted: one set of weights each, whatever is asked of it."""

import shutil
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from whyformer.cli.main import app
from whyformer.decoding.overrides import SearchChoice
from whyformer.decoding.stopping_rules import Patience
from whyformer.engines.shortlist.search import ShortlistSearch
from whyformer.errors import CheckpointError
from whyformer.runs.execution import Execution
from whyformer.runs.load import load_embedder
from whyformer.serve.hosting import has_beam, host_run
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


def test_patience_is_for_runs_that_have_a_beam(reverse_run: Path, counting_run: Path):
    beam = SearchChoice(None, {"stopping": {"kind": "patience", "factor": 0.5}})
    runs = [host_run("mine", each, Execution("cpu"), beam) for each in (reverse_run, counting_run)]
    assert [has_beam(each.runner) for each in runs] == [True, False]
    assert runs[0].reopen is not None
    before = host_run("mine", reverse_run, Execution("cpu")).runner
    for each in runs[0], runs[0].reopen():
        assert isinstance(each.runner, Translator)
        assert isinstance(before, Translator)
        assert each.runner.settings == before.settings.model_copy(update={"stopping": Patience(factor=0.5)})
    command = ["serve", str(counting_run), "--port", "0", "--patience", "1"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 2
    assert result.stderr == "error: --patience is for beams, and none of these runs has one; leave it out.\n"


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
