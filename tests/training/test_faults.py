"""Whatever goes wrong ends in one sentence and exit code 2, and never costs a good state."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from typer.testing import Result

from whyformer.attention.mask import Causal, Everything
from whyformer.training.storage.checkpoint import load_tensors, save_tensors
from whyformer.training.storage.run import RunFolder

Train = Callable[..., Result]


def fault(result: Result) -> str:
    """The sentence that a command ended with."""
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.stderr
    lines = result.stderr.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("error: "))
    return "\n".join(lines[start:])


@pytest.fixture
def stopped(tmp_path: Path, recipe: str, train: Train) -> RunFolder:
    """A run that has finished 14 steps; with more steps it can go on."""
    assert train(recipe, "training.steps=14", "--run", tmp_path / "run").exit_code == 0
    return RunFolder(tmp_path / "run")


@pytest.mark.parametrize(
    ("change", "what", "step"),
    [
        ("training.validation.every=7", "loss", 2),
        ("training.validation.every=1", "validation loss", 1),
        ("training.clip=1.0", "loss", 2),
    ],
)
def test_a_loss_that_is_not_a_number_leaves_the_last_good_state(
    change: str, what: str, step: int, tmp_path: Path, recipe: str, train: Train
):
    # The first step makes the weights enormous; with save_every=1 they would be saved if nobody looked.
    wild = ("training.schedule.peak=1e30", "training.schedule.warmup=0", "training.save_every=1")
    run = RunFolder(tmp_path / "run")
    sentence = fault(train(recipe, *wild, change, "--run", run.path))
    assert (
        f"the {what} of step {step} is not a finite number; the state of step 0 is kept in {run.state}"
        in (sentence)
    )
    assert f"`whyformer train {run.path} training.schedule.peak=5e+29 training.clip=1`" in sentence
    tensors, facts = load_tensors(run.state)
    assert facts["progress"]["step"] == 0
    assert all(tensor.isfinite().all() for tensor in tensors.values())
    assert not run.weights.exists()
    gentle = ("training.schedule.peak=0.02", "training.clip=1")
    assert train(run.path, *gentle, "training.steps=8").exit_code == 0
    assert [r["step"] for r in run.records() if r["event"] == "train"] == [3, 6]


def test_poisoned_weights_are_not_trained_on(stopped: RunFolder, train: Train):
    tensors, facts = load_tensors(stopped.state)
    tensors["model.source_embedding.weight"][5] = torch.nan
    save_tensors(stopped.state, tensors, facts)
    sentence = fault(train(stopped.path, "training.steps=20"))
    assert "the loss of step 15 is not a finite number" in sentence
    assert not any(path.suffix == ".tmp" for path in stopped.path.rglob("*"))


def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path: Path, recipe: str, train: Train):
    run = RunFolder(tmp_path / "run")
    endless = ("training.steps=100000", "training.save_every=100000", "training.validation.every=100000")
    command = [sys.executable, "-c", "from whyformer.cli.main import main; main()", "train", recipe, *endless]
    process = subprocess.Popen(
        [*command, "--run", run.path, "--threads", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    while process.poll() is None and not run.records():
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate()
    step = load_tensors(run.state)[1]["progress"]["step"]
    assert (process.returncode, output) == (2, "")
    assert step >= run.records()[-1]["step"] >= 3
    assert errors.splitlines()[-1] == (
        f"stopped after step {step}, and everything is saved; go on with `whyformer train {run.path}`."
    )
    assert run.curves.read_bytes().startswith(b"\x89PNG")
    assert train(run.path, f"training.steps={step + 2}").exit_code == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    options = ["-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if not mount or subprocess.run([mount, *options], capture_output=True, check=False).returncode:
        pytest.skip("a small disk can be mounted by root only")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_leaves_the_old_state(small_disk: Path, recipe: str, train: Train):
    run = RunFolder(small_disk / "run")
    assert train(recipe, "training.steps=14", "--run", run.path).exit_code == 0
    before = {path: path.read_bytes() for path in (run.state, run.weights, *run.snapshots)}
    # Room for a line of metrics, not for a state.
    with (small_disk / "filler").open("wb") as filler:
        free = shutil.disk_usage(small_disk).free
        filler.write(b"x" * (free - 24 * 1024))
    assert "the disk is full; free some space" in fault(train(run.path, "training.steps=21"))
    assert {path: path.read_bytes() for path in before} == before
    assert not list(run.path.rglob(".*.tmp"))
    (small_disk / "filler").unlink()
    assert train(run.path, "training.steps=21").exit_code == 0
    assert load_tensors(run.state)[1]["progress"]["step"] == 21


@pytest.mark.parametrize("call", ["write", "flush", "rename"])
def test_a_disk_that_fills_while_a_state_is_written_leaves_the_old_one(
    call: str, stopped: RunFolder, train: Train, monkeypatch: pytest.MonkeyPatch
):
    """The same where nothing can be mounted: the system refuses one call."""
    before = stopped.state.read_bytes()

    def refusing(real, is_state):
        def perhaps(*arguments):
            if is_state(*arguments):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(*arguments)

        return perhaps

    def is_state(first: object, *_: object) -> bool:
        path = Path(f"/proc/self/fd/{first}").readlink() if isinstance(first, int) else first
        return "last.safetensors" in str(path)

    with monkeypatch.context() as patch:
        match call:
            case "write":
                patch.setattr(Path, "write_bytes", refusing(Path.write_bytes, is_state))
            case "flush":
                patch.setattr(os, "fsync", refusing(os.fsync, is_state))
            case _:
                patch.setattr(os, "replace", refusing(os.replace, is_state))
        sentence = fault(train(stopped.path, "training.steps=21"))
    assert f"{stopped.state}: the disk is full; free some space and run the command again." in sentence
    assert stopped.state.read_bytes() == before
    assert not list(stopped.path.rglob(".*.tmp"))
    assert train(stopped.path, "training.steps=21").exit_code == 0


@pytest.mark.parametrize("name", ["metrics.jsonl", "tensorboard"])
def test_a_log_that_cannot_be_written_is_named(name: str, stopped: RunFolder, train: Train):
    path = stopped.path / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    path.mkdir() if name == "metrics.jsonl" else path.write_bytes(b"")
    assert f"{path}" in fault(train(stopped.path, "training.steps=21"))


def test_a_run_is_replaced_only_when_asked(stopped: RunFolder, recipe: str, train: Train):
    before = stopped.state.read_bytes()
    sentence = fault(train(recipe, "--run", stopped.path))
    assert f"{stopped.path}: a run lies here already; go on with it by `whyformer train {stopped.path}`" in (
        sentence
    )
    # Not even then, if the new recipe is no good.
    assert fault(train(recipe, "data.pairs=1000000", "--run", stopped.path, "--overwrite"))
    assert stopped.state.read_bytes() == before
    assert train(recipe, "training.steps=3", "--run", stopped.path, "--overwrite").exit_code == 0
    assert load_tensors(stopped.state)[1]["progress"]["step"] == 3


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path, recipe: str, train: Train):
    (tmp_path / "thesis.tex").write_text("final", encoding="utf-8")
    for overwrite in ([], ["--overwrite"]):
        sentence = fault(train(recipe, "--run", tmp_path, *overwrite))
        assert f"{tmp_path}: this is neither empty nor a run; choose another --run." in sentence
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_folder_that_is_no_run_is_named(tmp_path: Path, train: Train):
    assert f"{tmp_path}: this is not the folder of a run" in fault(train(tmp_path))


def test_an_unknown_recipe_and_an_unknown_key_get_the_nearest_name(tmp_path: Path, recipe: str, train: Train):
    told = fault(train("revers"))
    assert (
        "there is no recipe named revers, nor a run in a folder of that name; did you mean reverse?" in told
    )
    sentence = fault(train(recipe, "training.stepz=3", "--run", tmp_path / "run"))
    assert "training.stepz" in sentence
    assert "did you mean steps?" in sentence
    assert not (tmp_path / "run").exists()


def test_a_damaged_state_is_refused(stopped: RunFolder, train: Train):
    whole = stopped.state.read_bytes()
    for damaged in (b"", whole[:-1], whole[: len(whole) // 2], b"\xff" * 100):
        stopped.state.write_bytes(damaged)
        sentence = fault(train(stopped.path, "training.steps=20"))
        assert f"{stopped.state}: the file is damaged or not safetensors" in sentence
    stopped.state.unlink()
    assert f"{stopped.state}: there is no such file" in fault(train(stopped.path))


def test_weights_in_the_place_of_the_state_are_refused(stopped: RunFolder, train: Train):
    shutil.copy(stopped.weights, stopped.state)
    assert "these are weights alone, not the state of a training" in fault(train(stopped.path))


def test_a_pickle_in_the_place_of_the_state_is_refused(stopped: RunFolder, train: Train):
    torch.save({"a": torch.zeros(2)}, stopped.state)
    assert f"{stopped.state}: this is a pickle" in fault(train(stopped.path))


def test_a_state_of_another_model_is_refused(stopped: RunFolder, train: Train):
    text = stopped.recipe.read_text(encoding="utf-8")
    stopped.recipe.write_text(text.replace("hidden: 32", "hidden: 48"), encoding="utf-8")
    assert "the weights do not fit the recipe" in fault(train(stopped.path))


@pytest.mark.parametrize("name", ["tokenizer.json", "recipe.yaml"])
def test_a_run_without_its_other_files_is_refused(name: str, stopped: RunFolder, train: Train):
    (stopped.path / name).unlink()
    assert str(stopped.path) in fault(train(stopped.path))


def test_another_tokenizer_is_refused(stopped: RunFolder, recipe: str, train: Train, tmp_path: Path):
    assert train(recipe, "data.symbols=6", "training.steps=1", "--run", tmp_path / "other").exit_code == 0
    shutil.copy(tmp_path / "other" / "tokenizer.json", stopped.path)
    sentence = fault(train(stopped.path))
    assert "trained with another tokenizer" in sentence


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("model.d_model=32", "can change training.* only"),
        ("data.seed=2", "can change training.* only"),
        ("training.seed=2", "keeps its training.seed"),
        ("training.batching.tokens=32", "keeps its training.batching"),
        ("training.optimizer.kind=adamw", "keeps its training.optimizer.kind"),
        ("training.precision=bf16", "keeps its training.precision"),
    ],
)
def test_a_run_that_goes_on_keeps_what_it_is_made_of(
    change: str, reason: str, undisturbed: Path, train: Train
):
    recipe = (undisturbed / "recipe.yaml").read_bytes()
    assert reason in fault(train(undisturbed, change))
    assert (undisturbed / "recipe.yaml").read_bytes() == recipe


@pytest.mark.parametrize("option", [["--overwrite"], ["--run", "elsewhere"]])
def test_options_for_new_runs_are_refused_for_old_ones(option: list[str], undisturbed: Path, train: Train):
    state = RunFolder(undisturbed).state.read_bytes()
    result = train(undisturbed, *option)
    assert result.exit_code == 2
    assert "new run" in result.stderr
    assert RunFolder(undisturbed).state.read_bytes() == state


@pytest.mark.parametrize(
    ("sources", "targets", "complaint"),
    [
        (None, "a\n", "source.txt: no such file."),
        ("", "a\n", "source.txt: this file is empty."),
        ("a\nb\n", "a\n", "source.txt has 2 lines but "),
    ],
)
def test_data_that_is_missing_empty_or_unequal_is_named(
    sources: str | None, targets: str, complaint: str, tmp_path: Path, recipe: str, train: Train
):
    source, target = tmp_path / "source.txt", tmp_path / "target.txt"
    if sources is not None:
        source.write_text(sources, encoding="utf-8")
    target.write_text(targets, encoding="utf-8")
    files = f"{{kind: text, source: {source}, target: {target}}}"
    data = f"data={{kind: files, train: {files}, valid: {files}}}"
    assert complaint in fault(train(recipe, data, "--run", tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_a_decoder_that_sees_the_future_is_refused(
    stopped: RunFolder, recipe: str, train: Train, monkeypatch: pytest.MonkeyPatch
):
    by_recipe = fault(
        train(recipe, "model.decoder.mask.kind=everything", "--run", stopped.path, "--overwrite")
    )
    assert "decoder.mask lets a token see later ones" in by_recipe
    before = stopped.state.read_bytes()
    monkeypatch.setattr(Causal, "allows", Everything.allows)
    by_measurement = fault(train(recipe, "--run", stopped.path, "--overwrite"))
    assert "the output at position 0 depends on the later input at position 1" in by_measurement
    assert stopped.state.read_bytes() == before
