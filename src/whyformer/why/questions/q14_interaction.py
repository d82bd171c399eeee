"""Q14, how encoder and decoder interact (编码器与解码器如何交互): what is read, from where, and how often.

B batch · S source length · T target length · V vocabulary
"""

import math
from functools import partial

import torch
from torch import Generator, Tensor
from torch.nn import functional as F
from typing_extensions import override

from whyformer.attention.mask import Window
from whyformer.models.transformer import Transformer, transformer
from whyformer.position.layout import Layout
from whyformer.special_tokens import PAD
from whyformer.why.lab.cost import milliseconds
from whyformer.why.lab.sequences import translation as toy
from whyformer.why.lab.training import TRAINING_COST, ToyTraining, training_cost
from whyformer.why.question import (
    Bounds,
    Claim,
    Experiment,
    Figure,
    Level,
    Measurements,
    Question,
    Text,
    Topic,
)

# When the memory's keys and values are made.
KEPT, AGAIN = Text("K, V made once", "K、V 只算一次"), Text("K, V made each step", "每步重算 K、V")
ENCODED, STEPS = Text("encoder run each step", "每步重跑编码器"), 8

# The tasks.
REVERSAL, REAL = Text("reversal", "逆序"), Text("dates, en-zh", "日期英译中")
UNMIXED = Text("reversal, encoder without mixing", "逆序，编码器内不混合")
COUNTING = Text("control: counting", "对照：数数（与源句无关）")
TASKS = {REVERSAL: toy.backwards, UNMIXED: toy.backwards, COUNTING: toy.counting}

# What is measured.
LOSS = Figure(Text("Loss by what the decoder reads", "解码器读到不同内容时的损失"), Text("task", "任务"),
    Text("nats a token", "nat/词元"), "bar",
    levels=(Level(math.log(10), Text("guessing one of 10 symbols", "在 10 个符号中瞎猜")),))  # fmt: skip
ALIGNED = Figure(Text("Cross-attention peaks at the right symbol", "交叉注意力的峰值落在正确的符号上"),
    Text("decoder layer", "解码器层"), Text("%", "%"), "bar",
    levels=(Level(100 / 9, Text("chance", "随机水平")), Level(95.0, Text("predicted", "预测"))))  # fmt: skip
TIME = Figure(Text("Time of a decoding step", "单个解码步的时间"), Text("source length", "源句长度"),
    Text("ms", "毫秒"), "line", "xy")  # fmt: skip
EXACT = Figure(Text("Largest difference of logits", "logits 的最大差"), TIME.across, Text("", ""))
PADDED = Text("padded source - alone", "源句带填充 - 不带填充")


class Interaction(Experiment):
    """Toys whose alignment is known, a small translator, and decoding steps of a larger model."""

    training: ToyTraining = ToyTraining(steps=500, test_every=50, rate=1.5e-3, test_examples=256)
    """Training of the toys; it ends at 99.5 % right."""
    translator: bool = True
    """Whether the small translator is asked, too; it has to be trained once on a machine."""
    lengths: tuple[int, ...] = (16, 64, 256)
    """Source lengths at which steps are timed."""

    @override
    def measure(self, seed: int) -> Measurements:
        measured = Measurements()
        for task, write in TASKS.items():
            torch.manual_seed(seed)
            model = toy.Writer(mask=Window(left=0, right=0) if task == UNMIXED else None)
            log = self.training.run(model, toy.translation(write, 4, 8), seed, enough=99.5)
            measured.update(training_cost(task, model, log))
            tests = toy.translation(write, 8, 8)(Generator().manual_seed(seed + 1_000_003), 256)
            losses = toy.loss_by_source(model.model, *toy.sides(tests.sentences), tests.target)
            measured.update({(LOSS, arm, task): loss for arm, loss in losses.items()})
            for layer, right in enumerate(toy.reversal_alignment(model, tests.sentences), start=1):
                measured[ALIGNED, task, layer] = math.nan if task == COUNTING else right
        if self.translator:
            small = toy.small_translator()
            losses = toy.loss_by_source(small.model, *small.examples(Generator().manual_seed(seed), 128))
            measured.update({(LOSS, arm, REAL): loss for arm, loss in losses.items()})
        torch.manual_seed(seed)
        model = transformer(layers=2, d_model=128, heads=4, feed_forward=256, dropout=0.0).build(64, 64)
        for length in self.lengths:
            measured.update(memory_cost(model, torch.randint(4, 64, (4, length))))
        return measured


