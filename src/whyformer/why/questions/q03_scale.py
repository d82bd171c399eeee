"""Q03, why divide by √d_k (为什么除以 √d_k): the scores' spread, the softmax's slope, and learning."""

from functools import partial

import torch
from torch import Generator
from typing_extensions import override

from whyformer.attention.score import DotSpec, ScaledDotSpec, ScoreSpec
from whyformer.why.arms import SCALED, SMALL_QUERY, UNSCALED
from whyformer.why.lab import attention as lab
from whyformer.why.lab.attention import (
    BY_RATE,
    DEVIATION,
    JACOBIAN,
    LEARNED,
    TOP,
    guessing,
    more_steps,
    ratio,
    reading,
    sized,
)
from whyformer.why.lab.toys.retrieval import Retrieval, retrieval
from whyformer.why.lab.training import RIGHT, STEPS, TRAINING_COST, ToyTraining
from whyformer.why.question import Bounds, Claim, Experiment, Figure, Measurements, Question, Text, Topic

BY_DIM = Text("÷dₖ", "除以 dₖ")

# What is measured.
STEP = Text("step", "步")
MARKS = (LEARNED, guessing(16))
LEARNING = Figure(
    Text("Finding 1 of 16 (dₖ = 256)", "16 选 1 的检索（dₖ = 256）"), STEP, RIGHT, "line", "x", levels=MARKS
)
TEXTBOOK = Figure(
    Text("Finding 1 of 16 (dₖ = 64)", "16 选 1 的检索（dₖ = 64）"), STEP, RIGHT, "line", "x", levels=MARKS
)
NORM = Text("Frobenius norm", "Frobenius 范数")
GRADIENT = Figure(
    Text("Gradient before step 1 (dₖ = 256)", "第 1 步之前的梯度（dₖ = 256）"),
    Text("for", "对象"),
    NORM,
    "bar",
)
WEIGHTS, SCORES = Text("W_Q", "W_Q"), Text("scores", "注意力分数")
GROWN = Figure(Text("Deviation of the scores in training", "训练前后分数的标准差"), STEP, Text("", ""))
BEFORE, AFTER = Text("first", "训练前"), Text("when learned", "学会时")


class Scale(Experiment):
    """Random queries and keys at several d_k; then one-layer models that learn to retrieve."""

    scaled: ScoreSpec = ScaledDotSpec()
    """The score of the arm that scales."""
    dims: tuple[int, ...] = (4, 16, 64, 256, 512)
    """Head dimensions of the sweep."""
    rates: tuple[float, ...] = (1e-3, 3e-3, 1e-2)
    """Learning rates that every arm is trained at."""
    training: ToyTraining = ToyTraining(steps=400, test_every=5, test_examples=256)
    """Each training; it ends at 95 % right."""

    @override
    def measure(self, seed: int) -> Measurements:
        torch.manual_seed(seed)
        measured = lab.softmax_of({SCALED: self.scaled, UNSCALED: DotSpec()}, self.dims)
        for dim, figure in ((256, LEARNING), (64, TEXTBOOK)):
            for arm in (SCALED, UNSCALED, BY_DIM, SMALL_QUERY):
                measured.update(self.taught(arm, dim, figure, seed))
        return measured

    def taught(self, arm: Text, dim: int, figure: Figure, seed: int) -> Measurements:
        """One arm at its best learning rate, and the steps at the others."""
        draw, build = retrieval(keys=16), partial(self.model, arm, dim)
        swept = lab.sweep(self.training, self.rates, build, draw, seed, enough=95.0)
        measured, best = swept.measurements(sized(arm, dim)), swept.best
        measured.update({(figure, arm, step): right for step, right in best.log.accuracy.items()})
        torch.manual_seed(seed)
        fresh, tests = build(), draw(Generator().manual_seed(seed), 256).sentences
        for place, model in ((BEFORE, fresh), (AFTER, best.model)):
            # How much the scores of one query differ
            measured[GROWN, sized(arm, dim), place] = float(lab.scores_of(model, tests).std(dim=-1).mean())
        if figure == LEARNING:
            norms = lab.loss_gradients(fresh, draw, seed)
            measured[GRADIENT, arm, WEIGHTS], measured[GRADIENT, arm, SCORES] = norms
        return measured

    def model(self, arm: Text, dim: int) -> Retrieval:
        """The untrained model of an arm."""
        scores: dict[Text, ScoreSpec] = {SCALED: self.scaled, BY_DIM: DotSpec(scale=1 / dim)}
        return Retrieval(scores.get(arm, DotSpec()), dim, shrink=dim**0.5 if arm == SMALL_QUERY else 1.0)


