"""Arms of attention, each trained at several learning rates, and what their scores look like.

B batch · Q query length · K key length · H heads · D head dimension
"""

from collections.abc import Callable, Mapping, Sequence
from math import log
from statistics import linear_regression
from typing import NamedTuple

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from whyformer.attention.score import ScoreSpec
from whyformer.position.attention_shape import AttentionShape
from whyformer.tap import attach, record
from whyformer.why.lab.retrieval import Retrieval
from whyformer.why.lab.training import (
    IGNORED,
    Draw,
    ToyTraining,
    TrainingLog,
    Tuned,
    training_cost,
)
from whyformer.why.question import Figure, Measurements, Text

BY_RATE = Figure(
    Text("Steps at each learning rate", "各学习率下的步数"),
    Text("learning rate", "学习率"),
    Text("steps", "步"),
)
"""Shows whether the comparison hangs on the learning rate."""
DIM, THEORY = Text("head dimension dₖ", "每头维度 dₖ"), Text("√dₖ", "√dₖ")
DEVIATION = Figure(
    Text("Standard deviation of the scores", "注意力分数的标准差"), DIM, Text("", ""), "line", "xy", THEORY
)
TOP = Figure(Text("Largest of 32 weights", "32 个权重中最大的一个"), DIM, Text("%", "%"), "line", "x")
JACOBIAN = Figure(
    Text("Jacobian of the softmax", "softmax 的雅可比矩阵"),
    DIM,
    Text("Frobenius norm", "Frobenius 范数"),
    "line",
    "x",
)


class Swept(NamedTuple):
    """One arm, trained at several learning rates."""

    best: Tuned
    tried: Mapping[float, TrainingLog]
    """Logs by learning rate."""

    def measurements(self, arm: Text, enough: float = 95.0) -> Measurements:
        """Steps to ``enough`` percent at each rate, and the cost of the best."""
        measured = training_cost(arm, self.best.model, self.best.log)
        measured.update({(BY_RATE, arm, rate): steps_to(log, enough) for rate, log in self.tried.items()})
        return measured


def sweep(
    training: ToyTraining,
    rates: Sequence[float],
    build: Callable[[], nn.Module],
    draw: Draw,
    seed: int,
    enough: float,
) -> Swept:
    """Train at each of ``rates`` from the same first weights; the best is that of ``best_of``."""
    each = [training.best_of([rate], build, draw, seed, enough) for rate in rates]
    best = max(each, key=lambda tuned: (min(tuned.log.final, enough), -tuned.log.steps))
    return Swept(best, {tuned.rate: tuned.log for tuned in each})


def steps_to(log: TrainingLog, percent: float) -> float:
    """The first tested step that was right in ``percent``; all steps where none was."""
    return float(next((step for step, right in log.accuracy.items() if right >= percent), log.steps))


def sized(arm: Text, dim: int) -> Text:
    """An arm of so many head dimensions."""
    return Text(*(f"{name}, dₖ = {dim}" for name in arm))


def fewest_steps(measured: Measurements, arm: Text) -> float:
    """Steps of ``arm`` at its best learning rate."""
    return min(measured.line(BY_RATE, arm).values())


def more_steps(arm: Text, other: Text, dim: int) -> Callable[[Measurements], float]:
    """Read the steps of ``arm`` over those of ``other``, each at its best learning rate."""
    return lambda measured: (
        fewest_steps(measured, sized(arm, dim)) / fewest_steps(measured, sized(other, dim))
    )


def ratio(figure: Figure, place: float | Text, arm: Text, other: Text) -> Callable[[Measurements], float]:
    """Read a number of ``arm`` over that of ``other``."""
    return lambda measured: measured[figure, arm, place] / measured[figure, other, place]


def reading(figure: Figure, arm: Text, place: float | Text) -> Callable[[Measurements], float]:
    """Read one number."""
    return lambda measured: measured[figure, arm, place]


def scores_of(model: nn.Module, sentences: Tensor) -> Tensor:
    """Scores (B,H,Q,K) of the first attention of ``model``, before the mask and the softmax."""
    with torch.no_grad(), record(model, "*taps.scores") as tape:
        model(sentences)
    return next(iter(tape.values()))[0]


def loss_gradients(model: Retrieval, draw: Draw, seed: int) -> tuple[float, float]:
    """Norms of the loss's gradient for W_Q, and for the scores that enter the softmax."""
    scores: list[Tensor] = []

    def keep(_: str, x: Tensor) -> None:
        scores.append(x)

    sentences, target = draw(Generator().manual_seed(seed), 256)
    with attach(model, "*taps.scores", keep):
        loss = F.cross_entropy(model(sentences), target, ignore_index=IGNORED)
    of_weight, of_scores = torch.autograd.grad(loss, [model.attention.query.weight, *scores])
    return float(of_weight.norm()), float(of_scores.norm())


def softmax_of(scores: Mapping[Text, ScoreSpec], dims: Sequence[int]) -> Measurements:
    """Scores, weights and Jacobian over 32 keys, where nothing has been learned, by head dimension."""
    measured = Measurements()
    for dim in dims:
        # (B,H,Q,D), components independent with mean 0 and variance 1
        query, key = torch.randn(2, 64, 1, 32, dim)
        for arm, spec in scores.items():
            score = spec.build(AttentionShape(dim, 1, dim))
            logits = score(score.prepare(query), key)
            weights = logits.softmax(dim=-1)
            measured[DEVIATION, arm, dim] = float(logits.std())
            measured[TOP, arm, dim] = 100.0 * float(weights.amax(dim=-1).mean())
            measured[JACOBIAN, arm, dim] = jacobian_norm(weights)
        measured[DEVIATION, THEORY, dim] = dim**0.5
    return measured


def jacobian_norm(weights: Tensor) -> float:
    """Mean Frobenius norm of diag(p) - ppᵀ, the derivative of the softmax p = ``weights`` (…,K)."""
    # (…,K) -> (…,K,K)
    slope = weights.diag_embed() - weights[..., None] * weights[..., None, :]
    return float(slope.flatten(-2).norm(dim=-1).mean())


def spread_exponent(arm: Text, measured: Measurements) -> float:
    """Slope of the deviation over d_k, both as logarithms, by least squares."""
    line = measured.line(DEVIATION, arm)
    return linear_regression([log(dim) for dim in line], [log(value) for value in line.values()]).slope
