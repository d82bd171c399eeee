"""Short trainings of toy models, and how they went."""

import math
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, Self

import torch
from pydantic import Field
from torch import Generator, Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

from whyformer.errors import TrainingError
from whyformer.progress import progress
from whyformer.why.question import Effort, Figure, Measurements, Text

IGNORED = -100
"""The target where nothing is asked."""


class Examples(NamedTuple):
    """Sentences that a model reads, and the class that it should find; both in the form that it wants."""

    sentences: Tensor
    target: Tensor


Draw = Callable[[Generator, int], Examples]
"""Draws so many examples."""

TRAINING_COST = Figure(Text("Cost of training", "训练开销"), across=Text("", ""), unit=Text("", ""))
STEPS, SECONDS = Text("steps", "步数"), Text("seconds", "秒")
PARAMETERS, RIGHT = Text("parameters", "参数量"), Text("right (%)", "正确率（%）")


class TrainingLog(NamedTuple):
    """Log of a training."""

    accuracy: dict[int, float]
    """In percent on fresh examples, by step."""
    steps: int
    seconds: float
    """Without the tests."""

    @property
    def final(self) -> float:
        """The last accuracy."""
        return self.accuracy[self.steps]


class Tuned(NamedTuple):
    """A model by the best of several learning rates."""

    model: nn.Module
    log: TrainingLog
    rate: float


class ToyTraining(Effort):
    """A training by Adam (Kingma and Ba 2015), or by gradient descent with momentum."""

    steps: int = Field(ge=1)
    """Updates, all arms alike."""
    seconds: float = Field(default=180.0, gt=0.0)
    """Maximum for one arm; an arm that was cut short would prove nothing, so that is an error."""
    batch: int = Field(default=32, ge=1)
    """Fresh examples an update."""
    rate: float = Field(default=1e-3, gt=0.0)
    """Adam's learning rate, where ``best_of`` is not told of others."""
    momentum: float | None = Field(default=None, ge=0.0, lt=1.0)
    """Momentum of gradient descent, in place of Adam."""
    test_every: int = Field(ge=1)
    """Updates between two tests."""
    test_examples: int = Field(default=512, ge=1)
    """Examples of each test, the same ones every time."""

    @override
    def with_budget(self, budget: float) -> Self:
        steps = max(1, round(self.steps * budget))
        return self.model_copy(update={"steps": steps, "seconds": self.seconds * max(1.0, budget)})

    def best_of(
        self,
        rates: Sequence[float],
        build: Callable[[], nn.Module],
        draw: Draw,
        seed: int,
        enough: float = math.inf,
    ) -> Tuned:
        """Train a model anew by each of ``rates``, from the same first weights, and choose the best one.

        So every arm is shown at its best. The best needs the fewest steps, where each got to ``enough``;
        otherwise it is right most often at its end.

        Raises:
            TrainingError: the machine is too slow for it.
        """
        tried: list[Tuned] = []
        for rate in rates:
            torch.manual_seed(seed)
            model = build()
            log = self.model_copy(update={"rate": rate}).run(model, draw, seed, enough)
            tried.append(Tuned(model, log, rate))
        return max(tried, key=lambda each: (min(each.log.final, enough), -each.log.steps))

    def run(self, model: nn.Module, draw: Draw, seed: int, enough: float = math.inf) -> TrainingLog:
        """Train ``model`` on fresh examples until it is right in ``enough`` percent, or all steps are done.

        Raises:
            TrainingError: the machine is too slow for it.
        """
        examples, held_out = Generator().manual_seed(seed), Generator().manual_seed(seed + 1_000_003)
        test = draw(held_out, self.test_examples)
        optimizer = self._optimizer(model)
        accuracy: dict[int, float] = {}
        step, seconds = 0, 0.0
        with progress("training", self.steps, "steps") as done:
            while step < self.steps and max(accuracy.values(), default=0.0) < enough:
                if seconds > self.seconds:
                    raise TrainingError(
                        f"a model got to step {step} of {self.steps} in {seconds:.0f} s, which proves "
                        "nothing; ask again when the machine is idle."
                    )
                began = time.perf_counter()
                sentences, target = draw(examples, self.batch)
                optimizer.zero_grad()
                F.cross_entropy(model(sentences), target, ignore_index=IGNORED).backward()
                optimizer.step()
                step, seconds = step + 1, seconds + time.perf_counter() - began
                if step % self.test_every == 0 or step == self.steps:
                    accuracy[step] = percent_right(model, test)
                done(1)
        return TrainingLog(accuracy, step, seconds)

    def _optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        if self.momentum is None:
            return torch.optim.Adam(model.parameters(), lr=self.rate, fused=True)
        return torch.optim.SGD(model.parameters(), lr=self.rate, momentum=self.momentum, fused=True)


@torch.no_grad()
def percent_right(model: nn.Module, test: Examples) -> float:
    """Percentage of the classes asked for that ``model`` finds, as it is used and not as it is trained."""
    training = model.training
    right = model.eval()(test.sentences).argmax(dim=1) == test.target
    model.train(training)
    return 100.0 * float(right.sum()) / float((test.target != IGNORED).sum())


def training_cost(arm: Text, model: nn.Module, log: TrainingLog) -> Measurements:
    """Steps, seconds and parameters of an arm's training, for the table."""
    parameters = sum(parameter.numel() for parameter in model.parameters())
    numbers = {STEPS: log.steps, SECONDS: log.seconds, PARAMETERS: parameters}
    return Measurements({(TRAINING_COST, arm, place): float(number) for place, number in numbers.items()})
