"""Comparisons: the grid, its trials in their own processes, going on, failing, measuring."""

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock, Timeout
from hypothesis import given
from hypothesis import strategies as st

from whyformer.config.recipe_files import recipe_text
from whyformer.data.batches.planning import plan_batches as batches_of
from whyformer.errors import CheckpointError, RecipeError
from whyformer.experiments import grid as compare
from whyformer.experiments.grid import Results, Trial, Variation, equal_minutes, equal_steps, plan_trials, run
from whyformer.experiments.trial import COSTS, Conditions, Measured, read_result, run_trial
from whyformer.files import write_text
from whyformer.models.transformer import TransformerSpec
from whyformer.runs.load import read_recipe
from whyformer.runs.registry import task_of
from whyformer.runs.train import start_run
from whyformer.tasks.translation.task import TranslationRecipe
from whyformer.training.flops import training_flops
from whyformer.training.storage.checkpoint import load_tensors
from whyformer.training.storage.lock import RunLock
from whyformer.training.storage.run import RunFolder

HEADS = "model.{}.block.attention.heads.query"
PEAK = "training.schedule.peak"
SMALL = ["data.pairs=200", "data.longest=4", "model.d_model=16", "training.validation.every=3"]
CPU = Conditions("cpu")


def transformer(trial: Trial) -> TransformerSpec:
    assert isinstance(trial.recipe.model, TransformerSpec)
    return trial.recipe.model


@pytest.mark.parametrize(
    ("text", "keys", "values"),
    [
        ("a.b=1,2.5,null", ["a.b"], ["1", "2.5", "null"]),
        ("a.b , c = x, y", ["a.b", "c"], ["x", "y"]),
        (
            "positions=[{kind: sinusoidal}],[{kind: learned, longest: 64}]",
            ["positions"],
            ["[{kind: sinusoidal}]", "[{kind: learned, longest: 64}]"],
        ),
        ("a='x,y',\"z=1\",{b: [1, 2]}", ["a"], ["'x,y'", '"z=1"', "{b: [1, 2]}"]),
    ],
)
def test_an_axis_is_cut_where_yaml_would_cut_it(text: str, keys: list[str], values: list[str]):
    assert Variation.of(text) == Variation(tuple(keys), tuple(values))


@pytest.mark.parametrize("text", ["a", "a=", "a=[1", "a=1,,2", "a={b: 1"])
def test_what_is_no_axis_is_refused(text: str):
    with pytest.raises(RecipeError, match="should read key=value,value"):
        Variation.of(text)


def test_the_grid_is_the_product_of_axes_and_seeds(tmp_path: Path):
    both = Variation.of(f"{HEADS.format('encoder')},{HEADS.format('decoder')}=2,4")
    whole = Variation.of("model.encoder.positions=[{kind: sinusoidal}],[]")
    trials = plan_trials("reverse", [both, whole], [1, 2], tmp_path, ["training.clip=1", *equal_steps(7)])
    names = [f"query={query},positions={kind}" for query in (2, 4) for kind in ("sinusoidal", "none")]
    assert [str(trial) for trial in trials] == [f"{name}, seed {seed}" for seed in (1, 2) for name in names]
    assert [trial.folder for trial in trials[:2]] == [tmp_path / name / "seed-1" for name in names[:2]]
    model, training = transformer(trials[-1]), trials[-1].recipe.training
    assert (
        model.encoder.block.self_attention.heads.query == model.decoder.block.self_attention.heads.query == 4
    )
    assert len(model.encoder.positions) == 0
    assert len(transformer(trials[-2]).encoder.positions) == 1
    assert (training.seed, training.clip, training.steps) == (2, 1.0, 7)
    # What "auto" stands for is measured, so it could differ from run to run.
    assert {trial.recipe.training.precision for trial in trials} == {"fp32"}


def test_without_an_axis_the_seeds_alone_are_compared(tmp_path: Path):
    assert [str(trial) for trial in plan_trials("reverse", [], [5, 7], tmp_path)] == [
        "unchanged, seed 5",
        "unchanged, seed 7",
    ]


def test_axes_of_one_name_are_told_apart(tmp_path: Path):
    axes = [Variation.of("model.encoder.layers=1,2"), Variation.of("model.decoder.layers=1")]
    names = [trial.cell for trial in plan_trials("reverse", axes, [1], tmp_path)]
    assert names == ["encoder.layers=1,decoder.layers=1", "encoder.layers=2,decoder.layers=1"]


@given(st.lists(st.text("aB'\"{}[]:/\\. \n-1测", max_size=70), min_size=1, max_size=5))
def test_every_cell_has_a_folder_of_its_own(values: list[str]):
    names = [label.casefold() for label in compare._labels(values)]
    assert len(set(names)) == len(values)
    assert not any(character in name for name in names for character in "/\\ \n'\"")


