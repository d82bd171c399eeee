"""Q07, how padding is masked in the scores (padding mask 怎么实现): right and wrong ways, and the empty row.

B batch · Q query length · K key length · H heads · D head dimension · M model dimension
"""

from functools import partial
from math import inf, nan

import torch
from torch import Tensor
from typing_extensions import override

from whyformer.attention.mask import Everything, Mask
from whyformer.attention.multihead import weigh
from whyformer.attention.score import ScaledDotSpec
from whyformer.position.attention_shape import AttentionShape
from whyformer.position.layout import Layout
from whyformer.why.lab.masks import Way, filled, renormalised, times_zero, unmasked
from whyformer.why.question import Bounds, Claim, Experiment, Figure, Measurements, Question, Text, Topic

# The arms: ways from logits (B,H,Q,K) and a mask to weights.
INFINITE, FINITE = Text("−∞", "填 −∞"), Text("−1e9", "填 −1e9")
SMALL, SAFE = Text("−1e4", "填 −1e4"), Text("lowest number, empty row 0", "填最小有限值，空行置零")
TIMES = Text("times 0 after softmax", "softmax 后乘零")
RENORMALISED = Text("… and renormalised", "乘零后重新归一化")
NONE = Text("zero embedding, no mask", "填充词向量为零，不加掩码")
WAYS: dict[Text, Way] = {
    INFINITE: partial(filled, penalty=-inf), FINITE: partial(filled, penalty=-1e9),
    SMALL: partial(filled, penalty=-1e4), SAFE: weigh, RENORMALISED: renormalised, TIMES: times_zero,
    NONE: unmasked,
}  # fmt: skip
EXACT = (INFINITE, FINITE, SMALL, SAFE)

FLOAT32, BFLOAT16, FLOAT16 = Text("fp32", "fp32"), Text("bf16", "bf16"), Text("fp16", "fp16")
PRECISIONS = {FLOAT32: torch.float32, BFLOAT16: torch.bfloat16, FLOAT16: torch.float16}

# What is measured.
CHANGE, WAY = Text("largest change", "最大变化"), Text("way to mask", "掩码方式")
OUTPUT = Figure(Text("Output: with 64 pads − alone", "加 64 个填充前后输出之差"), WAY, CHANGE, "bar")
BROKEN = Figure(Text("NaN (%)", "NaN 的比例（%）"), Text("where", "位置"), Text("%", "%"), "heat")
RAISED = Text("output, pads score 200 more", "输出，填充分数高 200")
EMPTY, GRADIENT = Text("output of an empty row", "空行的输出"), Text("W_V's gradient", "W_V 的梯度")
COUNT = Figure(Text("Output, fp32", "输出之差，fp32"), Text("padding tokens", "填充词元数"), CHANGE)
SIZE = Figure(Text("An empty row gives", "空行的输出"), WAY, Text("largest number", "最大绝对值"))
REAL, PADS, WIDTH = 16, 64, 32


class PaddingMasks(Experiment):
    """One attention over random sentences, to which padding with any content is added."""

    ways: dict[Text, Way] = WAYS
    """From logits and mask to weights."""

    @override
    def measure(self, seed: int) -> Measurements:
        torch.manual_seed(seed)
        weights, measured = torch.randn(3, WIDTH, WIDTH) * WIDTH**-0.5, Measurements()
        real, garbage = torch.randn(8, REAL, WIDTH), torch.randn(8, PADS, WIDTH)
        for arm, way in self.ways.items():
            padding = garbage * (arm != NONE)
            for count in (0, 1, 8, PADS):
                measured[COUNT, arm, count] = padding_change(way, weights, real, padding[:, :count])
            for name, dtype in PRECISIONS.items():
                inputs = (each.to(dtype) for each in (weights, real, padding))
                measured[OUTPUT, name, arm] = padding_change(way, *inputs)
            x = torch.cat([real, padding], dim=1)
            measured[BROKEN, arm, RAISED] = percent_nan(read_by_real(way, weights, x, raised=200))
            given = weights.clone().requires_grad_()
            # The first sentence is all padding; the loss does not look at it.
            output = read_by_real(way, given, x[:2], empty=1)
            [gradient] = torch.autograd.grad(output[1].square().sum(), [given])
            measured[BROKEN, arm, EMPTY] = percent_nan(output[0])
            measured[BROKEN, arm, GRADIENT] = percent_nan(gradient[2])
            measured[SIZE, FLOAT32, arm] = float(output[0].detach().abs().max())
        return measured


