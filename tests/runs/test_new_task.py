"""A task is one module and one row of the table: then it is trained, evaluated, compared and inspected."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

import whyformer
from runs.counting_task import Counter, CountingTask
from whyformer.analysis.profile import profile_training
from whyformer.analysis.summary import summarize
from whyformer.cli.main import app
from whyformer.config.recipe_files import recipe_text
from whyformer.errors import CheckpointError, DataError
from whyformer.experiments.grid import equal_steps, plan_trials
from whyformer.experiments.results import chosen_figures
from whyformer.experiments.trial import Conditions, run_trial
from whyformer.runs.evaluate import evaluate_run
from whyformer.runs.load import load_as
from whyformer.runs.registry import TASKS
from whyformer.runs.train import resume_run, start_run
from whyformer.tasks.task import EvaluationOptions
from whyformer.tasks.translation.translator import Translator

RECIPE = """\
task: counting
training:
  steps: 120
  batching: {tokens: 4}
  schedule: {kind: constant, peak: 0.05, warmup: 0}
  precision: fp32
  validation: {every: 100, average: 1}
  log_every: 50
"""


@pytest.fixture(autouse=True, scope="module")
def one_row_more() -> Iterator[None]:
    task = CountingTask()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(TASKS, task.name, task)
        yield


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("recipe") / "counting.yaml"
    path.write_text(RECIPE, encoding="utf-8")
    return str(path)


@pytest.fixture(scope="module")
def run(recipe: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    start_run(recipe, ["training.steps=60"], folder, device="cpu", overwrite=False, say=print).train()
    resume_run(folder, ["training.steps=120"], device="cpu", say=print).train()
    return folder


def whyformer_says(*call: str) -> str:
    result = CliRunner().invoke(app, call, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_it_is_trained_loaded_and_evaluated(run: Path):
    count = whyformer.load(run)
    assert isinstance(count, Counter)
    assert [count("4"), count("9")] == ["5", "0"]
    found = dict(evaluate_run(run))
    assert found["all"].figures["accuracy"] == 100.0
    shown = json.loads(whyformer_says("evaluate", str(run), "--json"))["sets"]
    assert shown == [{"name": "all", **found["all"].record()}]
    assert whyformer_says("evaluate", str(run)) == "all: 100.0 % of numbers right\n"
    assert (run / "curves.png").is_file()


def test_it_is_inspected_and_profiled(run: Path):
    words = summarize(run).recipe
    assert words["task"] == "counting, data from 10 numbers"
    assert words["model"] == "a table of 16"
    assert "120 steps" in words["trained"]
    assert "a table of 16" in whyformer_says("inspect", str(run))
    assert profile_training(run, 2, print).speed.tokens_per_second > 0


def test_it_is_compared(recipe: str, tmp_path: Path):
    trial = plan_trials(recipe, [], [1], tmp_path / "grid", equal_steps(3))[0]
    trial.folder.mkdir(parents=True)
    (trial.folder / "recipe.yaml").write_text(recipe_text(trial.recipe), encoding="utf-8")
    found = run_trial(trial.folder, Conditions("cpu")).figures
    assert found.keys() >= {"accuracy", "nll", "steps"}
    assert [*chosen_figures([trial], [*found], Conditions())] == [*found]


def test_it_does_what_it_does_and_nothing_else(run: Path):
    with pytest.raises(CheckpointError, match=r"this run counts on; use `whyformer count"):
        load_as(Translator, run)
    with pytest.raises(DataError, match="this run does not translate and is scored without writing"):
        dict(evaluate_run(run, options=EvaluationOptions(tokenize=("zh",))))
    assert "counting" in whyformer_says("recipes", str(run / "recipe.yaml"))


def test_its_keys_are_listed_with_the_others(recipe: str):
    assert "data.numbers: int = 10" in whyformer_says("recipes", recipe, "--keys")