@torch.no_grad()
def memory_cost(model: Transformer, source: Tensor) -> Measurements:
    """Time of decoding steps after ``source`` (B,S), and whether it matters when K and V are made."""
    layout, at = Layout.counting(*source.shape), source.shape[1]
    memory = model.encoder(model.encoder.embed(model.source_embedding(source), layout), layout)
    kept, padded = model.decoder.read(memory, layout), F.pad(source, (0, 8), value=PAD)
    anew, encoded = partial(model.decoder.read, memory, layout), partial(model.encode, source, layout)
    renewals = {KEPT: lambda: kept, AGAIN: anew, ENCODED: encoded}
    arms = {arm: partial(toy.step_logits, model, renew, STEPS) for arm, renew in renewals.items()}
    measured = Measurements({(TIME, arm, at): ms / STEPS for arm, ms in milliseconds(arms, 7).items()})
    masked = model.encode(padded, padded != PAD)
    for arm, logits in ((AGAIN, arms[AGAIN]()), (PADDED, toy.step_logits(model, lambda: masked, STEPS))):
        measured[EXACT, arm, at] = float((arms[KEPT]() - logits).abs().max())
    return measured


def loss_rise(measured: Measurements, task: Text) -> float:
    """Nats by which the loss rises when another sentence's source is read."""
    return measured[LOSS, toy.OTHER, task] - measured[LOSS, toy.OWN, task]


def best_layer(measured: Measurements, task: Text) -> float:
    """Alignment of the decoder layer that has most of it, in percent."""
    return max(measured.line(ALIGNED, task).values())


CLAIMS = (
    Claim("alignment", Text("reversal: alignment of the best layer (%)", "逆序：最好一层的对齐率（%）"),
        lambda measured: best_layer(measured, REVERSAL), expected=Bounds(low=95.0)),
    Claim("swapped", Text("reversal, another's source: loss / guessing", "逆序，读另一句：损失 / 瞎猜的损失"),
        lambda measured: measured[LOSS, toy.OTHER, REVERSAL] / math.log(10), Bounds(low=0.8)),
    Claim("real", Text("dates, another's source: loss rises by (%)", "日期，读另一句：损失上升（%）"),
        lambda measured: 100.0 * loss_rise(measured, REAL) / measured[LOSS, toy.OWN, REAL],
        expected=Bounds(low=10.0), tolerated=Bounds(low=10.0)),
    Claim("exact", Text("logits: kept - anew, padded - alone", "logits：复用 - 重算，带填充 - 不带"),
        lambda measured: max(value for (of, *_), value in measured.items() if of == EXACT),
        expected=Bounds(high=1e-5), tolerated=Bounds(high=1e-5)),
    Claim("faster", Text("step time at 256: K, V each step / once", "源句 256 时单步时间：重算 / 只算一次"),
        lambda measured: measured[TIME, AGAIN, 256] / measured[TIME, KEPT, 256],
        expected=Bounds(low=1.1), tolerated=Bounds(low=1.0)),
    Claim("control", Text("counting, another's: loss rises by (nats)", "数数，读另一句：损失上升（nat）"),
        lambda measured: abs(loss_rise(measured, COUNTING)), Bounds(high=0.1),
        Bounds(high=0.1), control=True),
)  # fmt: skip

QUESTION = Question(
    number=14,
    title=Text("How do encoder and decoder interact?", "编码器与解码器如何交互？"),
    topic=Topic(
        "middle", "blocks", related=(15, 28, 30), words="cross attention memory K V 交叉注意力 解码器"
    ),
    claims=CLAIMS,
    figures=(LOSS, ALIGNED, TIME, EXACT, TRAINING_COST),
    experiment=Interaction(),
    numbers={
        "own": lambda measured: measured[LOSS, toy.OWN, REVERSAL],
        "unmixed": lambda measured: best_layer(measured, UNMIXED),
        "encoder": lambda measured: measured[TIME, ENCODED, 256] / measured[TIME, KEPT, 256],
        "nothing": lambda measured: measured[LOSS, toy.NOTHING, COUNTING] - measured[LOSS, toy.OWN, COUNTING],
    },
)
