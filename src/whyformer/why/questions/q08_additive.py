"""Q08, dot product or additive scores (点乘还是加法): what they cost, and what models learn with them."""

from functools import partial

import torch
from torch import Tensor
from typing_extensions import override

from whyformer.attention.score import AdditiveSpec, DotSpec, ScaledDotSpec, ScoreSpec
from whyformer.position.attention_shape import AttentionShape
from whyformer.why.arms import ADDITIVE, SCALED, SMALL_QUERY, UNSCALED
from whyformer.why.lab import attention as lab
from whyformer.why.lab.attention import BY_RATE, DIM, guessing, more_steps, ratio, reading, sized
from whyformer.why.lab.cost import Sliced, attention, kept_megabytes, milliseconds
from whyformer.why.lab.toys.retrieval import Retrieval, retrieval
from whyformer.why.lab.training import RIGHT, TRAINING_COST, ToyTraining
from whyformer.why.question import Bounds, Claim, Experiment, Figure, Measurements, Question, Text, Topic

# Slices never form the n × n × d tensor.
SLICED = Text("additive, in slices", "加性注意力，分块计算")

# What is measured.
STEPS_TAKEN, LENGTH = Text("steps", "步"), Text("tokens n", "词元数 n")
SPEED = Figure(Text("Steps until 95 % are right", "正确率达到 95 % 的步数"), DIM, STEPS_TAKEN, "line", "xy")
END = Figure(
    Text("Right at the end, best learning rate", "训练结束时的正确率（最佳学习率）"), DIM, RIGHT, "line", "x",
    levels=(guessing(16),),
)  # fmt: skip
TIME = Figure(Text("Time (dₖ = 64)", "时间（dₖ = 64）"), LENGTH, Text("ms", "毫秒"), "line", "xy")
MEMORY = Figure(
    Text("Kept for the backward pass (n = 256)", "反向传播须保存的激活（n = 256）"),
    DIM,
    Text("MB", "MB"),
    "line",
    "xy",
)


class AdditiveOrDot(Experiment):
    """One attention of one head over random tokens; then one-layer models that learn to retrieve."""

    additive: ScoreSpec = AdditiveSpec()
    """The score of the additive arm."""
    lengths: tuple[int, ...] = (32, 128, 256)
    """Tokens, at d_k = 64."""
    widths: tuple[int, ...] = (1, 16, 64, 128)
    """Head dimensions, at n = 256."""
    turns: int = 15
    """Times that all arms are timed, one after the other."""
    dims: tuple[int, ...] = (16, 64, 256)
    """Head dimensions of the models that learn; the control at the last one."""
    rates: tuple[float, ...] = (1e-3, 3e-3, 1e-2)
    """Learning rates that every arm is trained at."""
    training: ToyTraining = ToyTraining(steps=500, test_every=10, test_examples=256)
    """Each training; it ends at 98 % right."""

    @override
    def measure(self, seed: int) -> Measurements:
        torch.manual_seed(seed)
        measured = Measurements()
        for length in self.lengths:
            arms = self.attentions(torch.randn(3, 1, 1, length, 64))
            measured.update({(TIME, arm, length): ms for arm, ms in milliseconds(arms, self.turns).items()})
        for width in self.widths:
            arms = self.attentions(torch.randn(3, 1, 1, 256, width).requires_grad_())
            measured.update({(MEMORY, arm, width): kept_megabytes(work) for arm, work in arms.items()})
        scores = {
            ADDITIVE: self.additive,
            SCALED: ScaledDotSpec(),
            UNSCALED: DotSpec(),
            SMALL_QUERY: DotSpec(),
        }
        for dim in self.dims:
            for arm, score in scores.items():
                if arm != SMALL_QUERY or dim == self.dims[-1]:
                    build = partial(Retrieval, score, dim, shrink=dim**0.5 if arm == SMALL_QUERY else 1.0)
                    swept = lab.sweep(self.training, self.rates, build, retrieval(keys=16), seed, enough=98.0)
                    measured.update(swept.measurements(sized(arm, dim)))
                    measured[SPEED, arm, dim] = lab.fewest_steps(measured, sized(arm, dim))
                    measured[END, arm, dim] = swept.best.log.final
        return measured

    def attentions(self, tokens: Tensor) -> dict[Text, partial[Tensor]]:
        """Attention over queries, keys and values ``tokens`` (3,1,1,n,d), by each score that is compared."""
        shape = AttentionShape(tokens.shape[-1], 1, tokens.shape[-1])
        additive, dot = self.additive.build(shape), ScaledDotSpec().build(shape)
        scores = {ADDITIVE: additive, SCALED: dot, SLICED: Sliced(additive, rows=16)}
        return {arm: partial(attention, score, tokens) for arm, score in scores.items()}


