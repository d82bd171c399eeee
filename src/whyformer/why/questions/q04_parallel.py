"""Q04, where the parallelism is (并行化体现在哪里): one masked pass against so many cached steps.

B batch · S source length · T target length
"""

import torch
from torch import Tensor
from typing_extensions import override

from whyformer.attention.mask import Causal, Everything, MaskRule
from whyformer.models.transformer import Transformer, transformer
from whyformer.why.arms import LSTM, TRANSFORMER
from whyformer.why.lab import masks
from whyformer.why.lab.cost import milliseconds
from whyformer.why.lab.toys.reader import Reader, small_network, small_stack
from whyformer.why.question import Bounds, Claim, Experiment, Figure, Measurements, Question, Text, Topic

# The arms.
PASS, STEPWISE = Text("one masked pass", "带因果掩码，一次算完"), Text("token by token", "逐词元（带缓存）")
BARE = Text("one pass without the mask", "不加掩码，一次算完")

# What is measured.
LENGTH, MS = Text("target tokens n", "目标词元数 n"), Text("milliseconds", "毫秒")
SIDE_BY_SIDE, DIFFERENCE = Text("sentences at once", "同时生成的句数"), Text("logits", "logits 最大差值")
TIME = Figure(Text("Time for one sentence", "处理一句话的时间"), LENGTH, MS, "line", "xy")
CALLS = Text("matrix products called", "矩阵乘法的调用次数")
DEPTH = Figure(Text("Products, one after another", "先后依次进行的矩阵乘法"), LENGTH, CALLS, "line", "xy")
TRAINING = Figure(Text("A training step of 32 sentences", "一个训练步（32 句）"), LENGTH, MS, "line", "xy")
BATCH = Figure(Text("Token by token: a token's time", "逐词元生成：每个词元的时间"), SIDE_BY_SIDE, MS)
ERROR = Figure(Text("Difference from token by token", "与逐词元结果之差"), LENGTH, DIFFERENCE)
VOCABULARY, SOURCE, WIDTH, LAYERS = 64, 16, 128, 2


class Parallel(Experiment):
    """A Transformer with its first weights: output and time, all at once or token by token."""

    rule: MaskRule = Causal()
    """Mask of the single pass."""
    lengths: tuple[int, ...] = (1, 8, 32, 128, 256)
    """Target lengths."""
    turns: int = 5
    """Turns of each timing, of which the fastest counts."""

    @override
    def measure(self, seed: int) -> Measurements:
        torch.manual_seed(seed)
        spec = transformer(layers=LAYERS, d_model=WIDTH, heads=4, feed_forward=2 * WIDTH, dropout=0.0)
        model, measured = spec.build(VOCABULARY, VOCABULARY).eval(), Measurements()
        source, target = torch.randint(4, VOCABULARY, (2, 32, max(self.lengths)))
        source = source[:, :SOURCE]
        for length in self.lengths:
            self._compare(model, source[:1], target[:1, :length], measured)
        for rows in (1, 32):
            given, wanted = source[:rows], target[:rows, :32]
            work = {STEPWISE: lambda given=given, wanted=wanted: masks.step_by_step(model, given, wanted)}
            measured[BATCH, STEPWISE, rows] = milliseconds(work, self.turns)[STEPWISE] / wanted.numel()
        self._train(target, measured)
        return measured

    @torch.no_grad()
    def _compare(self, model: Transformer, source: Tensor, target: Tensor, measured: Measurements) -> None:
        length = target.shape[1]
        works = {
            PASS: lambda: masks.at_once(model, source, target, self.rule),
            STEPWISE: lambda: masks.step_by_step(model, source, target),
        }
        for arm, taken in milliseconds(works, self.turns).items():
            measured[TIME, arm, length] = taken
            measured[DEPTH, arm, length] = masks.matrix_products(works[arm])
        steps, bare = works[STEPWISE](), masks.at_once(model, source, target, Everything())
        for arm, logits in ((PASS, works[PASS]()), (BARE, bare)):
            # Padding, token 0, has minus infinity.
            measured[ERROR, arm, length] = float((logits - steps)[..., 1:].abs().max())

    def _train(self, target: Tensor, measured: Measurements) -> None:
        """Two language models, decoder and LSTM, with as many weights in each layer."""
        stack = small_stack(LAYERS, mask=Causal(), feed_forward=small_network(2 * WIDTH))
        readers = {
            TRANSFORMER: Reader(VOCABULARY, VOCABULARY, stack, WIDTH),
            LSTM: masks.GatedReader(VOCABULARY, VOCABULARY, WIDTH, LAYERS),
        }
        for length in self.lengths:
            tokens = target[:, :length]
            for arm, reader in readers.items():
                measured[DEPTH, arm, length] = masks.matrix_products(lambda r=reader, t=tokens: r(t))
            if length > 128:
                continue
            works = {arm: masks.training_step(reader, tokens) for arm, reader in readers.items()}
            for arm, taken in milliseconds(works, min(self.turns, 3)).items():
                measured[TRAINING, arm, length] = taken


