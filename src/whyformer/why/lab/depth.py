"""Deep and narrow language models on prose, by the place of their norm, and how their training goes.

B batch · L length · V vocabulary
"""

from collections.abc import Callable
from statistics import fmean
from typing import NamedTuple, Self

import torch
from pydantic import Field
from torch import Generator, Tensor
from torch.nn import functional as F
from typing_extensions import override

from whyformer.attention.mask import Causal
from whyformer.nn.residual.placement import PlacementSpec
from whyformer.position.absolute import SinusoidalSpec
from whyformer.training.optimization.optimizer import Adam
from whyformer.why.lab.positions import CHARACTERS, manual, next_characters
from whyformer.why.lab.toys.reader import Reader, small_network, small_stack
from whyformer.why.lab.training import PARAMETERS, STEPS, TRAINING_COST
from whyformer.why.question import Effort, Measurements, Text

DEPTH_WIDTH = 32
PIECE = 24
"""Characters of a training row."""


def deep_reader(placement: PlacementSpec, layers: int) -> Reader:
    """A causal language model of characters, without dropout."""
    stack = small_stack(layers, 4, (SinusoidalSpec(),), Causal(), small_network(2 * DEPTH_WIDTH))
    block = stack.block.model_copy(update={"placement": placement})
    return Reader(CHARACTERS, CHARACTERS, stack.model_copy(update={"block": block}), DEPTH_WIDTH)


def letter_entropy() -> float:
    """Loss of a model that knows how frequent every character is, and nothing else."""
    share = manual().bincount(minlength=CHARACTERS) / len(manual())
    return float(-(share * share.clamp_min(1e-9).log()).sum())


def text_loss(model: Reader, random: Generator, count: int = 12) -> Tensor:
    """Nats a character of fresh pieces."""
    pieces, following = next_characters(PIECE)(random, count)
    return F.cross_entropy(model(pieces), following)


class DepthLog(NamedTuple):
    """Log of a training."""

    losses: list[float]
    """By step."""
    updates: dict[int, float]
    """Norm of an update over the norm of the weights, by step."""

    @property
    def final(self) -> float:
        """Mean of the last steps, in which no piece is seen twice."""
        return fmean(self.losses[-20:])


class DepthTraining(Effort):
    """Training with a rate for every step, which is given."""

    steps: int = Field(ge=1)
    """Updates, all arms alike."""
    watch_every: int = Field(default=5, ge=1)
    """Updates between two that are measured."""

    @override
    def with_budget(self, budget: float) -> Self:
        return self.model_copy(update={"steps": max(1, round(self.steps * budget))})

    def run(
        self, model: Reader, rate: Callable[[int], float], seed: int, momentless: bool = False
    ) -> DepthLog:
        """Train ``model`` by Adam, at ``rate(step)``."""
        random, log = Generator().manual_seed(seed), DepthLog([], {})
        weights = list(model.parameters())
        optimizer = Adam(beta2=0.999, epsilon=1e-8).build(weights)
        for step in range(1, self.steps + 1):
            optimizer.param_groups[0]["lr"] = rate(step)
            loss = text_loss(model, random)
            optimizer.zero_grad()
            loss.backward()
            watched = step % self.watch_every == 0 or step == 1
            before = torch.nn.utils.parameters_to_vector(weights).detach().clone() if watched else None
            optimizer.step()
            if before is not None:
                moved = torch.nn.utils.parameters_to_vector(weights).detach() - before
                log.updates[step] = float(moved.norm() / before.norm())
            log.losses.append(float(loss.detach()))
        return log


def depth_cost(arm: Text, placement: PlacementSpec, layers: int, steps: int) -> Measurements:
    """Parameters and steps of an arm, for the table."""
    parameters = sum(each.numel() for each in deep_reader(placement, layers).parameters())
    numbers = {STEPS: steps, PARAMETERS: parameters}
    return Measurements({(TRAINING_COST, arm, place): float(number) for place, number in numbers.items()})


def gradient_by_layer(placement: PlacementSpec, layers: int, seed: int, draws: int = 8) -> list[float]:
    """Norm of the gradient of every layer's feed-forward network, before training.

    It is the root of the mean square of several ``draws`` of the first weights, as one alone says little.
    """
    torch.manual_seed(seed)
    random = Generator().manual_seed(seed)
    squares = torch.zeros(layers)
    for _ in range(draws):
        model = deep_reader(placement, layers)
        text_loss(model, random, count=24).backward()
        for name, weight in model.named_parameters():
            _, _, layer, part, *_ = [*name.split("."), "", "", ""]
            if part == "feed_forward" and weight.grad is not None:
                squares[int(layer)] += weight.grad.square().sum() / draws
    return squares.sqrt().tolist()
