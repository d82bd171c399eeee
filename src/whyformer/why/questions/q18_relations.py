"""Q18, self-attention and other attention (自注意力与其他注意力): who can tell whether a symbol comes again.

L length · M model dimension
"""

from itertools import pairwise, product
from math import log, nan

import torch
from torch import Generator
from typing_extensions import override

from whyformer.why.arms import GRU
from whyformer.why.lab import masks
from whyformer.why.lab.masks import CHOICE, LAYER_WIDTH, RELATED_SYMBOLS, SELF_ATTENTION, Mixing, Relating
from whyformer.why.lab.training import RIGHT, TRAINING_COST, Examples, ToyTraining, training_cost
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

# The arms.
POOL = Text("mean of all", "全句平均")
LOCAL = Text("convolution, width 3", "卷积（宽度 3）")
RULE = Text("best from left to right", "只从左往右读的上限")
ARMS: dict[Text, Mixing] = {SELF_ATTENTION: "attention", POOL: "mean", GRU: "recurrent", LOCAL: "convolution"}

# What is measured.
TASK, AGAIN = Text("task", "任务"), Text("does it come again?", "它在别处还出现吗？")
VOWEL = Text("control: is it a vowel?", "对照：它是元音吗？")
FEW = Text("again, of 24 symbols only", "还出现吗？（只有 24 种符号）")
CHANCE = Level(53.0, Text("always no", "全答“否”"))
RELATIONS = Figure(Text("Answers at every position", "每个位置的回答"), TASK, RIGHT, "bar", levels=(CHANCE,))
LENGTH, MS = Text("length n (d = 64)", "长度 n（d = 64）"), Text("milliseconds", "毫秒")
TIME = Figure(Text("Time of a layer, 8 sentences", "一层的时间（8 句）"), LENGTH, MS, "line", "xy")
SINGLE = Figure(Text("Time of a layer, 1 sentence", "一层的时间（1 句）"), LENGTH, MS, "line", "xy")


class Relations(Experiment):
    """Four ways to let positions exchange something, in models that are otherwise alike; and their time."""

    arms: dict[Text, Mixing] = ARMS
    """The ways."""
    training: ToyTraining = ToyTraining(steps=400, test_every=40)
    """Training of each model and rate."""
    rates: tuple[float, ...] = (2e-3, 4e-3, 8e-3)
    """Learning rates, of which each arm has its best."""
    lengths: tuple[int, ...] = (16, 32, 64, 128, 160, 192, 224, 256, 288, 320, 512)
    """Lengths of the timing."""
    sweeps: int = 5
    """Timings of all lengths, of which each has its least: memory is at times slow to get for a while."""

    @override
    def measure(self, seed: int) -> Measurements:
        measured = Measurements()
        for arm, mixing in self.arms.items():
            many = self._train(arm, mixing, RELATED_SYMBOLS, seed, measured)
            measured[RELATIONS, arm, AGAIN], measured[RELATIONS, arm, VOWEL] = many
        for arm in (SELF_ATTENTION, POOL):
            measured[RELATIONS, arm, FEW] = self._train(arm, self.arms[arm], CHOICE, seed, Measurements())[0]
        measured[RELATIONS, RULE, AGAIN] = masks.left_to_right(unseen_sentences(RELATED_SYMBOLS, seed))
        for figure, rows in ((TIME, 8), (SINGLE, 1)):
            sweeps = [masks.layer_times(self.lengths, rows) for _ in range(self.sweeps)]
            for arm, length in product(sweeps[0], self.lengths):
                measured[figure, arm, length] = min(times[arm][length] for times in sweeps)
        return measured

    def _train(
        self, arm: Text, mixing: Mixing, symbols: int, seed: int, measured: Measurements
    ) -> list[float]:
        """Percentages of both tasks after the training with the best rate."""
        tuned = self.training.best_of(
            self.rates, lambda: Relating(mixing), masks.repetitions(symbols), seed, enough=98.5
        )
        measured.update(training_cost(arm, tuned.model, tuned.log))
        tests = unseen_sentences(symbols, seed)
        with torch.no_grad():
            right = tuned.model(tests.sentences).argmax(dim=1) == tests.target
        return (100.0 * right.float().mean(dim=(0, 2))).tolist()


