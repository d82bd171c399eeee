"""Q29, what the feed-forward network does (前馈网络的作用): how much it remembers, by width and activation.

B batch · N pairs · M model dimension · C classes
"""

import math

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

from whyformer.nn.feed_forward import FeedForward, FeedForwardSpec, GeluSpec, LinearSpec, ReluSpec, SwiGLUSpec
from whyformer.why.lab.training import PARAMETERS
from whyformer.why.question import Bounds, Claim, Experiment, Figure, Measurements, Question, Text, Topic

RELU, GELU, SWIGLU = Text("ReLU", "ReLU"), Text("GELU", "GELU"), Text("SwiGLU", "SwiGLU")
LINEAR = Text("control: no activation", "对照：没有激活函数")
WIDTH, BITS = Text("hidden width (ReLU)", "隐藏层宽度（ReLU）"), Text("bits", "比特")
CAPACITY = Figure(Text("Bits remembered", "记住的比特数"), WIDTH, BITS, "line", "xy")
ACTIVE = Figure(Text("Hidden units above zero", "大于零的隐藏单元"), WIDTH, Text("%", "%"))
SIZE = Figure(PARAMETERS, WIDTH, Text("", ""))

CLASSES = 16


class FeedForwardMemory(Experiment):
    """Networks that learn by heart which of 16 values belongs to each of many random keys."""

    pairs: int = Field(default=2048, ge=1)
    """Keys, more than any of the networks can remember."""
    dim: int = Field(default=16, ge=1)
    """Components of a key."""
    widths: tuple[int, ...] = (8, 16, 32, 64)
    """Hidden components; of SwiGLU two thirds as many, which makes the parameters equal."""
    rates: tuple[float, ...] = (3e-3, 1e-2, 3e-2)
    """Learning rates, of which each arm is shown at its best."""
    steps: int = Field(default=500, ge=1)
    """Updates, each by all pairs."""

    def networks(self, width: int) -> dict[Text, FeedForwardSpec]:
        """The network of every arm, with the parameters of a ReLU network of that ``width``."""
        return {
            RELU: ReluSpec(hidden=width),
            GELU: GeluSpec(hidden=width),
            SWIGLU: SwiGLUSpec(hidden=round(2 * width / 3)),
            LINEAR: LinearSpec(hidden=width),
        }

    @override
    def measure(self, seed: int) -> Measurements:
        random = torch.Generator().manual_seed(seed)
        keys = torch.randn(self.pairs, self.dim, generator=random)
        values = torch.randint(CLASSES, (self.pairs,), generator=random)
        measured = Measurements()
        for width in self.widths:
            for arm, spec in self.networks(width).items():
                bits, active, size = max(
                    self.remembered(spec, keys, values, rate, seed) for rate in self.rates
                )
                measured[CAPACITY, arm, width], measured[ACTIVE, arm, width] = bits, active
                measured[SIZE, arm, width] = size
        return measured

    def remembered(
        self, spec: FeedForwardSpec, keys: Tensor, values: Tensor, rate: float, seed: int
    ) -> tuple[float, float, int]:
        """Bits of ``values`` (N,) learned by ``keys`` (N,M), percent of units above 0, and size."""
        torch.manual_seed(seed)
        network, output = spec.build(self.dim), nn.Linear(self.dim, CLASSES)
        assert network is not None
        size = sum(each.numel() for each in network.parameters())
        optimizer = torch.optim.Adam([*network.parameters(), *output.parameters()], lr=rate, fused=True)
        for _ in range(self.steps):
            optimizer.zero_grad()
            # (N,M) -> (N,C)
            F.cross_entropy(output(keys + network(keys)), values).backward()
            optimizer.step()
        with torch.no_grad():
            loss = float(F.cross_entropy(output(keys + network(keys)), values))
            active = math.nan
            if isinstance(network, FeedForward):
                active = 100.0 * float((network.activation(network.enter(keys)) > 0.0).float().mean())
        return self.pairs * (math.log2(CLASSES) - loss / math.log(2.0)), active, size


def bits_growth(measured: Measurements, arm: Text) -> float:
    """Exponent by which what an arm remembers grows with its width, from the narrowest to the widest."""
    line = measured.line(CAPACITY, arm)
    few, many = min(line), max(line)
    return math.log(line[many] / line[few]) / math.log(many / few)


def widest_ratio(measured: Measurements, arm: Text, other: Text) -> float:
    """Bits of ``arm`` over bits of ``other``, where both are widest."""
    lines = measured.line(CAPACITY, arm), measured.line(CAPACITY, other)
    return lines[0][max(lines[0])] / lines[1][max(lines[1])]


CLAIMS = (
    Claim(
        "grows",
        Text("exponent by which bits grow with width, ReLU", "比特数随宽度增长的指数（ReLU）"),
        lambda measured: bits_growth(measured, RELU),
        expected=Bounds(0.7, 1.3),
        tolerated=Bounds(0.4, 1.6),
    ),
    Claim(
        "linear",
        Text("bits at the largest width: no activation / ReLU", "最大宽度时的比特数：无激活 / ReLU"),
        lambda measured: widest_ratio(measured, LINEAR, RELU),
        expected=Bounds(high=0.5),
        tolerated=Bounds(high=0.9),
    ),
    Claim(
        "gated",
        Text("bits at the largest width: SwiGLU / ReLU", "最大宽度时的比特数：SwiGLU / ReLU"),
        lambda measured: widest_ratio(measured, SWIGLU, RELU),
        expected=Bounds(low=1.0),
    ),
    Claim(
        "flat",
        Text("exponent of the growth without activation", "没有激活函数时增长的指数"),
        lambda measured: bits_growth(measured, LINEAR),
        expected=Bounds(-0.1, 0.1),
        control=True,
    ),
)

QUESTION = Question(
    number=29,
    title=Text("What does the feed-forward network do?", "前馈网络（FFN）有什么作用？"),
    topic=Topic("middle", "blocks", related=(26, 9), words="FFN MLP ReLU GELU SwiGLU 前馈 激活函数"),
    claims=CLAIMS,
    figures=(CAPACITY, ACTIVE, SIZE),
    experiment=FeedForwardMemory(),
    numbers={
        "active": lambda measured: measured[ACTIVE, RELU, 64],
        "each": lambda measured: measured[CAPACITY, RELU, 64] / measured[SIZE, RELU, 64],
        "gelu": lambda measured: widest_ratio(measured, GELU, RELU),
    },
)
