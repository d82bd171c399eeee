"""Q08, dot product or additive scores (点乘还是加法): what they cost, and what models learn with them."""

from functools import partial

import torch
from torch import Tensor
from typing_extensions import override

from whyformer.attention.score import AdditiveSpec, DotSpec, ScaledDotSpec, ScoreSpec
from whyformer.position.attention_shape import AttentionShape
from whyformer.why.lab.cost import Sliced, attention, kept_megabytes, milliseconds
from whyformer.why.lab.retrieval import Retrieval, retrieval
from whyformer.why.lab.training import RIGHT, SECONDS, ToyTraining
from whyformer.why.question import Bounds, Claim, Experiment, Figure, Measurements, Question, Text, Topic

# The arms; what is slow and heavy is not the formula but the n × n × d tensor, which the control never forms.
ADDITIVE, SCALED = Text("additive", "加法"), Text("dot product / √d_k", "点乘 / √d_k")
UNSCALED = Text("dot product, not divided", "点乘，不除")
SLICED = Text("control: additive in slices", "对照：分片计算的加法")

# What is measured.
DIM = Text("head dimension d_k", "每头维度 d_k")
MILLISECONDS, MEGABYTES = Text("ms", "毫秒"), Text("MB", "MB")
TIME = Figure(
    Text("Time (d_k = 64)", "时间（d_k = 64）"), Text("tokens n", "词元数 n"), MILLISECONDS, "line", "xy"
)
MEMORY = Figure(
    Text("Kept for the gradient (n = 256)", "为梯度保留（n = 256）"), DIM, MEGABYTES, "line", "xy"
)
QUALITY = Figure(Text("Retrieval among 32 keys", "在 32 个键中检索"), DIM, RIGHT, "line", "x")
TAUGHT = Figure(Text("Training", "训练"), DIM, SECONDS)
DIFFERENCE = Figure(Text("Whole minus slices, at most", "整体与分片之差的最大值"), DIM, Text("", ""))


class AdditiveOrDot(Experiment):
    """One attention of one head over random tokens; then one-layer models that learn to retrieve."""

    additive: ScoreSpec = AdditiveSpec()
    """The score of the additive arm."""
    lengths: tuple[int, ...] = (32, 128, 256)
    """Tokens, at d_k = 64."""
    widths: tuple[int, ...] = (16, 64, 128)
    """Head dimensions, at n = 256."""
    turns: int = 15
    """Times that all arms are timed, one after the other."""
    dims: tuple[int, ...] = (8, 32, 128, 512)
    """Head dimensions of the models that learn."""
    training: ToyTraining = ToyTraining(steps=300, test_every=300)
    """Training of each model."""

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
            measured[DIFFERENCE, SLICED, width] = (arms[ADDITIVE]() - arms[SLICED]()).abs().max().item()
        for dim in self.dims:
            for arm, spec in ((ADDITIVE, self.additive), (SCALED, ScaledDotSpec()), (UNSCALED, DotSpec())):
                torch.manual_seed(seed)  # the same first weights for every arm
                model = Retrieval(spec, dim)
                log = self.training.run(model, retrieval(keys=32), seed)
                measured[QUALITY, arm, dim] = log.final
                measured[TAUGHT, arm, dim] = log.seconds
        return measured

    def attentions(self, tokens: Tensor) -> dict[Text, partial[Tensor]]:
        """Attention over queries, keys and values ``tokens`` (3,1,1,n,d), by each score that is compared."""
        shape = AttentionShape(tokens.shape[-1], 1, tokens.shape[-1])
        additive, dot = self.additive.build(shape), ScaledDotSpec().build(shape)
        scores = {ADDITIVE: additive, SCALED: dot, SLICED: Sliced(additive, rows=16)}
        return {arm: partial(attention, score, tokens) for arm, score in scores.items()}


def growth(measured: Measurements) -> float:
    """Kept memory, additive over dot product, at d_k = 128 over that at d_k = 16."""
    ratio = {dim: measured[MEMORY, ADDITIVE, dim] / measured[MEMORY, SCALED, dim] for dim in (16, 128)}
    return ratio[128] / ratio[16]


def lead(measured: Measurements, arm: Text, other: Text) -> float:
    """Lead of ``arm`` over ``other`` at d_k = 512, in points."""
    return measured[QUALITY, arm, 512] - measured[QUALITY, other, 512]


CLAIMS = (
    Claim(
        "time",
        Text("time at n = 256, d_k = 64: additive / dot", "n = 256、d_k = 64 时的时间：加法 / 点乘"),
        lambda measured: measured[TIME, ADDITIVE, 256] / measured[TIME, SCALED, 256],
        expected=Bounds(low=3.0),
        tolerated=Bounds(low=1.0),
    ),
    Claim(
        "growth",
        Text(
            "memory, additive / dot: its growth from d_k = 16 to 128",
            "内存，加法 / 点乘：d_k 从 16 到 128 的增长",
        ),
        growth,
        expected=Bounds(low=2.0),
    ),
    Claim(
        "beats_unscaled",
        Text("points at d_k = 512: additive - unscaled dot", "d_k = 512 时的百分点：加法 - 不缩放点乘"),
        lambda measured: lead(measured, ADDITIVE, UNSCALED),
        expected=Bounds(low=5.0),
    ),
    Claim(
        "ties_scaled",
        Text("points at d_k = 512: scaled dot - additive", "d_k = 512 时的百分点：缩放点乘 - 加法"),
        lambda measured: lead(measured, SCALED, ADDITIVE),
        expected=Bounds(-3.0, 3.0),
        tolerated=Bounds(low=-5.0),
    ),
    Claim(
        "same",
        Text("outputs, whole - slices", "输出，整体 - 分片"),
        lambda measured: max(measured.line(DIFFERENCE, SLICED).values()),
        expected=Bounds(high=1e-5),
        control=True,
    ),
    Claim(
        "lighter",
        Text("memory at d_k = 64: slices / whole", "d_k = 64 时的内存：分片 / 整体"),
        lambda measured: measured[MEMORY, SLICED, 64] / measured[MEMORY, ADDITIVE, 64],
        expected=Bounds(high=0.5),
        control=True,
    ),
)

QUESTION = Question(
    number=8,
    title=Text("Dot product or additive scores?", "点乘还是加法？"),
    topic=Topic("junior", "attention", related=(3, 18), words="Bahdanau additive dot 加法 点积 加性"),
    claims=CLAIMS,
    figures=(TIME, MEMORY, QUALITY, TAUGHT, DIFFERENCE),
    experiment=AdditiveOrDot(),
)
