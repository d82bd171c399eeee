"""Shared models are trained once, whole or not at all, and the same every time."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from whyformer.errors import RecipeError
from whyformer.runs.load import load_runner
from whyformer.training.trainer import Trainer
from whyformer.why.conditions import equal_conditions
from whyformer.why.lab import assets
from whyformer.why.lab.assets import trained_run

TINY = ("data.pairs=60", "training.steps=2", "training.validation.every=2", "training.schedule.warmup=1")


@pytest.fixture(autouse=True)
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders that were trained, in a cache of this test's own."""
    monkeypatch.setenv("WHYFORMER_CACHE", str(tmp_path / "cache"))
    train, found = assets._train, list[Path]()

    def noted(recipe: str, overrides: tuple[str, ...], folder: Path) -> None:
        found.append(folder)
        train(recipe, overrides, folder)

    monkeypatch.setattr(assets, "_train", noted)
    return found


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "model.safetensors")


def test_a_run_is_trained_once_and_can_be_used(trained: list[Path], tmp_path: Path):
    run = trained_run("reverse", *TINY)
    assert trained_run("reverse", *TINY) == run
    assert trained == [run]
    assert run.is_relative_to(tmp_path / "cache" / "why")
    assert load_runner(run).model is not None


def test_other_settings_and_other_code_are_another_run(trained: list[Path], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(assets, "_train", lambda _recipe, _changes, folder: folder.mkdir())
    first = trained_run("reverse", *TINY)
    assert trained_run("reverse", *TINY, "training.seed=2") != first
    monkeypatch.setattr(assets, "_code_of_training", lambda: "another")
    assert trained_run("reverse", *TINY) != first


def test_it_comes_out_the_same_whatever_the_process_did_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    first = weights(trained_run("reverse", *TINY))
    torch.randn(7)
    monkeypatch.setenv("WHYFORMER_CACHE", str(tmp_path / "second"))
    with equal_conditions():
        second = weights(trained_run("reverse", *TINY))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_training_that_is_killed_leaves_no_run(trained: list[Path], monkeypatch: pytest.MonkeyPatch):
    def killed(_trainer: object, _report: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_validate", killed)
        with pytest.raises(KeyboardInterrupt):
            trained_run("reverse", *TINY)
    assert not trained[0].exists()
    assert trained_run("reverse", *TINY).exists()


def test_a_recipe_that_does_not_exist_is_a_sentence():
    with pytest.raises(RecipeError, match="nothing-like-it"):
        trained_run("nothing-like-it")


def test_conditions_within_conditions_leave_the_outer_ones():
    def flushes() -> bool:
        return not (torch.full((1,), 1e-40) * 1.0).any()

    torch.set_num_threads(1)
    with equal_conditions():
        with equal_conditions():
            assert flushes()
        assert flushes()
    assert not flushes()
