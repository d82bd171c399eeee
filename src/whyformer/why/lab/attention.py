"""Arms of attention, each trained at several learning rates, and what their scores look like.

B batch · Q query length · K key length · H heads · D head dimension
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from math import log
from statistics import linear_regression
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from whyformer.attention.heads import HeadsSpec
from whyformer.attention.keys import KeysSpec
from whyformer.attention.mask import Everything, Mask
from whyformer.attention.multihead import AttentionSpec, MultiHeadAttention
from whyformer.attention.score import ScoreSpec
from whyformer.nn.context import NO_POSITIONS
from whyformer.position.attention_shape import AttentionShape
from whyformer.position.layout import Layout
from whyformer.tap import attach, record
from whyformer.why.lab.toys.retrieval import Retrieval
from whyformer.why.lab.training import (
    IGNORED,
    Draw,
    ToyTraining,
    TrainingLog,
    Tuned,
    training_cost,
)
from whyformer.why.question import Figure, Level, Measurements, Text

LEARNED = Level(95.0, Text("learned", "学会"))
BY_RATE = Figure(
    Text("Steps at each learning rate", "各学习率下的步数"),
    Text("learning rate", "学习率"),
    Text("steps", "步"),
)
"""Shows whether the comparison hangs on the learning rate."""
PERCENT = Text("%", "%")
DIM, THEORY = Text("head dimension dₖ", "每头维度 dₖ"), Text("√dₖ", "√dₖ")
DEVIATION = Figure(
    Text("Standard deviation of the scores", "注意力分数的标准差"), DIM, Text("", ""), "line", "xy", THEORY
)
TOP = Figure(Text("Largest of 32 weights", "32 个权重中最大的一个"), DIM, PERCENT, "line", "x")
JACOBIAN = Figure(
    Text("Jacobian of the softmax", "softmax 的雅可比矩阵"),
    DIM,
    Text("Frobenius norm", "Frobenius 范数"),
    "line",
    "x",
)
SELF = Figure(
    Text("Weight on oneself, before training", "训练前分给自己的权重"),
    Text("standard deviation of the inputs", "输入的标准差"),
    PERCENT,
    "line",
    "x",
    levels=(Level(100 / 32, Text("even", "均匀")),),
)
OWN_TOP = Figure(
    Text("Rows whose highest score is oneself", "自己得分最高的行"),
    Text("norms of inputs", "输入的范数"),
    PERCENT,
)
EQUAL, UNEQUAL = Text("equal", "相等"), Text("log-normal", "对数正态")


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


def guessing(classes: int) -> Level:
    """The level of who guesses one of so many classes."""
    return Level(100.0 / classes, Text("chance", "随机猜测"))


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


@torch.no_grad()
def attention_over(spec: AttentionSpec, x: Tensor) -> Tensor:
    """Scores (B,H,L,L) of an attention over ``x`` (B,L,M) whose W_Q and W_K have variance 1/M."""
    attention = spec.build(x.shape[-1])
    for side in (attention.query, attention.key):
        if isinstance(side, nn.Linear):
            nn.init.normal_(side.weight, std=x.shape[-1] ** -0.5)
    with record(attention, "taps.scores") as tape:
        self_attention(attention, x)
    return tape["taps.scores"][0]


def self_attention(attention: MultiHeadAttention, x: Tensor) -> Tensor:
    """Self-attention of ``x`` (B,L,M), all of whose tokens see each other and have no positions."""
    layout = Layout.counting(len(x), x.shape[1])
    memory = attention.key_values(x, NO_POSITIONS, layout.position)
    return attention(x, memory, Mask(Everything(), layout, layout), NO_POSITIONS)


def weight_on_oneself(keys: Mapping[Text, KeysSpec], deviations: Sequence[float]) -> Measurements:
    """Weight that a random vector has on itself among 32, of 64 components, and how often it comes first."""
    measured = Measurements()
    # Normal components; then vectors on a sphere, whose norms are set
    inputs = torch.randn(32, 32, 64)
    unit = F.normalize(torch.randn(32, 32, 64), dim=-1)
    for arm, each in keys.items():
        spec = AttentionSpec(heads=HeadsSpec(query=1), keys=each)
        for deviation in deviations:
            weights = attention_over(spec, deviation * inputs).softmax(dim=-1)
            own = weights.diagonal(dim1=-2, dim2=-1)
            measured[SELF, arm, deviation] = 100.0 * float(own.mean())
        for place, norm in ((EQUAL, torch.ones(32, 32, 1)), (UNEQUAL, torch.randn(32, 32, 1).exp())):
            first = attention_over(spec, unit * norm).argmax(dim=-1) == torch.arange(32)
            measured[OWN_TOP, arm, place] = 100.0 * float(first.float().mean())
    return measured


@contextmanager
def head_off(model: nn.Module, head: int) -> Generator[None]:
    """Silence one head of every layer: what it read is 0."""

    def silence(_: str, context: Tensor) -> Tensor:
        # The context is (B,H,Q,D)
        return context.index_fill(1, torch.tensor([head]), 0.0)

    with attach(model, "*taps.context", silence):
        yield


def loss_gradients(model: Retrieval, draw: Draw, seed: int) -> tuple[float, float]:
    """Norms of the loss's gradient for W_Q, and for the scores that enter the softmax."""
    scores: list[Tensor] = []

    def keep(_: str, x: Tensor) -> None:
        scores.append(x)

    sentences, target = draw(torch.Generator().manual_seed(seed), 256)
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