def test_equal_steps_and_equal_minutes_leave_no_other_end(tmp_path: Path):
    base = ["training.epochs=3", "training.validation.patience=2", "training.schedule.kind=inverse_sqrt"]
    for ends, bounds in ((equal_steps(9), (9, None)), (equal_minutes(0.5), (None, 0.5))):
        [trial] = plan_trials("reverse", [], [1], tmp_path, [*base, *ends])
        training = trial.recipe.training
        assert (training.steps, training.minutes) == bounds
        assert (training.epochs, training.validation.patience) == (None, None)


def test_a_schedule_that_decays_over_equal_time_needs_its_steps(tmp_path: Path):
    with pytest.raises(RecipeError, match="schedule linear falls towards an end"):
        plan_trials("reverse", [], [1], tmp_path, equal_minutes(1))
    [trial] = plan_trials("reverse", [], [1], tmp_path, [*equal_minutes(1), "training.steps=900"])
    assert (trial.recipe.training.steps, trial.recipe.training.minutes) == (900, 1.0)


def test_all_faults_come_at_once_and_name_their_cells(tmp_path: Path):
    axes = [Variation.of(f"{HEADS.format('encoder')}=3,4,x"), Variation.of("training.clip=1")]
    with pytest.raises(RecipeError) as caught:
        plan_trials("reverse", axes, [1, 2], tmp_path)
    first, *lines = str(caught.value).splitlines()
    assert first == "2 of 3 cells cannot be trained:"
    assert [line.split(":")[0] for line in lines if line.startswith("  query")] == [
        "  query=3,clip=1",
        "  query=x,clip=1",
    ]
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("axes", [["training.clip=1", "training.clip=2"], ["training.seed=1,2"], ["a,a=1"]])
def test_a_key_varies_once(axes: list[str], tmp_path: Path):
    with pytest.raises(RecipeError, match="is varied twice"):
        plan_trials("reverse", [Variation.of(axis) for axis in axes], [1], tmp_path)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Two cells side by side, of which the second diverges at once."""
    trials = plan_trials(
        "reverse", [Variation.of(f"{PEAK}=0.01,1e30")], [1], tmp_path_factory.mktemp("grid"), _changes(6)
    )
    return run(trials, CPU, jobs=2)


def _changes(steps: int) -> list[str]:
    return [*SMALL, *equal_steps(steps), "training.schedule.warmup=0"]


def test_a_cell_that_fails_does_not_stop_the_others(finished: Results):
    good, bad = finished.values()
    assert isinstance(good, Measured)
    assert (good.steps, good.threads, good.test) == (6, 1, {})
    assert good.valid.keys() == {"loss", "nll", "perplexity", "bleu", "chrf", "exact"}
    assert good.parameters > 0 < good.tokens_per_second
    assert isinstance(bad, str)
    assert bad.startswith("the loss of step 2 is not a finite number")
    assert "parameters" in next(iter(finished)).log.read_text(encoding="utf-8")


def test_a_finished_trial_is_read_and_one_without_its_result_is_measured_again(
    finished: Results, monkeypatch: pytest.MonkeyPatch
):
    trial = next(iter(finished))
    weights, result = trial.folder / "model.safetensors", trial.folder / "result.json"
    written = weights.stat().st_mtime_ns, result.read_text(encoding="utf-8")
    result.unlink()
    again = run([trial], CPU)
    assert again == {trial: finished[trial]}
    # It was not trained again.
    assert (weights.stat().st_mtime_ns, result.read_text(encoding="utf-8")) == written

    def refuse(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(compare, "_start", refuse)
    told: list[str] = []
    assert run([trial], CPU, done=lambda each, _: told.append(str(each))) == again
    assert told == ["peak=0.01, seed 1"]


def test_a_folder_of_another_recipe_is_refused(finished: Results):
    folder = next(iter(finished)).folder.parent.parent
    axes = [Variation.of(f"{PEAK}=0.01,0.02")]
    with pytest.raises(RecipeError, match=r"1 of 2 cells .*\n  peak=0.01: .*holds a run of another recipe"):
        plan_trials("reverse", axes, [1], folder, _changes(7))
    assert len(plan_trials("reverse", axes, [1], folder, _changes(6))) == 2


def test_a_run_whose_data_decided_what_was_left_open_is_the_same_run(tmp_path: Path):
    (trial,) = plan_trials("reverse", [], [1], tmp_path, SMALL)
    assert isinstance(trial.recipe, TranslationRecipe)
    assert trial.recipe.scoring.choose_by == "auto"
    settled = trial.recipe.model_copy(
        update={"scoring": trial.recipe.scoring.model_copy(update={"choose_by": "chrf"})}
    )
    write_text(trial.folder / "recipe.yaml", recipe_text(settled))
    assert len(plan_trials("reverse", [], [1], tmp_path, SMALL)) == 1
    for other in ("scoring.choose_by=exact", "scoring.tokenize=13a", "training.log_every=9"):
        with pytest.raises(RecipeError, match="holds a run of another recipe"):
            plan_trials("reverse", [], [1], tmp_path, [*SMALL, other])


def test_a_trial_that_somebody_trains_is_refused(reverse_run: Path, tmp_path: Path):
    folder = Path(shutil.copytree(reverse_run, tmp_path / "seed-1"))
    with RunLock(folder), pytest.raises(CheckpointError, match="has been writing into this run since"):
        run_trial(folder, CPU)
    assert run_trial(folder, CPU).steps == 400
    with RunLock(folder):
        pass


def test_tests_are_scored_where_that_is_asked_for(reverse_run: Path, tmp_path: Path):
    folder = shutil.copytree(reverse_run, tmp_path / "seed-1")
    measured = run_trial(folder, Conditions("cpu", test=True))
    figures = measured.figures
    assert measured.test["test"]["sentences"] == 75
    recipe = read_recipe(folder)
    scores = task_of(recipe).measures(recipe)
    told = {"loss", "nll", "perplexity", *scores, *(f"test.{name}" for name in scores), *COSTS}
    assert figures.keys() == told
    # 88 to 100 from 20 seeds, mean 97, deviation 3: strings of two are hard.
    assert figures["test.exact"] > 60
    assert figures["perplexity"] == pytest.approx(2.718281828 ** figures["nll"])
    assert figures["steps"] == measured.steps == 400
    (folder / "result.json").write_text(json.dumps(vars(measured) | {"test": {}}), encoding="utf-8")
    assert read_result(folder, Conditions()) is not None
    assert read_result(folder, Conditions(test=True)) is None


class Counted:
    """Training of a small model: its FLOPs, and the cells of the batches that they are counted over."""

    def __init__(self, folder: Path, *changes: str) -> None:
        trainer = start_run(
            "reverse", [*SMALL, *changes], folder, device="cpu", overwrite=True, say=lambda _: None
        )
        lengths = trainer.task.lengths
        assert isinstance(lengths, np.ndarray)
        batches = batches_of(lengths, trainer.spec.batching.tokens, seed=0, epoch=0)[:8]
        tokens = sum(trainer.task.predicted(batch, 0) for batch in batches)
        self.sources = sum(len(batch) * int(lengths[batch, 0].max()) for batch in batches) / tokens
        self.targets = sum(len(batch) * int(lengths[batch, 1].max() - 1) for batch in batches) / tokens
        self.flops = training_flops(trainer.model, trainer.task, trainer.spec.batching.tokens)
        assert all(parameter.grad is None for parameter in trainer.model.parameters())


def test_flops_are_those_of_the_matrix_products(tmp_path: Path):
    hidden = "model.encoder.block.feed_forward.hidden"
    narrow, wide = (Counted(tmp_path, f"{hidden}={width}") for width in (32, 40))
    # Two matrices of 16 × 8 more, each multiplied once forwards and twice backwards, two operations a time.
    assert wide.flops - narrow.flops == pytest.approx(6 * 2 * 16 * 8 * narrow.sources)


def test_fused_attention_hides_no_product(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    plain = Counted(tmp_path).flops
    monkeypatch.setattr("whyformer.attention.kernel.LONG", 0)
    assert Counted(tmp_path).flops == pytest.approx(plain)


def test_a_fused_lstm_hides_no_product(tmp_path: Path):
    model = "model={{kind: recurrent, d_model: 16, layers: {}, attention: null}}"
    one, two = (Counted(tmp_path, model.format(layers)) for layers in (1, 2))
    # Four gates of 16 units: in the encoder 8 each way, which read 16 and 8; in the decoder all, 16 and 16.
    products = 4 * 16 * (16 + 8) * one.sources + 4 * 16 * (16 + 16) * one.targets
    # The first step of the encoder has no state before it to pass a gradient to.
    assert 0.9 * 6 * products < two.flops - one.flops <= 6 * products


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_comparison_that_is_stopped_saves_its_runs(number: signal.Signals, tmp_path: Path):
    endless = [*SMALL, "training.validation.every=1000000", "training.save_every=1000000"]
    command = [sys.executable, "-c", "from whyformer.cli.main import main; main()", "compare", "reverse"]
    options = ["--seeds", "2", "--jobs", "2", "--steps", "1000000", "--run", str(tmp_path)]
    process = subprocess.Popen([*command, *options, *endless, "training.log_every=2"])
    runs = [RunFolder(tmp_path / "unchanged" / f"seed-{seed}") for seed in (1, 2)]
    _wait_for(lambda: all(each.records() for each in runs))
    process.send_signal(number)
    assert process.wait(timeout=60) in (130, -number)
    _wait_for(lambda: all(_is_free(Path(f"{each.path}.lock")) for each in runs))
    for stopped in runs:
        _, facts = load_tensors(stopped.state)
        assert facts["progress"]["step"] > 0


def _is_free(path: Path) -> bool:
    """Whether no trial that holds this lock is alive."""
    try:
        with FileLock(path, timeout=0):
            return True
    except Timeout:
        return False


def _wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)