CLAIMS = (
    Claim("steps", Text("steps to 95 % at dₖ = 256: not scaled / scaled",
          "dₖ = 256 时达到 95 % 的步数：不缩放 / 缩放"),
          more_steps(UNSCALED, SCALED, 256), Bounds(low=2.0), Bounds(low=1.0)),
    Claim("steps64", Text("steps to 95 % at dₖ = 64: not scaled / scaled",
          "dₖ = 64 时达到 95 % 的步数：不缩放 / 缩放"),
          more_steps(UNSCALED, SCALED, 64), Bounds(low=1.2)),
    Claim("gradient", Text("first gradient of W_Q: not scaled / scaled",
          "W_Q 最初的梯度：不缩放 / 缩放"),
          ratio(GRADIENT, WEIGHTS, UNSCALED, SCALED), Bounds(low=2.0), Bounds(low=1.0)),
    Claim("jacobian", Text("Jacobian at dₖ = 512: not scaled / scaled",
          "dₖ = 512 时的雅可比范数：不缩放 / 缩放"),
          ratio(JACOBIAN, 512, UNSCALED, SCALED), Bounds(high=0.4)),
    Claim("top", Text("largest of 32 weights at dₖ = 512, not scaled (%)",
          "dₖ = 512、不缩放时 32 个权重中最大的（%）"),
          reading(TOP, UNSCALED, 512), Bounds(low=80.0)),
    Claim("by_dim", Text("steps at a rate of 0.001, dₖ = 256: ÷dₖ / scaled",
          "学习率 0.001、dₖ = 256 的步数：除以 dₖ / 缩放"),
          ratio(BY_RATE, 1e-3, sized(BY_DIM, 256), sized(SCALED, 256)), Bounds(low=1.2)),
    Claim("exponent", Text("check: exponent of the unscaled deviation in dₖ",
          "核对：不缩放时标准差随 dₖ 增长的指数"),
          partial(lab.spread_exponent, UNSCALED), Bounds(0.45, 0.55), Bounds(0.45, 0.55), control=True),
    Claim("jacobian4", Text("Jacobian at dₖ = 4: not scaled / scaled",
          "dₖ = 4 时的雅可比范数：不缩放 / 缩放"),
          ratio(JACOBIAN, 4, UNSCALED, SCALED), Bounds(low=1.0), control=True),
    Claim("small", Text("steps to 95 %, not scaled: small W_Q / usual",
          "不缩放时达到 95 % 的步数：W_Q 初始值小 / 通常"),
          more_steps(SMALL_QUERY, UNSCALED, 256), Bounds(high=0.5), control=True),
)  # fmt: skip

QUESTION = Question(
    number=3,
    title=Text("Why divide by √dₖ?", "为什么除以 √dₖ？"),
    topic=Topic(
        "junior", "attention", related=(8, 9, 27), words="scale scaled dot product sqrt 缩放 点积 根号"
    ),
    claims=CLAIMS,
    figures=(LEARNING, TEXTBOOK, TOP, JACOBIAN, GRADIENT, DEVIATION, BY_RATE, GROWN, TRAINING_COST),
    experiment=Scale(),
    numbers={
        "variance64": lambda measured: measured[DEVIATION, UNSCALED, 64] ** 2,
        "top64": reading(TOP, UNSCALED, 64),
        "scaled_top": reading(TOP, SCALED, 512),
        "jacobian64": ratio(JACOBIAN, 64, UNSCALED, SCALED),
        "scores_gradient": ratio(GRADIENT, SCORES, UNSCALED, SCALED),
        "scaled_steps": reading(TRAINING_COST, sized(SCALED, 256), STEPS),
        "unscaled_steps": reading(TRAINING_COST, sized(UNSCALED, 256), STEPS),
        "small_steps": reading(TRAINING_COST, sized(SMALL_QUERY, 256), STEPS),
        "one_rate": ratio(BY_RATE, 1e-3, sized(UNSCALED, 256), sized(SCALED, 256)),
        "by_dim_best": more_steps(BY_DIM, SCALED, 256),
        "grown": reading(GROWN, sized(SCALED, 256), AFTER),
        "grown_by_dim": reading(GROWN, sized(BY_DIM, 256), AFTER),
    },
)