def memory_growth(measured: Measurements) -> float:
    """Kept memory, additive over dot product, at d_k = 128 over that at d_k = 16."""
    small, large = (ratio(MEMORY, dim, ADDITIVE, SCALED)(measured) for dim in (16, 128))
    return large / small


def largest_ratio(measured: Measurements) -> float:
    """Steps of the scaled dot product over those of additive scores, at the d_k that favours these most."""
    additive = measured.line(SPEED, ADDITIVE)
    return max(steps / additive[dim] for dim, steps in measured.line(SPEED, SCALED).items())


CLAIMS = (
    Claim("time", Text("time at n = 256, dₖ = 64: additive / dot", "n = 256、dₖ = 64 时的时间：加性 / 点积"),
          ratio(TIME, 256, ADDITIVE, SCALED), Bounds(low=3.0), Bounds(low=1.0)),
    Claim("time_slices", Text("the same, without the n × n × d tensor: slices / dot",
          "同上，不生成 n × n × d 张量：分块 / 点积"),
          ratio(TIME, 256, SLICED, SCALED), Bounds(low=3.0)),
    Claim("growth", Text("memory, additive / dot: growth from dₖ = 16 to 128",
          "内存，加性 / 点积：dₖ 从 16 到 128 的增长"),
          memory_growth, Bounds(low=2.0)),
    Claim("memory_slices", Text("memory at dₖ = 64: slices / dot", "dₖ = 64 时的内存：分块 / 点积"),
          ratio(MEMORY, 64, SLICED, SCALED), Bounds(high=2.0)),
    Claim("faster", Text("steps to 95 % at dₖ = 256: unscaled dot / additive",
          "dₖ = 256 时达到 95 % 的步数：不缩放 / 加性"),
          more_steps(UNSCALED, ADDITIVE, 256), Bounds(low=2.0)),
    Claim("scaled", Text("steps to 95 % at dₖ = 256: scaled dot / additive",
          "dₖ = 256 时达到 95 % 的步数：缩放 / 加性"),
          more_steps(SCALED, ADDITIVE, 256), Bounds(high=1.25), Bounds(high=2.0)),
    Claim("worst", Text("steps: scaled dot / additive, at the worst dₖ", "步数：缩放 / 加性，最不利的 dₖ"),
          largest_ratio, Bounds(high=1.25)),
    Claim("end", Text("points at the end, dₖ = 256: additive - unscaled",
          "dₖ = 256 结束时的百分点：加性 - 不缩放"),
          lambda measured: measured[END, ADDITIVE, 256] - measured[END, UNSCALED, 256], Bounds(-3.0, 3.0)),
    Claim("narrow", Text("memory at dₖ = 1: additive / dot", "dₖ = 1 时的内存：加性 / 点积"),
          ratio(MEMORY, 1, ADDITIVE, SCALED), Bounds(high=3.0), control=True),
    Claim("small", Text("steps to 95 % at dₖ = 256: small W_Q / additive",
          "dₖ = 256 时达到 95 % 的步数：W_Q 初始值小 / 加性"),
          more_steps(SMALL_QUERY, ADDITIVE, 256), Bounds(high=1.5), control=True),
)  # fmt: skip

NUMBERS = {
    "memory": ratio(MEMORY, 64, ADDITIVE, SCALED), "scaled16": more_steps(SCALED, ADDITIVE, 16),
    "unscaled16": more_steps(UNSCALED, ADDITIVE, 16),
    "dot_ms": reading(TIME, SCALED, 256), "additive_ms": reading(TIME, ADDITIVE, 256),
    "additive_end": reading(END, ADDITIVE, 256), "unscaled_end": reading(END, UNSCALED, 256),
    "additive_steps": reading(SPEED, ADDITIVE, 256), "scaled_steps": reading(SPEED, SCALED, 256),
    "unscaled_steps": reading(SPEED, UNSCALED, 256), "scaled_end": reading(END, SCALED, 256),
}  # fmt: skip
QUESTION = Question(
    number=8,
    title=Text("Dot product or additive scores?", "点乘还是加法？"),
    topic=Topic("junior", "attention", related=(3, 18), words="Bahdanau additive dot 加法 点积 加性"),
    claims=CLAIMS,
    figures=(SPEED, TIME, MEMORY, END, BY_RATE, TRAINING_COST),
    experiment=AdditiveOrDot(),
    numbers=NUMBERS,
)
