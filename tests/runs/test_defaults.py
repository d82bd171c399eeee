"""What a recipe leaves out: decided by its data, told, written down, and then no longer decided."""

import os
from collections.abc import Callable
from itertools import product
from pathlib import Path
from random import Random

import pytest
from typer.testing import CliRunner, Result

from whyformer.cli.main import app
from whyformer.config.recipe_files import read, shipped
from whyformer.errors import RecipeError
from whyformer.experiments.grid import Variation, equal_steps, plan_trials
from whyformer.runs.registry import find_task, load_any
from whyformer.tasks.translation.defaults import is_complete
from whyformer.tasks.translation.task import TranslationRecipe
from whyformer.training.storage.run import RunFolder

NOUNS = {"dog": "Hund", "cat": "Katze", "horse": "Pferd", "bird": "Vogel", "fish": "Fisch", "cow": "Kuh"}
VERBS = {"sleeps": "schläft", "runs": "rennt", "eats": "frisst", "falls": "fällt", "waits": "wartet"}
QUICK = ("training.steps=3", "training.validation.sentences=2")


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """A recipe that names two files of 60 pairs, and says nothing else."""
    drawn = Random(1).sample([*product(NOUNS, VERBS, NOUNS)], 60)
    english = [f"The {one} {verb} near the {other}.\n" for one, verb, other in drawn]
    german = [f"{NOUNS[one]} {VERBS[verb]} bei {NOUNS[other]}.\n" for one, verb, other in drawn]
    (tmp_path / "a.en").write_text("".join(english), encoding="utf-8")
    (tmp_path / "a.de").write_text("".join(german), encoding="utf-8")
    recipe = tmp_path / "mine.yaml"
    train = "{kind: text, source: a.en, target: a.de}"
    recipe.write_text(f"data:\n  kind: files\n  train: {train}\n  valid: 0.1\n", encoding="utf-8")
    return recipe


@pytest.fixture
def train(tmp_path: Path) -> Callable[..., Result]:
    def call(*arguments: object) -> Result:
        return CliRunner().invoke(app, ["train", *map(str, arguments), "--threads", "1"])

    return call


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_recipe_says_everything(name: str):
    source = read(name)
    task = find_task(source.task)
    recipe = source.spec(task.recipe_type)
    assert recipe.training.schedule.warmup is not None
    if isinstance(recipe, TranslationRecipe) and recipe.data is not None and recipe.data.kind == "files":
        assert is_complete(source.said())


def test_decisions_are_told_written_down_and_made_once(
    pairs: Path, tmp_path: Path, train: Callable[..., Result]
):
    run = tmp_path / "run"
    first = train(pairs, *QUICK, "--run", run)
    assert first.exit_code == 0, first.output
    told = [
        line for line in first.stderr.splitlines() if line.startswith(("tokenizers.", "model.", "training."))
    ]
    assert len(told) >= 10
    assert all("=" in line and line.endswith(")") for line in told)
    assert "training.schedule.warmup=1  (8% of 3 steps)" in told
    written = load_any(str(RunFolder(run).recipe))
    assert isinstance(written, TranslationRecipe)
    assert written.training.schedule.warmup == 1
    for line in told:
        key, _, value = line.partition("  (")[0].partition("=")
        found: object = written.model_dump(mode="json")
        for step in key.split("."):
            assert isinstance(found, dict)
            found = found.get(step, step == "preset")
        if not key.endswith(("preset", "positions")):
            assert str(found) == value
    again = train(run, "training.steps=5")
    assert again.exit_code == 0, again.output
    assert not [line for line in again.stderr.splitlines() if line.startswith(("tokenizers.", "model."))]
    assert load_any(str(RunFolder(run).recipe)).training.schedule.warmup == 1


def test_what_is_said_is_neither_decided_nor_told(pairs: Path, tmp_path: Path, train: Callable[..., Result]):
    run = tmp_path / "run"
    said = ("model.preset=tiny", "tokenizers.both.vocabulary=330", "training.schedule.warmup=1")
    result = train(pairs, *QUICK, *said, "--run", run)
    assert result.exit_code == 0, result.output
    for override in said:
        assert override.partition("=")[0] not in result.stderr
    recipe = load_any(str(RunFolder(run).recipe))
    assert isinstance(recipe, TranslationRecipe)
    assert recipe.model.model_dump()["encoder"]["layers"] == 2
    assert recipe.tokenizers.model_dump()["both"]["vocabulary"] == 330
    assert recipe.training.schedule.warmup == 1


