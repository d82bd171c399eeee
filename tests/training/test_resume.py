"""A run that is stopped or killed at any moment goes on to the very weights it would have had."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import Result

from whyformer.training.step import TrainingStep
from whyformer.training.storage.checkpoint import load_tensors, save_tensors
from whyformer.training.storage.run import RunFolder
from whyformer.training.trainer import Trainer

Train = Callable[..., Result]

# Kills its own process at one moment of one atomic write, then never; else it is ``whyformer``.
SUICIDE = """
import os, signal, sys
moment, number = sys.argv.pop(1), int(sys.argv.pop(1))
writes = 0
fsync, replace = os.fsync, os.replace
def die(now):
    if (now, writes) == (moment, number):
        os.kill(os.getpid(), signal.SIGKILL)
def counted_fsync(handle):
    global writes
    writes += 1
    die("before flushing")
    fsync(handle)
    die("before renaming")
def watched_replace(old, new):
    replace(old, new)
    die("after renaming")
os.fsync, os.replace = counted_fsync, watched_replace
from whyformer.cli.main import main
main()
"""
MOMENTS = ("before flushing", "before renaming", "after renaming")


def start(*arguments: object) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", "from whyformer.cli.main import main; main()", "train"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([*command, *map(str, arguments)], env=environment, stderr=subprocess.DEVNULL)


def kill_after_step(step: int, delay: float, run: Path, *arguments: object) -> int:
    """Start a training, kill it some seconds after its line for ``step`` has come; its exit code."""
    process = start(*arguments)
    while process.poll() is None and max((r["step"] for r in RunFolder(run).records()), default=0) < step:
        time.sleep(0.001)
    time.sleep(delay)
    process.kill()
    return process.wait()


def kill_in_write(moment: str, number: int, *arguments: object) -> int:
    """Start a training that dies at a moment of its ``number``-th atomic write; its exit code."""
    command = [sys.executable, "-c", SUICIDE, moment, str(number), "train", *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, env=environment, stderr=subprocess.DEVNULL, check=False).returncode


def content(path: Path) -> tuple[dict[str, bytes], dict[str, Any]]:
    """The bits of each tensor, and the facts; the file itself names its metadata in random order."""
    tensors, facts = load_tensors(path)
    return {name: tensor.numpy().tobytes() for name, tensor in tensors.items()}, facts


def told(run: Path) -> list[dict[str, object]]:
    """The metrics without what depends on the clock."""
    clock = ("seconds", "validation_seconds", "tokens_per_second")
    return [{k: v for k, v in record.items() if k not in clock} for record in RunFolder(run).records()]


def assert_same_run(run: Path, undisturbed: Path) -> None:
    first, second = RunFolder(run), RunFolder(undisturbed)
    assert [path.name for path in first.snapshots] == [path.name for path in second.snapshots]
    for one, other in zip(
        [first.weights, *first.snapshots], [second.weights, *second.snapshots], strict=True
    ):
        assert content(one) == content(other)
    (bits, facts), (expected_bits, expected_facts) = content(first.state), content(second.state)
    assert bits == expected_bits
    for clocked in (facts, expected_facts):
        del clocked["progress"]["seconds"], clocked["tally"]["seconds"]
    assert facts == expected_facts
    assert told(run) == told(undisturbed)
    steps = [record["step"] for record in first.records() if record["event"] == "train"]
    assert steps == sorted(set(steps))
    assert not list(run.rglob(".*.tmp"))


def stop_after(step: int, by: signal.Signals, monkeypatch: pytest.MonkeyPatch) -> None:
    """Send this process a signal in the middle of a step, once."""
    update = TrainingStep.update

    def update_and_signal(
        training: TrainingStep[torch.nn.Module], number: int, total_steps: int | None
    ) -> float:
        if number == step:
            os.kill(os.getpid(), by)
        return update(training, number, total_steps)

    monkeypatch.setattr(TrainingStep, "update", update_and_signal)


# At and around a validation (every 7), the end of an epoch (9 steps) and of the run (40).
@pytest.mark.parametrize("step", [1, 6, 7, 9, 18, 40])
def test_a_stopped_run_goes_on_as_if_nothing_had_been(
    step: int, tmp_path: Path, recipe: str, train: Train, undisturbed: Path, monkeypatch: pytest.MonkeyPatch
):
    run = tmp_path / "stopped"
    with monkeypatch.context() as patch:
        stop_after(step, signal.SIGTERM, patch)
        stopped = train(recipe, "--run", run)
    assert stopped.exit_code == 2
    assert f"stopped after step {step}, and everything is saved; go on with `whyformer train {run}`" in (
        stopped.stderr
    )
    assert train(run).exit_code == 0
    assert_same_run(run, undisturbed)


def test_a_second_ctrl_c_stops_at_once(
    tmp_path: Path, recipe: str, train: Train, undisturbed: Path, monkeypatch: pytest.MonkeyPatch
):
    def interrupt_twice(*_: object) -> float:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("it went on")

    # A program started in the background of a shell ignores SIGINT, so "before" is not always the default.
    before = signal.getsignal(signal.SIGINT)
    run = tmp_path / "interrupted"
    assert train(recipe, "training.steps=7", "--run", run).exit_code == 0
    with monkeypatch.context() as patch:
        patch.setattr(TrainingStep, "update", interrupt_twice)
        assert train(run, "training.steps=40").exit_code == 130
    assert signal.getsignal(signal.SIGINT) is before
    assert train(run, "training.steps=40").exit_code == 0


def test_a_run_killed_three_times_ends_in_the_same_bits(
    tmp_path: Path, recipe: str, train: Train, undisturbed: Path
):
    chance = random.Random(1)
    run = tmp_path / "killed"
    step, delay = chance.randint(3, 15), chance.uniform(0, 0.03)
    killed = [
        kill_after_step(step, delay, run, recipe, "--run", run, "--threads", 1),
        kill_in_write(chance.choice(MOMENTS), chance.randint(3, 8), run, "--threads", 1),
        kill_in_write("before renaming", chance.randint(3, 6), run, "--threads", 1),
    ]
    assert killed == 3 * [-signal.SIGKILL]
    assert train(run).exit_code == 0
    assert_same_run(run, undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_run_killed_ten_times_ends_in_the_same_bits(
    precision: str, tmp_path: Path, recipe: str, train: Train
):
    longer = ("training.steps=400", f"training.precision={precision}")
    undisturbed, run = tmp_path / "undisturbed", tmp_path / "killed"
    assert train(recipe, *longer, "--run", undisturbed).exit_code == 0
    chance = random.Random(precision)
    killed: list[int] = []
    for step in sorted(chance.sample(range(1, 380), 10)):
        new = [recipe, *longer, "--run", run] if not run.exists() else [run]
        killed.append(kill_after_step(step, chance.uniform(0, 0.02), run, *new, "--threads", 1))
    assert killed == 10 * [-signal.SIGKILL]
    assert train(run).exit_code == 0
    assert_same_run(run, undisturbed)


@pytest.mark.slow
def test_a_run_killed_while_it_writes_ends_in_the_same_bits(
    tmp_path: Path, recipe: str, train: Train, undisturbed: Path
):
    chance = random.Random(2)
    for round in range(10):
        run = tmp_path / f"killed {round}"
        moment, number = chance.choice(MOMENTS), chance.randint(1, 24)
        assert kill_in_write(moment, number, recipe, "--run", run, "--threads", 1) == -signal.SIGKILL
        if (run / "recipe.yaml").exists():
            assert train(run).exit_code == 0
        else:
            shutil.rmtree(run)
            assert train(recipe, "--run", run).exit_code == 0
        assert_same_run(run, undisturbed)


def test_a_run_killed_before_its_first_state_begins_anew(tmp_path: Path, train: Train, undisturbed: Path):
    run = tmp_path / "cut short"
    run.mkdir()
    (run / "recipe.yaml").write_bytes((undisturbed / "recipe.yaml").read_bytes())
    assert train(run).exit_code == 0
    assert_same_run(run, undisturbed)


def test_a_run_killed_before_its_second_state_tells_no_step_twice(
    tmp_path: Path, recipe: str, train: Train, undisturbed: Path, monkeypatch: pytest.MonkeyPatch
):
    def interrupted(*_: object) -> float:
        raise KeyboardInterrupt

    run = tmp_path / "killed"
    with monkeypatch.context() as patch:
        # A line of the log comes every three steps, a state every five.
        patch.setattr(
            Trainer, "_validation_is_due", lambda trainer: trainer.progress.step == 4 and interrupted()
        )
        assert train(recipe, "--run", run).exit_code == 130
    assert [record["step"] for record in RunFolder(run).records()] == [3]
    assert train(run).exit_code == 0
    assert_same_run(run, undisturbed)


def test_what_a_killed_process_left_behind_is_cleared_up(
    tmp_path: Path, recipe: str, train: Train, undisturbed: Path, monkeypatch: pytest.MonkeyPatch
):
    run = RunFolder(tmp_path / "littered")
    with monkeypatch.context() as patch:
        stop_after(16, signal.SIGINT, patch)
        train(recipe, "--run", run.path)
    run.state.with_name(".last.safetensors.4711.tmp").write_bytes(b"half a sta")
    (run.path / ".model.safetensors.4711.tmp").write_bytes(b"")
    shutil.copy(run.snapshots[-1], run.snapshot(21))
    run.log({"step": 18, "event": "train", "loss": 1.0})
    with run.metrics.open("ab") as file:
        file.write(b'17\n{"step": 3}\n\xff\xfe\n{"step": 18, "ev')
    assert train(run.path).exit_code == 0
    assert_same_run(run.path, undisturbed)


def test_a_run_killed_while_it_averages_does_not_tell_of_the_average_twice(
    tmp_path: Path, recipe: str, train: Train, undisturbed: Path, monkeypatch: pytest.MonkeyPatch
):
    save = Trainer._save

    def save_unless_finished(trainer: Trainer[torch.nn.Module]) -> None:
        if trainer.progress.finished:
            raise KeyboardInterrupt
        save(trainer)

    run = tmp_path / "killed"
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_save", save_unless_finished)
        assert train(recipe, "--run", run).exit_code == 130
    assert told(run)[-1]["event"] == "average"
    assert train(run).exit_code == 0
    assert_same_run(run, undisturbed)


def test_a_finished_run_has_nothing_left_to_do(tmp_path: Path, train: Train, undisturbed: Path):
    folder = RunFolder(Path(shutil.copytree(undisturbed, tmp_path / "finished")))
    before = folder.state.read_bytes(), folder.weights.read_bytes(), folder.metrics.read_text()
    again = train(folder.path)
    assert again.exit_code == 0
    assert "40 steps" in again.stdout
    assert (folder.state.read_bytes(), folder.weights.read_bytes(), folder.metrics.read_text()) == before


def test_a_finished_run_goes_on_where_more_steps_are_asked_for(tmp_path: Path, recipe: str, train: Train):
    # Warm-up is said: where it is left out, it is a share of the steps that a run is begun with.
    steady = "training.schedule={kind: constant, warmup: 3}"
    once, twice = tmp_path / "once", tmp_path / "twice"
    assert train(recipe, steady, "training.steps=35", "--run", once).exit_code == 0
    assert train(recipe, steady, "training.steps=14", "--run", twice).exit_code == 0
    assert train(twice, "training.steps=35").exit_code == 0
    assert content(RunFolder(once).state)[0] == content(RunFolder(twice).state)[0]
    assert [r for r in told(twice) if r["event"] != "average"] == [
        r for r in told(once) if r["event"] != "average"
    ]
    assert "steps: 35" in (twice / "recipe.yaml").read_text(encoding="utf-8")


def test_the_metrics_are_json_lines_in_order(undisturbed: Path):
    records = [json.loads(line) for line in (undisturbed / "metrics.jsonl").read_text().splitlines()]
    assert [r["step"] for r in records if r["event"] == "train"] == list(range(3, 40, 3))
    assert [r["step"] for r in records if r["event"] == "valid"] == [7, 14, 21, 28, 35, 40]
    assert [r["step"] for r in records if r["event"] == "average"] == [40]
    assert ["bleu" in r for r in records if r["event"] == "valid"] == [False, True, True, True, True, True]
    assert [r["step"] for r in records] == sorted(r["step"] for r in records)


def recipe_of(run: Path) -> bytes:
    return (run / "recipe.yaml").read_bytes()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (["training.steps=20"], "training.steps=20 leaves nothing to do"),
        (["training.epochs=2"], "training.epochs=2 leaves nothing to do"),
        (["training.minutes=1e-5"], "training.minutes=1e-05 leaves nothing to do"),
        (["training.steps=60", "training.epochs=1"], "training.epochs=1 leaves nothing to do"),
        (
            ["training.steps=39", "training.minutes=1e-5"],
            "training.steps=39 and training.minutes=1e-05 leaves",
        ),
    ],
)
def test_limits_below_what_is_done_are_refused(
    changes: list[str], reason: str, tmp_path: Path, train: Train, undisturbed: Path
):
    run = Path(shutil.copytree(undisturbed, tmp_path / "run"))
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    refused = train(run, *changes)
    assert refused.exit_code == 2
    assert reason in refused.stderr
    assert "40 steps are done" in refused.stderr
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_a_limit_that_is_reached_stands_in_the_way_of_another(tmp_path: Path, recipe: str, train: Train):
    run = tmp_path / "run"
    assert train(recipe, "training.epochs=1", "--run", run).exit_code == 0
    assert "training.epochs=1 leaves nothing to do" in train(run, "training.steps=100").stderr
    assert train(run, "training.epochs=2").exit_code == 0


@pytest.mark.parametrize("broken", ["tensorboard", "metrics.jsonl", "state", "weights"])
def test_a_resume_that_fails_does_not_change_the_recipe(
    broken: str, tmp_path: Path, train: Train, undisturbed: Path, monkeypatch: pytest.MonkeyPatch
):
    run = Path(shutil.copytree(undisturbed, tmp_path / "run"))
    before = recipe_of(run)
    match broken:
        case "tensorboard":
            shutil.rmtree(run / broken)
            (run / broken).write_bytes(b"")
        case "metrics.jsonl":
            (run / broken).unlink()
            (run / broken).mkdir()
        case "state":
            path = RunFolder(run).state
            path.write_bytes(path.read_bytes()[:-1])
        case _:
            # It fails in its first step, before any state is saved.
            tensors, facts = load_tensors(RunFolder(run).state)
            tensors["model.source_embedding.weight"][5] = torch.nan
            save_tensors(RunFolder(run).state, tensors, facts)
    assert train(run, "training.steps=60", "training.log_every=5").exit_code == 2
    assert recipe_of(run) == before


def test_a_resume_that_goes_on_keeps_what_was_changed(
    tmp_path: Path, train: Train, undisturbed: Path, monkeypatch: pytest.MonkeyPatch
):
    run = Path(shutil.copytree(undisturbed, tmp_path / "run"))
    with monkeypatch.context() as patch:
        stop_after(43, signal.SIGTERM, patch)
        assert train(run, "training.steps=60").exit_code == 2
    assert b"steps: 60" in recipe_of(run)
    assert "60 steps" in train(run).stdout


@pytest.mark.parametrize(
    ("kind", "changes", "said"),
    [
        ("linear", ["training.steps=60"], True),
        ("cosine", ["training.steps=60"], True),
        ("wsd", ["training.steps=60"], True),
        ("linear", ["training.steps=60", "training.schedule.peak=0.001"], True),
        ("constant", ["training.steps=60"], False),
        ("inverse_sqrt", ["training.steps=60"], False),
        ("linear", ["training.log_every=5"], False),
    ],
)
def test_a_schedule_that_is_laid_out_anew_is_said(
    kind: str, changes: list[str], said: bool, tmp_path: Path, recipe: str, train: Train
):
    run = tmp_path / "run"
    schedule = (f"training.schedule={{kind: {kind}, peak: 0.02, warmup: 5}}", "training.log_every=1")
    assert train(recipe, *schedule, "training.steps=20", "--run", run).exit_code == 0
    again = train(run, *changes)
    assert again.exit_code == 0
    line = f"the {kind} schedule is laid out anew over 60 steps instead of 20 steps: the learning rate was "
    assert (line in again.stderr) == said
    rates = {r["step"]: r["learning_rate"] for r in RunFolder(run).records() if r["event"] == "train"}
    if said:
        assert (
            f"was {rates[20]:.3g} at step 20 and is {rates[21 if 21 in rates else 25]:.3g} at" in again.stderr
        )


def test_more_epochs_lay_a_schedule_out_anew_too(tmp_path: Path, recipe: str, train: Train):
    run = tmp_path / "run"
    by_epochs = ("training.steps=null", "training.epochs=2")
    assert train(recipe, *by_epochs, "--run", run).exit_code == 0
    assert "anew over 27 steps instead of 18 steps" in train(run, "training.epochs=3").stderr