def unseen_sentences(symbols: int, seed: int) -> Examples:
    """Sentences that no training saw."""
    return masks.repetitions(symbols)(Generator().manual_seed(seed + 2_000_003), 512)


def crossing_length(measured: Measurements) -> float:
    """Length, in units of d, from which attention takes longer than a GRU; NaN for never."""
    ratios = {n: taken / measured[TIME, GRU, n] for n, taken in measured.line(TIME, SELF_ATTENTION).items()}
    for (short, below), (long, above) in pairwise(ratios.items()):
        if below <= 1.0 < above:
            share = log(below) / (log(below) - log(above))
            return short * (long / short) ** share / LAYER_WIDTH
    return nan


def over_mean(measured: Measurements, task: Text) -> float:
    """Points of self-attention over the mean of all."""
    return measured[RELATIONS, SELF_ATTENTION, task] - measured[RELATIONS, POOL, task]


CLAIMS = (
    Claim("self", Text("self-attention: does it come again? (%)", "自注意力：在别处还出现吗？（%）"),
          lambda measured: measured[RELATIONS, SELF_ATTENTION, AGAIN], expected=Bounds(low=95.0)),
    Claim("pool", Text("self-attention − mean of all, points", "自注意力比全句平均高的百分点"),
          lambda measured: over_mean(measured, AGAIN), expected=Bounds(low=10.0), tolerated=Bounds(low=2.0)),
    Claim("local", Text("self-attention − convolution, points", "自注意力比卷积高的百分点"),
          lambda measured: measured[RELATIONS, SELF_ATTENTION, AGAIN] - measured[RELATIONS, LOCAL, AGAIN],
          expected=Bounds(low=25.0), tolerated=Bounds(low=2.0)),
    Claim("bound", Text("self-attention − best from left to right, points",
          "自注意力比只从左往右读的上限高的百分点"),
          lambda measured: measured[RELATIONS, SELF_ATTENTION, AGAIN] - measured[RELATIONS, RULE, AGAIN],
          expected=Bounds(low=5.0)),
    Claim("gru", Text("GRU − best from left to right, points",
          "GRU 比只从左往右读的上限高的百分点"),
          lambda measured: measured[RELATIONS, GRU, AGAIN] - measured[RELATIONS, RULE, AGAIN],
          expected=Bounds(high=2.0), tolerated=Bounds(high=2.0)),
    Claim("few", Text("lead over the mean: 24 symbols / 128", "相对全句平均的优势：24 种符号 / 128 种符号"),
          lambda measured: over_mean(measured, FEW) / over_mean(measured, AGAIN), expected=Bounds(high=0.5)),
    Claim("crossing", Text("length from which attention is slower than a GRU, in d",
          "注意力开始慢于 GRU 的长度，以 d 计"),
          crossing_length, expected=Bounds(0.25, 4.0)),
    Claim("vowel", Text("is it a vowel? worst arm (%)", "它是元音吗？最差的一组（%）"),
          lambda measured: min(measured[RELATIONS, arm, VOWEL] for arm in ARMS),
          expected=Bounds(low=95.0), control=True),
)  # fmt: skip

QUESTION = Question(
    number=18,
    title=Text("Self-attention: alike and unlike other attention",
               "解释 self-attention，它与其他 attention 有何异同？"),
    topic=Topic(
        "middle", "attention", related=(8, 14, 15, 19),
        words="self-attention cross attention local convolution GRU pooling 自注意力 交叉注意力 局部注意力",
    ),
    claims=CLAIMS, figures=(RELATIONS, TIME, SINGLE, TRAINING_COST), experiment=Relations(),
    numbers={"mean": lambda measured: measured[RELATIONS, POOL, AGAIN],
             "recurrent": lambda measured: measured[RELATIONS, GRU, AGAIN],
             "convolution": lambda measured: measured[RELATIONS, LOCAL, AGAIN],
             "rule": lambda measured: measured[RELATIONS, RULE, AGAIN],
             "single": lambda measured: measured[SINGLE, GRU, 128] / measured[SINGLE, SELF_ATTENTION, 128]},
    seeds=range(6, 11),
)  # fmt: skip
