"""Into a run folder one process writes at a time; readers are not stopped, and a crash stops nobody."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from whyformer.cli.main import app
from whyformer.errors import CheckpointError
from whyformer.runs.train import start_run
from whyformer.training.storage.lock import HOLDER, LOCK, RunLock
from whyformer.training.storage.run import RunFolder, check_free, new_run

Train = Callable[..., Result]

HOLD = """
import sys, time
from pathlib import Path
from whyformer.training.storage.lock import RunLock
with RunLock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


def whyformer(*arguments: object) -> Result:
    return CliRunner().invoke(app, [*map(str, arguments)])


def hold(folder: Path) -> subprocess.Popen[str]:
    """Another process that writes into ``folder``, as far as anybody can see."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, encoding="utf-8"
    )
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == "held\n"
    return process


@pytest.fixture
def run(tmp_path: Path, undisturbed: Path) -> Path:
    return Path(shutil.copytree(undisturbed, tmp_path / "run"))


@pytest.fixture
def writer(run: Path) -> Iterator[subprocess.Popen[str]]:
    process = hold(run)
    yield process
    process.kill()
    process.wait()


def everything(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file() and path.name not in (LOCK, HOLDER))
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


WRITERS = {
    "anew": lambda run, recipe: ("train", recipe, "--run", run),
    "overwriting": lambda run, recipe: ("train", recipe, "--run", run, "--overwrite"),
    "resuming": lambda run, recipe: ("train", run, "training.steps=60"),
    "average": lambda run, recipe: ("average", run),
    "average into the run": lambda run, recipe: (
        "average",
        run,
        "-o",
        run / "snapshots" / "mean.safetensors",
    ),
}


@pytest.mark.parametrize("way", WRITERS)
def test_whoever_writes_is_refused_while_another_does(
    way: str, run: Path, writer: subprocess.Popen[str], recipe: str
):
    before = everything(run)
    result = whyformer(*WRITERS[way](run, recipe))
    assert result.exit_code == 2
    since = json.loads((run / HOLDER).read_text(encoding="utf-8"))["since"]
    assert f"{run}: process {writer.pid} has been writing into this run since {since}; wait until it" in (
        result.stderr
    )
    assert everything(run) == before


def test_readers_and_outputs_elsewhere_are_not_stopped(
    run: Path, writer: subprocess.Popen[str], tmp_path: Path
):
    assert whyformer("translate", run, "1 2 3").exit_code == 0
    assert whyformer("evaluate", run, "--on", "valid").exit_code == 0
    assert whyformer("inspect", run).exit_code == 0
    assert whyformer("average", run, "-o", tmp_path / "mean.safetensors").exit_code == 0


@pytest.mark.parametrize(
    "content", [None, "", "{}", "[1]", '{"process": "x", "host": 1, "since": 2}', "\xff"]
)
def test_a_holder_that_is_not_told_of_is_still_a_holder(
    content: str | None, run: Path, writer: subprocess.Popen[str]
):
    if content is None:
        (run / HOLDER).unlink()
    else:
        (run / HOLDER).write_text(content, encoding="latin-1")
    with (
        pytest.raises(CheckpointError, match="another process is writing into this run; wait until"),
        RunLock(run),
    ):
        pass


def test_a_killed_writer_stops_nobody(run: Path, writer: subprocess.Popen[str], train: Train):
    writer.kill()
    writer.wait()
    assert (run / LOCK).exists()
    assert train(run).exit_code == 0
    assert not (run / LOCK).exists()
    assert not (run / HOLDER).exists()


def test_a_copy_of_a_run_that_is_written_to_is_free(
    run: Path, writer: subprocess.Popen[str], tmp_path: Path, train: Train
):
    copy = Path(shutil.copytree(run, tmp_path / "copy"))
    assert (copy / HOLDER).exists()
    assert train(copy, "training.steps=42").exit_code == 0


def test_it_is_held_until_training_ends_and_by_whoever_trains(tmp_path: Path, recipe: str):
    run = tmp_path / "run"
    trainer = start_run(recipe, ["training.steps=2"], run, device="cpu", overwrite=False, say=lambda _: None)
    with (
        pytest.raises(CheckpointError, match=rf"this process \({os.getpid()}\) has been writing"),
        RunLock(run),
    ):
        pass
    trainer.train()
    with RunLock(run), pytest.raises(CheckpointError, match="this process"):
        trainer.train()
    assert not (run / LOCK).exists()


@pytest.mark.parametrize("folder", ["run", "deep/er/run"])
def test_a_start_that_fails_leaves_no_folder(folder: str, tmp_path: Path, recipe: str, train: Train):
    assert train(recipe, "data.pairs=1000000", "--run", tmp_path / folder).exit_code == 2
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_start_leaves_is_no_obstacle(tmp_path: Path, recipe: str, train: Train):
    process = hold(tmp_path / "run")
    process.kill()
    process.wait()
    assert {path.name for path in (tmp_path / "run").iterdir()} == {LOCK, HOLDER}
    assert train(recipe, "training.steps=2", "--run", tmp_path / "run").exit_code == 0


def test_a_folder_of_other_things_gets_no_lock(tmp_path: Path, recipe: str, train: Train):
    (tmp_path / "thesis.tex").write_text("final", encoding="utf-8")
    os.utime(tmp_path, (1, 1))
    assert train(recipe, "--run", tmp_path, "--overwrite").exit_code == 2
    assert tmp_path.stat().st_mtime == 1


def test_replacing_a_run_keeps_the_lock_and_nothing_else(run: Path):
    with RunLock(run):
        new_run(run, overwrite=True)
        assert {path.name for path in run.iterdir()} == {LOCK, HOLDER}
        check_free(run, overwrite=False)
        with pytest.raises(CheckpointError):
            RunLock(run).__enter__()


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path, recipe: str, train: Train):
    (tmp_path / "file").write_text("x", encoding="utf-8")
    result = train(recipe, "--run", tmp_path / "file" / "run")
    assert result.exit_code == 2
    assert f"{tmp_path / 'file' / 'run'}: cannot be written" in result.stderr


def test_of_three_trainings_at_once_one_goes_on(tmp_path: Path, recipe: str):
    run = tmp_path / "run"
    command = [sys.executable, "-c", "from whyformer.cli.main import main; main()", "train"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}

    def start(*arguments: object) -> subprocess.Popen[str]:
        whole = [*command, *map(str, arguments)]
        return subprocess.Popen(
            whole, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
        )

    first = start(recipe, "training.steps=100000", "--run", run)
    while first.poll() is None and not RunFolder(run).records():
        time.sleep(0.01)
    others = [start(run), start(recipe, "--run", run, "--overwrite")]
    try:
        for other in others:
            _, errors = other.communicate()
            assert other.returncode == 2
            assert f"{run}: process {first.pid} has been writing into this run since " in errors
        assert first.poll() is None
    finally:
        first.send_signal(signal.SIGINT)
        first.communicate()
    steps = [record["step"] for record in RunFolder(run).records() if record["event"] == "train"]
    assert steps == list(range(3, 3 * len(steps) + 1, 3))
