"""Dropout that rises: as much in each step as its number says, in whatever way the step was come to."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from typer.testing import Result

from whyformer.config.validation import check
from whyformer.dropout import Dropout
from whyformer.errors import RecipeError
from whyformer.training.optimization.dropout import ConstantDropout, RisingDropout
from whyformer.training.settings import TrainingSpec
from whyformer.training.step import TrainingStep
from whyformer.training.storage.checkpoint import load_tensors

Train = Callable[..., Result]
RISING = "training.dropout_schedule={kind: rising, begin: 0.2}"


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_tensors(run / "model.safetensors")[0]


def equal(one: Path, other: Path) -> bool:
    first, second = weights(one), weights(other)
    return all(torch.equal(tensor, second[name]) for name, tensor in first.items())


def test_the_share_is_a_straight_line_to_the_end():
    rising = RisingDropout(begin=0.2)
    assert [rising.share(step, 4) for step in (1, 2, 3, 4)] == pytest.approx([0.4, 0.6, 0.8, 1.0])
    assert rising.share(9, 4) == 1.0  # a run that goes on behind its end
    assert [RisingDropout(begin=1.0).share(step, 7) for step in (1, 7)] == [1.0, 1.0]
    assert ConstantDropout().share(1, 4) == 1.0


def test_a_share_is_what_is_dropped():
    torch.manual_seed(0)
    dropout, x = Dropout(0.5).train(), torch.ones(100_000)
    for share in (0.0, 0.2, 0.6, 1.0):
        dropout.share = share
        found = dropout(x)
        assert (found == 0).float().mean().item() == pytest.approx(0.5 * share, abs=0.01)
        assert found.mean().item() == pytest.approx(1.0, abs=0.02)
    assert dropout.eval()(x) is x


def test_every_dropout_of_a_model_follows(
    recipe: str, train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    seen: list[set[float]] = []
    gradient = TrainingStep.gradient

    def spied(self: TrainingStep[torch.nn.Module], *told: object) -> object:
        parts = [module for module in self.model.modules() if isinstance(module, Dropout)]
        seen.append({module.rate for module in parts if module.probability})
        return gradient(self, *told)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(TrainingStep, "gradient", spied)
    assert train(recipe, RISING, "--run", tmp_path / "run", "--threads", 1).exit_code == 0
    expected = [pytest.approx(0.1 * (0.2 + 0.8 * step / 40)) for step in range(1, 41)]
    assert [rates for rates in seen if len(rates) != 1] == []
    assert [rates.pop() for rates in seen] == expected


def test_a_run_that_was_stopped_goes_on_with_as_much(recipe: str, train: Train, tmp_path: Path):
    whole, parted = tmp_path / "whole", tmp_path / "parted"
    assert train(recipe, RISING, "--run", whole, "--threads", 1).exit_code == 0

    class StoppedError(Exception):
        pass

    def stop(self: TrainingStep[torch.nn.Module], step: int, total: int | None) -> None:
        if step == 24:
            raise StoppedError
        set_dropout(self, step, total)

    set_dropout = TrainingStep.set_dropout
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainingStep, "set_dropout", stop)
        assert isinstance(train(recipe, RISING, "--run", parted, "--threads", 1).exception, StoppedError)
    told = train(parted, "--threads", 1)
    assert told.exit_code == 0, told.output
    assert equal(whole, parted)


def test_all_of_it_from_the_beginning_is_what_it_was(
    recipe: str, train: Train, undisturbed: Path, tmp_path: Path
):
    same, other = tmp_path / "same", tmp_path / "other"
    arguments = ("--threads", 1)
    whole = "training.dropout_schedule={kind: rising, begin: 1.0}"
    assert train(recipe, whole, "--run", same, *arguments).exit_code == 0
    assert train(recipe, RISING, "--run", other, *arguments).exit_code == 0
    assert equal(undisturbed, same)
    assert not equal(undisturbed, other)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"minutes": 3}, "rising goes towards an end; set epochs or steps"),
        ({"steps": 9, "compile": True}, "rising changes the model in each step"),
        ({"steps": 9, "dropout_schedule": {"kind": "rising", "begin": 1.5}}, "begin"),
    ],
)
def test_what_does_not_go_together_is_refused(settings: dict[str, object], said: str):
    with pytest.raises(RecipeError, match=said):
        check(TrainingSpec, {"dropout_schedule": {"kind": "rising"}, **settings}, "the recipe")


def test_a_gpu_compiles_what_does_not_change():
    rising = TrainingSpec(steps=9, dropout_schedule=RisingDropout())
    assert not rising.compiles_for("cuda")
    assert TrainingSpec(steps=9).compiles_for("cuda")
