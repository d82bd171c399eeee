"""Linear classifiers of frozen states, trained to their optimum.

B batch · L length · M model dimension · N tokens · C classes
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from whyformer.why.lab.toys.reader import Reader
from whyformer.why.lab.training import Draw, ToyTraining, TrainingLog

PENALTY = 1e-5
"""Weight of the squared weights in the loss: without it, the optimum for separable classes is infinite."""
TESTED = 1024
"""Texts that a classifier is tested on."""


class Probed(NamedTuple):
    """Test of a classifier."""

    right: float
    """Percent of the tokens whose class it finds."""
    moved: float
    """Points by which the second half of the iterations changed that: near 0 at the optimum."""


def probe(model: Reader, classes: int, draw: Draw, texts: int, seed: int, iterations: int = 400) -> Probed:
    """Classify each token of ``texts`` labelled texts by its frozen state, and test that on others.

    The loss is convex, so there is one optimum, whatever the learning rate and the first weights would be.
    """
    with torch.no_grad():
        states, labels = _states(model, draw, texts, seed)
        mean, spread = states.mean(dim=0), states.std()
        states = (states - mean) / spread
        tested, truth = _states(model, draw, TESTED, seed + 1_000_003)
        tested = (tested - mean) / spread
    classifier = nn.Linear(states.shape[1], classes)
    nn.init.zeros_(classifier.weight)
    nn.init.zeros_(classifier.bias)
    optimizer = torch.optim.LBFGS(
        classifier.parameters(), max_iter=iterations // 2, line_search_fn="strong_wolfe"
    )

    def loss() -> float:
        optimizer.zero_grad()
        penalty = PENALTY * classifier.weight.square().sum()
        value = F.cross_entropy(classifier(states), labels) + penalty
        value.backward()
        return float(value.detach())

    rights: list[float] = []
    for _ in range(2):
        optimizer.step(loss)
        with torch.no_grad():
            rights.append(100.0 * float((classifier(tested).argmax(dim=1) == truth).double().mean()))
    return Probed(rights[1], abs(rights[1] - rights[0]))


def best_to_probe(
    training: ToyTraining,
    rates: Sequence[float],
    build: Callable[[], Reader],
    draw: Draw,
    score: Callable[[Reader], Probed],
    seed: int,
) -> tuple[Reader, TrainingLog]:
    """The model, by one of ``rates``, whose states ``score`` best, and the log of its training.

    For where rates do equally well in training itself: there the best of them would be drawn by lot.
    """
    tried: list[tuple[float, Reader, TrainingLog]] = []
    for rate in rates:
        torch.manual_seed(seed)
        model = build()
        log = training.model_copy(update={"rate": rate}).run(model, draw, seed)
        tried.append((score(model).right, model, log))
    return max(tried, key=lambda each: each[0])[1:]


def _states(model: Reader, draw: Draw, texts: int, seed: int) -> tuple[Tensor, Tensor]:
    """States (N,M) of the tokens of so many texts, and their classes (N,)."""
    tokens, classes = draw(Generator().manual_seed(seed), texts)
    return model.hidden(tokens).flatten(0, 1), classes.flatten()