@pytest.mark.parametrize("kind", ["inverse_sqrt", "linear", "cosine", "wsd", "constant"])
def test_too_long_a_warm_up_is_said_before_the_first_step(
    kind: str, pairs: Path, tmp_path: Path, train: Callable[..., Result]
):
    schedule = f"training.schedule={{kind: {kind}, warmup: 20}}"
    result = train(pairs, *QUICK, schedule, "training.log_every=1", "--run", tmp_path / "run")
    assert result.exit_code == 0, result.output
    lines = result.stderr.splitlines()
    said = next(number for number, line in enumerate(lines) if "never passes 15% of its peak" in line)
    assert "warm-up takes 20 steps, but this training has 3" in lines[said]
    assert said < next(number for number, line in enumerate(lines) if line.startswith("train "))


@pytest.mark.parametrize(
    ("ends", "warmup"),
    [
        (("training.epochs=5",), 1),
        (("training.epochs=500",), 40),
        (("training.steps=250",), 20),
        (("training.steps=250", "training.epochs=500"), 20),
        (("training.minutes=0.0001",), 2000),
    ],
)
def test_the_steps_that_end_the_training_decide_the_warm_up(
    ends: tuple[str, ...], warmup: int, pairs: Path, tmp_path: Path, train: Callable[..., Result]
):
    stop = () if "minutes" in ends[0] else ("training.minutes=0.0001",)
    run = tmp_path / "run"
    result = train(pairs, *ends, *stop, "training.validation.sentences=1", "--run", run)
    assert result.exit_code == 0, result.output
    assert load_any(str(RunFolder(run).recipe)).training.schedule.warmup == warmup
    assert f"training.schedule.warmup={warmup}" in result.stderr


def test_a_comparison_decides_as_runs_do(pairs: Path, tmp_path: Path):
    told: list[str] = []
    axes = [Variation.of("model.encoder.layers=1,2")]
    trials = plan_trials(str(pairs), axes, [1, 2], tmp_path / "grid", equal_steps(4), say=told.append)
    assert len(trials) == 4
    assert len(told) == len({*told}) >= 10
    alone = load_any(str(pairs), ["model.encoder.layers=1", *equal_steps(4)], to_train=True)
    assert isinstance(alone, TranslationRecipe)
    planned = trials[0].recipe
    assert isinstance(planned, TranslationRecipe)
    assert planned.tokenizers == alone.tokenizers
    assert planned.model == alone.model
    assert planned.training.batching == alone.training.batching


def test_faults_of_such_a_recipe_still_come_all_at_once(pairs: Path, train: Callable[..., Result]):
    result = train(pairs, "model.d_modle=3", "training.stepps=2", "tokenizers.both.vocabulary=many")
    assert result.exit_code == 2
    assert "3 faults" in result.stderr


def test_a_recipe_is_shown_as_it_would_be_trained(pairs: Path):
    shown = CliRunner().invoke(app, ["recipes", str(pairs)])
    assert shown.exit_code == 0, shown.output
    assert "tokenizers.both.vocabulary=" in shown.stderr
    decided = load_any(str(pairs), to_train=True)
    assert isinstance(decided, TranslationRecipe)
    assert f"vocabulary: {decided.tokenizers.model_dump()['both']['vocabulary']}" in shown.stdout
    (pairs.parent / "a.de").unlink()
    without = CliRunner().invoke(app, ["recipes", str(pairs), "training.epochs=3"])
    assert without.exit_code == 0, without.output
    assert "as it does without them" in without.stderr
    assert "vocabulary: 8000" in without.stdout


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_a_pipe_is_not_read_to_decide(pairs: Path):
    """What it gives is gone when it has been counted; so the recipe has to say how long to train."""
    os.mkfifo(pairs.parent / "pipe")
    pipe = f"data.train={{kind: tsv, path: {pairs.parent}/pipe}}"
    told: list[str] = []
    load_any(str(pairs), [pipe, "training.epochs=3"], to_train=True, say=told.append)
    assert not [line for line in told if line.startswith(("tokenizers.", "model.", "training."))]
    with pytest.raises(RecipeError, match="training"):
        load_any(str(pairs), [pipe], to_train=True)
    decided = load_any(str(pairs), [f"data.valid={{kind: tsv, path: {pairs.parent}/pipe}}"], to_train=True)
    assert decided.training.epochs is not None