def depth_growth(measured: Measurements, figure: Figure, arm: Text) -> float:
    """Number at 256 tokens over that at 8."""
    return measured[figure, arm, 256] / measured[figure, arm, 8]


def steps_over_pass(measured: Measurements, length: int) -> float:
    """Time token by token over time at once."""
    return measured[TIME, STEPWISE, length] / measured[TIME, PASS, length]


CLAIMS = (
    Claim("equal", Text("largest difference of logits: one pass, token by token",
          "一次算完与逐词元：logits 最大差值"),
          lambda measured: max(measured.line(ERROR, PASS).values()),
          expected=Bounds(high=1e-4), tolerated=Bounds(high=1e-4)),
    Claim("bare", Text("the same without the mask, n = 128", "去掉掩码后的差值，n = 128"),
          lambda measured: measured[ERROR, BARE, 128],
          expected=Bounds(low=1e-2), tolerated=Bounds(low=1e-2)),
    Claim("faster", Text("time, n = 128: token by token / one pass", "n = 128 的时间：逐词元 / 一次算完"),
          lambda measured: steps_over_pass(measured, 128), expected=Bounds(low=5.0)),
    Claim("grows", Text("that ratio: n = 256 / n = 8", "上述比值：n = 256 / n = 8"),
          lambda measured: steps_over_pass(measured, 256) / steps_over_pass(measured, 8),
          expected=Bounds(low=2.0), tolerated=Bounds(low=1.0)),
    Claim("depth", Text("products of a Transformer's pass: n = 256 / n = 8",
          "Transformer 一次前向的乘法次数：n = 256 / n = 8"),
          lambda measured: depth_growth(measured, DEPTH, TRANSFORMER), expected=Bounds(1.0, 1.0)),
    Claim("depth_lstm", Text("products of an LSTM's pass: n = 256 / n = 8",
          "LSTM 一次前向的乘法次数：n = 256 / n = 8"),
          lambda measured: depth_growth(measured, DEPTH, LSTM), expected=Bounds(low=16.0)),
    Claim("lstm", Text("training step on one thread, n = 128: LSTM / Transformer",
          "单线程训练一步，n = 128：LSTM / Transformer"),
          lambda measured: measured[TRAINING, LSTM, 128] / measured[TRAINING, TRANSFORMER, 128],
          expected=Bounds(0.25, 4.0)),
    Claim("batch", Text("a token's time, token by token: 1 sentence / 32",
          "逐词元时每个词元的时间：1 句 / 32 句"),
          lambda measured: measured[BATCH, STEPWISE, 1] / measured[BATCH, STEPWISE, 32],
          expected=Bounds(low=4.0)),
    Claim("one", Text("time, n = 1: token by token / one pass", "n = 1 的时间：逐词元 / 一次算完"),
          lambda measured: steps_over_pass(measured, 1), expected=Bounds(0.5, 2.0), control=True),
)  # fmt: skip

QUESTION = Question(
    number=4, title=Text("Where is the parallelism?", "Transformer 的并行化体现在哪里？"),
    topic=Topic(
        "junior", "families", related=(6, 15, 19, 30),
        words="parallel teacher forcing causal training inference LSTM 并行 教师强制 训练 推理 自回归",
    ),
    claims=CLAIMS, figures=(TIME, DEPTH, TRAINING, BATCH, ERROR), experiment=Parallel(),
    numbers={"products": lambda measured: measured[DEPTH, TRANSFORMER, 128],
             "products_lstm": lambda measured: measured[DEPTH, LSTM, 128]},
)  # fmt: skip
