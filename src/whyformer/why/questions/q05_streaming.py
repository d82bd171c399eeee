"""Q05, deploying on audio and video (音视频落地): chunks, latency, memory, and a stream's equality."""

from itertools import pairwise
from math import log
from statistics import linear_regression
from typing import Self

import torch
from torch import Generator
from typing_extensions import override

from whyformer.attention.mask import Chunk, Everything, Rule
from whyformer.why.lab.sequences import streams as toy
from whyformer.why.lab.sequences.streams import ALL
from whyformer.why.question import Bounds, Claim, Experiment, Figure, Measurements, Question, Text, Topic

# The arms.
DYNAMIC, FULL = (
    Text("trained on all chunk sizes", "用各种块长训练"),
    Text("trained on whole signals", "只用完整信号训练"),
)
WHOLE, STREAM = Text("whole at once", "整段一次计算"), Text("stream, 2 chunks back", "流式，左看 2 块")
ENDLESS = Text("stream, all chunks back", "流式，左看全部")
RULES: dict[Text, Rule] = {WHOLE: Everything(), STREAM: Chunk(size=4, left_chunks=2), ENDLESS: Chunk(size=4)}
FRONTS = {Text("sound", "音频"): toy.HEARING, Text("video", "视频"): toy.SEEING}

# What is measured.
SIZE, LENGTH = Text("chunk (encoder frames)", "块长（编码器帧）"), Text("encoder frames", "编码器帧数")
PERCENT, NOTHING = Text("%", "%"), Text("", "")
ERROR = Figure(Text("Frames named wrongly", "判错的帧"), SIZE, PERCENT, "line", "x")
LEFT = Figure(
    Text("Chunk 4: chunks before it", "块长 4：左侧可见块数"), Text("chunks", "块"), PERCENT, "line"
)
WEIGHTS = Figure(Text("Attention weights", "注意力权重的个数"), LENGTH, NOTHING, "line", "xy")
STATE = Figure(Text("Memory of a stream", "流式状态的内存"), LENGTH, Text("bytes", "字节"), "line", "xy")
EQUAL = Figure(Text("Largest difference, stream - whole", "流式与整算的最大差"), SIZE, NOTHING)


class Streaming(Experiment):
    """Words of two tones each, named frame by frame; the first half of a word needs the second."""

    sizes: tuple[int, ...] = (1, 2, 4, 8, 16, ALL)
    """Chunks in encoder frames; the last is the whole signal."""
    lengths: tuple[int, ...] = (64, 128, 256)
    """Encoder frames of the streams whose memory is counted."""
    steps: int = 400
    """Updates of each of the two models."""

    @override
    def with_budget(self, budget: float) -> Self:
        return self.model_copy(update={"steps": max(1, round(self.steps * budget))})

    @override
    def measure(self, seed: int) -> Measurements:
        measured = Measurements()
        test = toy.signals(Generator().manual_seed(seed + 1_000_003), 256)
        for arm in (DYNAMIC, FULL):
            model = toy.taught(seed, self.steps, chunked=arm == DYNAMIC)
            for size in self.sizes:
                measured[ERROR, arm, size] = toy.wrongly_named(model, test, Chunk(size=size))
            for seen in (0, 1, 2, 4):
                rule = Chunk(size=4, left_chunks=seen)
                measured[LEFT, arm, seen] = toy.wrongly_named(model, test, rule)
        for arm, front in FRONTS.items():
            torch.manual_seed(seed)
            encoder = toy.stream_encoder(front)
            for size in self.sizes[:-1]:
                measured[EQUAL, arm, size] = toy.stream_difference(encoder, Chunk(size=size, left_chunks=2))
        encoder = toy.stream_encoder(toy.HEARING)
        for length in self.lengths:
            for arm, mask in RULES.items():
                weights, kept = toy.stream_cost(encoder, mask, length)
                measured[WEIGHTS, arm, length] = float(weights)
                if arm != WHOLE:
                    measured[STATE, arm, length] = float(kept)
        return measured


def weight_slope(measured: Measurements, arm: Text) -> float:
    """Exponent by which the weights grow with the length, by least squares."""
    line = measured.line(WEIGHTS, arm)
    return linear_regression([log(n) for n in line], [log(count) for count in line.values()]).slope


def error_gap(measured: Measurements, arm: Text, other: Text, size: int) -> float:
    """Points of error that ``arm`` has more than ``other`` at a chunk size."""
    return measured[ERROR, arm, size] - measured[ERROR, other, size]


def largest_rise(measured: Measurements) -> float:
    """Points by which the error rises at most from one chunk size to the next larger one."""
    errors = [*measured.line(ERROR, DYNAMIC).values()]
    return max(after - before for before, after in pairwise(errors))


CLAIMS = (
    Claim("equal", Text("stream - one masked pass", "流式 - 掩码整算"),
        lambda measured: max(value for (of, *_), value in measured.items() if of == EQUAL),
        Bounds(high=1e-4), Bounds(high=1e-4)),
    Claim("price", Text("error at chunk 1 - whole (points)", "块长 1 与整段的误差之差（百分点）"),
        lambda measured: measured[ERROR, DYNAMIC, 1] - measured[ERROR, DYNAMIC, ALL],
        Bounds(low=5.0), Bounds(low=1.0)),
    Claim("falls", Text("largest rise with the chunk size (points)", "块变长时误差的最大上升（百分点）"),
        largest_rise, Bounds(high=1.0), Bounds(high=5.0)),
    Claim("untaught", Text("chunk 4: wholes - all sizes (points)", "块长 4：只练整段 - 各种块长"),
        lambda measured: error_gap(measured, FULL, DYNAMIC, 4), Bounds(low=5.0)),
    Claim("square", Text("weights, whole: exponent in the length", "权重数，整段：随长度的指数"),
        lambda measured: weight_slope(measured, WHOLE), Bounds(1.9, 2.1)),
    Claim("linear", Text("weights, stream: exponent in the length", "权重数，流式：随长度的指数"),
        lambda measured: weight_slope(measured, STREAM), Bounds(0.9, 1.1), Bounds(high=1.5)),
    Claim("bounded", Text("stream's memory: 256 / 64 frames", "流式内存：256 帧 / 64 帧"),
        lambda measured: measured[STATE, STREAM, 256] / measured[STATE, STREAM, 64], Bounds(high=1.01)),
    Claim("control", Text("whole signal: error of one - other (points)", "整段：两者误差之差（百分点）"),
        lambda measured: abs(error_gap(measured, FULL, DYNAMIC, ALL)), Bounds(high=3.0),
        Bounds(high=3.0), control=True),
)  # fmt: skip

QUESTION = Question(
    number=5,
    title=Text("What matters when deploying on audio and video?", "音视频落地要注意什么？"),
    topic=Topic("junior", "families", related=(4, 6, 30), words="streaming chunk latency 流式 分块 延迟"),
    claims=CLAIMS,
    figures=(ERROR, LEFT, WEIGHTS, STATE, EQUAL),
    experiment=Streaming(),
    numbers={
        "one": lambda measured: measured[ERROR, DYNAMIC, 1],
        "whole": lambda measured: measured[ERROR, DYNAMIC, ALL],
        "eight": lambda measured: measured[ERROR, DYNAMIC, 8],
        "blind": lambda measured: measured[LEFT, DYNAMIC, 0] - measured[LEFT, DYNAMIC, 2],
        "endless": lambda measured: measured[STATE, ENDLESS, 256] / measured[STATE, ENDLESS, 64],
    },
)
