"""A model that torch compiles trains as the one that is written, under the same names, and resumes."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from typer.testing import Result

from whyformer.runs.train import start_run
from whyformer.training.settings import TrainingSpec
from whyformer.training.storage.checkpoint import load_tensors
from whyformer.training.storage.run import RunFolder
from whyformer.training.trainer import Trainer

# Torch looks for gradients of states and hides the warning, which here would be an error before it is hidden.
pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")

Train = Callable[..., Result]
STILL = (
    "model.embedding.dropout=0",
    "model.encoder.block.dropout=0",
    "model.decoder.block.dropout=0",
    "training.steps=6",
    "training.validation.every=3",
    "training.save_every=3",
)
"""Without dropout, whose draws a compiled model makes by itself."""
BACKENDS = pytest.mark.parametrize("backend", ["eager", "inductor"])
"""What runs the graphs: torch as it is, or what it makes of them, for which it needs a minute."""


@pytest.fixture(autouse=True)
def afresh():
    torch.compiler.reset()
    yield
    torch.compiler.reset()


def by(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let models be compiled by ``backend``."""
    original: Callable[..., None] = nn.Module.compile
    monkeypatch.setattr(nn.Module, "compile", lambda self, **told: original(self, backend=backend, **told))


def begun(recipe: str, run: Path, *changes: str) -> Trainer[nn.Module]:
    return start_run(recipe, [*STILL, *changes], run, device="cpu", overwrite=False, say=lambda _: None)


def weights(run: Path) -> dict[str, Tensor]:
    tensors, _ = load_tensors(RunFolder(run).state)
    return tensors


@pytest.mark.parametrize(
    ("setting", "device", "expected"),
    [
        ("auto", "cpu", False),
        ("auto", "mps", False),
        ("auto", "cuda", True),
        (True, "cpu", True),
        (False, "cuda", False),
    ],
)
def test_auto_compiles_for_cuda_only(setting: Any, device: str, expected: bool):
    assert TrainingSpec(steps=1, compile=setting).compiles_for(device) is expected


def test_a_word_that_is_no_choice_is_refused(recipe: str, tmp_path: Path, train: Train):
    told = train(recipe, "training.compile=perhaps", "--run", tmp_path / "run")
    assert told.exit_code != 0
    assert "training.compile" in told.output


@pytest.mark.slow
@BACKENDS
def test_compiled_training_is_the_same(
    backend: str, recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    by(backend, monkeypatch)
    plain, compiled = (
        begun(recipe, tmp_path / name, f"training.compile={name}") for name in ("false", "true")
    )
    assert [*compiled.model.state_dict()] == [*plain.model.state_dict()]
    groups = plain.batches.groups(0)
    for number, group in enumerate(groups[:2], start=1):
        sums = [trainer.step.gradient(group, number, 0) for trainer in (plain, compiled)]
        assert sums[0].loss == pytest.approx(sums[1].loss, rel=1e-5)
        for one, other in zip(plain.model.parameters(), compiled.model.parameters(), strict=True):
            torch.testing.assert_close(one.grad, other.grad, rtol=1e-4, atol=1e-6)
        for trainer in (plain, compiled):
            trainer.step.update(number, 6)
    for trainer in (plain, compiled):
        trainer.lock.release()


@pytest.mark.slow
@BACKENDS
def test_a_compiled_training_resumes_to_the_same_weights(
    backend: str, recipe: str, tmp_path: Path, train: Train, monkeypatch: pytest.MonkeyPatch
):
    by(backend, monkeypatch)
    for run, steps in (("whole", 6), ("parts", 3)):
        changes = [*STILL, "training.compile=true", f"training.steps={steps}"]
        told = train(recipe, *changes, "training.schedule={kind: constant}", "--run", tmp_path / run)
        assert told.exit_code == 0, told.output
    told = train(tmp_path / "parts", "training.steps=6")
    assert told.exit_code == 0, told.output
    whole, parts = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    assert whole.keys() == parts.keys()
    torch.testing.assert_close(parts, whole, rtol=0, atol=0)
    # And goes on without it: names and meaning are the same.
    told = train(tmp_path / "parts", "training.steps=7", "training.compile=false")
    assert told.exit_code == 0, told.output


def test_a_validation_runs_as_written(recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    by("eager", monkeypatch)
    trainer = begun(recipe, tmp_path / "run", "training.compile=true")
    calls: list[bool] = []
    monkeypatch.setattr(
        trainer.model, "forward", partial(_noted, calls, type(trainer.model).forward, trainer.model)
    )
    with trainer.step.uncompiled():
        trainer.task.probe(trainer.model)
    assert calls == [False]
    trainer.lock.release()


def _noted(calls: list[bool], forward: Callable[..., Tensor], model: nn.Module, *inputs: Any) -> Tensor:
    calls.append(torch.compiler.is_compiling())
    return forward(model, *inputs)
