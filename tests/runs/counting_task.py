"""A whole task in one module, as short as one can be: given a number, the next one, counted around.

B batch · V numbers · M model dimension
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

from whyformer.plots.panels import Curve, Curves
from whyformer.spec import Spec
from whyformer.tasks.recipe import Recipe
from whyformer.tasks.task import EvaluationOptions, Metrics, Prepared, Task, TaskSummary
from whyformer.training.held_out import held_out_losses
from whyformer.training.objective import Losses
from whyformer.training.settings import TrainingSpec
from whyformer.training.task import Probe


class NumbersSpec(Spec):
    numbers: int = 10


class CounterSpec(Spec):
    d_model: int = 16

    def build(self, numbers: int) -> nn.Sequential:
        return nn.Sequential(nn.Embedding(numbers, self.d_model), nn.Linear(self.d_model, numbers))


class CountingRecipe(Recipe):
    task: Literal["counting"] = "counting"
    data: NumbersSpec = NumbersSpec()
    model: CounterSpec = CounterSpec()
    training: TrainingSpec


@dataclass(frozen=True)
class NoAssets:
    fingerprints: list[str]
    description: str = "none"

    def save(self, folder: Path) -> None: ...


@dataclass(frozen=True)
class CountingMetrics(Metrics):
    nll: float
    accuracy: float

    @property
    @override
    def figures(self) -> dict[str, float]:
        return {"loss": self.nll, "nll": self.nll, "accuracy": self.accuracy}

    @override
    def lines(self, name: str, examples: int = 0) -> Iterator[str]:
        yield f"{name}: {self.accuracy:.1f} % of numbers right"


class Counter:
    def __init__(self, model: nn.Module) -> None:
        self.model = model.eval()

    def __call__(self, text: str, /) -> str:
        return str(int(self.model(torch.tensor([int(text)])).argmax()))


def next_number(model: nn.Module, batch: Tensor) -> Losses:
    """The cross-entropy of what follows each number of ``batch`` (B,)."""
    logits = model(batch)
    gold = (batch + 1) % logits.shape[1]
    loss = F.cross_entropy(logits, gold, reduction="sum")
    right = (logits.argmax(dim=1) == gold).sum()
    return Losses(loss, len(batch), {"nll": loss.detach(), "right": right})


def measured(model: nn.Module, numbers: int) -> CountingMetrics:
    losses = held_out_losses(model, next_number, [torch.arange(numbers)])
    return CountingMetrics(losses.nll, 100.0 * losses.sums["right"] / numbers)


class CountingTraining:
    objective = staticmethod(next_number)

    def __init__(self, numbers: int) -> None:
        self._numbers = numbers
        self.lengths: NDArray[np.int64] = np.ones((numbers, 1), dtype=np.int64)

    def predicted(self, indices: NDArray[np.int64], epoch: int) -> int:
        return len(indices)

    def batch(self, indices: NDArray[np.int64], epoch: int, device: torch.device) -> Tensor:
        return torch.from_numpy(indices).to(device)

    def probe(self, model: nn.Module) -> Probe:
        embedded = torch.ones(1, 1, 1, requires_grad=True)
        return Probe(embedded, embedded * 2)

    def validate(self, model: nn.Module, device: torch.device, *, translate: bool | None) -> dict[str, float]:
        return measured(model, self._numbers).figures

    def chosen_by(self, scores: dict[str, float]) -> str:
        return "nll"

    def better(self, new: dict[str, float], old: dict[str, float]) -> bool:
        return new["nll"] < old["nll"]


class CountingTask(Task[CountingRecipe, NoAssets, Counter]):
    recipe_type = CountingRecipe
    runner_type = Counter
    does = "counts on"
    verb = "count"
    figures = ("nll", "accuracy")

    @override
    def load_assets(self, folder: Path) -> NoAssets:
        return NoAssets([])

    @override
    def prepare(self, recipe: CountingRecipe, assets: NoAssets | None) -> Prepared:
        numbers = recipe.data.numbers
        training = CountingTraining(numbers)
        return Prepared(training, lambda: recipe.model.build(numbers), NoAssets([]), f"{numbers} numbers")

    @override
    def objective(self, recipe: CountingRecipe):
        return next_number

    @override
    def runner(self, recipe: CountingRecipe, assets: NoAssets) -> Counter:
        return Counter(recipe.model.build(recipe.data.numbers))

    @override
    def evaluate(
        self, recipe: CountingRecipe, runner: Counter, names: Sequence[str], options: EvaluationOptions
    ) -> Iterator[tuple[str, CountingMetrics]]:
        for name in names or ["all"]:
            yield name, measured(runner.model, recipe.data.numbers)

    @override
    def summary(self, recipe: CountingRecipe) -> TaskSummary:
        words = {"data": f"{recipe.data.numbers} numbers", "model": f"a table of {recipe.model.d_model}"}
        return TaskSummary(words, Curves(per="number", scores=(Curve("accuracy", "accuracy"),)))