def read_by_real(way: Way, weights: Tensor, x: Tensor, *, raised: int = 0, empty: int = 0) -> Tensor:
    """Context (B,REAL,M) that the real tokens of ``x`` (B,L,M) read, by one head with ``weights`` (3,M,D).

    Padding's logits are ``raised``; of the first ``empty`` sentences all tokens are padding.
    """
    column, row = torch.arange(x.shape[1]), torch.arange(len(x))[:, None]
    valid = (column < REAL) & (row >= empty)
    queries, keys = Layout.counting(len(x), REAL), Layout(column.expand(len(x), -1), valid)
    # (B,L,M) -> 3 × (B,H,L,D)
    query, key, value = (x[:, None] @ weight for weight in weights)
    score = ScaledDotSpec().build(AttentionShape(WIDTH, 1, WIDTH))
    logits = score(score.prepare(query[:, :, :REAL]), key) + raised * ~valid[:, None, None]
    return (way(logits, Mask(Everything(), queries, keys)) @ value)[:, 0]


def padding_change(way: Way, weights: Tensor, real: Tensor, padding: Tensor) -> float:
    """Largest change of an output by padding (B,P,M) behind the sentences (B,REAL,M); NaN for refused."""
    try:
        output = read_by_real(way, weights, torch.cat([real, padding], dim=1))
    except RuntimeError as error:
        if "without overflow" not in str(error):
            raise
        return nan  # torch refuses a number that the type does not have
    return float((output - read_by_real(unmasked, weights, real)).abs().max())


def percent_nan(x: Tensor) -> float:
    """Percentage of ``x`` that is NaN."""
    return 100.0 * float(x.isnan().float().mean())


CLAIMS = (
    Claim("exact", Text("worst change by 64 pads: masked before the softmax",
          "加 64 个填充的最大变化：softmax 之前掩码"),
          lambda measured: max(measured[OUTPUT, FLOAT32, arm] for arm in EXACT),
          expected=Bounds(high=1e-6), tolerated=Bounds(high=1e-6)),
    Claim("none", Text("the same: zero embedding, no mask", "同上：词向量为零、不加掩码"),
          lambda measured: measured[OUTPUT, FLOAT32, NONE],
          expected=Bounds(low=1e-2), tolerated=Bounds(low=1e-6)),
    Claim("times", Text("the same: times 0 after the softmax", "同上：softmax 之后乘零"),
          lambda measured: measured[OUTPUT, FLOAT32, TIMES], expected=Bounds(low=1e-2)),
    Claim("again", Text("the same: times 0, renormalised", "同上：乘零后重新归一化"),
          lambda measured: measured[OUTPUT, FLOAT32, RENORMALISED], expected=Bounds(high=1e-6)),
    Claim("raised", Text("renormalised, pads score 200 more: NaN (%)",
          "重新归一化，填充分数高 200：NaN（%）"),
          lambda measured: measured[BROKEN, RENORMALISED, RAISED], expected=Bounds(low=50.0)),
    Claim("infinite", Text("−∞: NaN in an empty row (%)", "填 −∞：空行输出的 NaN（%）"),
          lambda measured: measured[BROKEN, INFINITE, EMPTY], expected=Bounds(low=100.0)),
    Claim("poisoned", Text("−∞: NaN in W_V's gradient (%)", "填 −∞：W_V 梯度的 NaN（%）"),
          lambda measured: measured[BROKEN, INFINITE, GRADIENT], expected=Bounds(low=100.0)),
    Claim("finite", Text("−1e9: an empty row's largest output", "填 −1e9：空行输出的最大绝对值"),
          lambda measured: measured[SIZE, FLOAT32, FINITE], expected=Bounds(low=1e-2)),
    Claim("safe", Text("lowest number, row zeroed: an empty row's output",
          "最小有限值、空行置零：空行的输出"),
          lambda measured: measured[SIZE, FLOAT32, SAFE] + measured[BROKEN, SAFE, GRADIENT],
          expected=Bounds(0.0, 0.0), tolerated=Bounds(0.0, 0.0)),
    Claim("half", Text("fp16, lowest number: worst change by 64 pads",
          "fp16，最小有限值：加 64 个填充的最大变化"),
          lambda measured: measured[OUTPUT, FLOAT16, SAFE], expected=Bounds(high=1e-2)),
    Claim("unpadded", Text("no pads: worst change, any way", "没有填充：各种方式的最大变化"),
          lambda measured: max(measured[COUNT, arm, 0] for arm in WAYS),
          expected=Bounds(high=1e-6), control=True),
)  # fmt: skip

QUESTION = Question(
    number=7, title=Text("How is padding masked in the scores?", "计算注意力分数时如何对 padding 做 mask？"),
    topic=Topic(
        "middle", "attention", related=(3, 6, 16),
        words="padding mask softmax minus infinity NaN fp16 填充 掩码 负无穷 半精度",
    ),
    claims=CLAIMS, figures=(OUTPUT, BROKEN, COUNT, SIZE), experiment=PaddingMasks(),
)  # fmt: skip
