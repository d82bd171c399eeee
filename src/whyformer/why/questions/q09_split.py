"""Q09, why split the width among heads (每个头为什么要降维): what heads cost, and how narrow they may be."""

from collections.abc import Callable
from functools import partial

import torch
from torch.utils.flop_counter import FlopCounterMode
from typing_extensions import override

from whyformer.attention.heads import HeadsSpec
from whyformer.attention.multihead import AttentionSpec
from whyformer.attention.score import ScaledDotSpec
from whyformer.why.lab import attention as lab
from whyformer.why.lab.attention import BY_RATE, DIM, guessing, reading
from whyformer.why.lab.cost import Work, kept_megabytes, milliseconds
from whyformer.why.lab.toys.retrieval import Lookups, Retrieval, lookup_examples, retrieval
from whyformer.why.lab.training import PARAMETERS, RIGHT, STEPS, TRAINING_COST, ToyTraining
from whyformer.why.question import Bounds, Claim, Experiment, Figure, Measurements, Question, Text, Topic

WIDTH, HEADS = 256, 8

# The arms of the cost: one head, eight that share its width, eight as wide as it.
ONE = Text("1 head of 256", "1 个头，256 维")
SPLIT = Text("8 heads of 32 (split)", "8 个头，各 32 维（降维）")
FULL = Text("8 heads of 256 (not split)", "8 个头，各 256 维（不降维）")
LAYOUTS = {
    ONE: HeadsSpec(query=1, bias=False),
    SPLIT: HeadsSpec(query=HEADS, bias=False),
    FULL: HeadsSpec(query=HEADS, dim=WIDTH, bias=False),
}
# Those of what is learned.
MANY = Text("16 keys to choose from", "从 16 个键里选")
ALONE = Text("control: one key, nothing to choose", "对照：只有一个键，不用选")
NARROW = Text("4 heads of 16 (split)", "4 个头，各 16 维（降维）")
WIDE = Text("4 heads of 64", "4 个头，各 64 维")

# What is measured.
COST = Figure(Text("Cost, one head = 1", "开销（单头 = 1）"), Text("of what", "项目"), Text("×", "倍"), "bar")
OPERATIONS, TIME = Text("operations", "运算量"), Text("time", "时间")
MEMORY = Text("kept for backward", "反向传播须保存")
FOUND = Figure(
    Text("Reading the value asked for, one head", "一个头读出所问的值"), DIM, RIGHT, "line", "x",
    levels=(guessing(Retrieval.CLASSES),),
)  # fmt: skip
FOUR = Figure(Text("Four lookups by one position", "一个位置查四项"), Text("heads", "头"), RIGHT)


class SplitWidth(Experiment):
    """One attention with its width split or not; then heads that are ever wider learn to retrieve."""

    layouts: dict[Text, HeadsSpec] = LAYOUTS
    """The heads whose cost is compared."""
    tokens: int = 128
    """Length of the sentences that the cost is measured on."""
    turns: int = 15
    """Times that all arms are timed, one after the other."""
    dims: tuple[int, ...] = (1, 2, 4, 8, 32)
    """Head dimensions of the models that learn."""
    rates: tuple[float, ...] = (3e-3, 1e-2, 3e-2)
    """Learning rates that every head dimension is trained at."""
    lookup_rates: tuple[float, ...] = (1e-3, 2e-3, 4e-3)
    """Learning rates of the models of four heads."""
    training: ToyTraining = ToyTraining(steps=300, test_every=50, test_examples=256)
    """Each training; it ends at 98 % right."""

    @override
    def measure(self, seed: int) -> Measurements:
        torch.manual_seed(seed)
        measured = self.costs()
        for arm, keys in ((MANY, 16), (ALONE, 1)):
            for dim in self.dims:
                build, draw = partial(Retrieval, ScaledDotSpec(), dim), retrieval(keys)
                swept = lab.sweep(self.training, self.rates, build, draw, seed, enough=98.0)
                measured[FOUND, arm, dim] = swept.best.log.final
                named = Text(*(f"{name}, dₖ = {dim}" for name in arm))
                measured.update(swept.measurements(named, enough=98.0))
        for arm, dim in ((NARROW, 16), (WIDE, 64)):
            build, draw = partial(Lookups, 4, heads=4, dim=dim), lookup_examples(4)
            swept = lab.sweep(self.training, self.lookup_rates, build, draw, seed, enough=98.0)
            measured[FOUR, arm, RIGHT] = swept.best.log.final
            measured.update(swept.measurements(arm, enough=98.0))
        return measured

    def costs(self) -> Measurements:
        """Parameters, operations, time and memory of each layout, over those of one head."""
        x = torch.randn(1, self.tokens, WIDTH).requires_grad_()
        modules = {arm: AttentionSpec(heads=heads).build(WIDTH) for arm, heads in self.layouts.items()}
        works: dict[Text, Work] = {
            arm: partial(lab.self_attention, module, x) for arm, module in modules.items()
        }
        measured = Measurements()
        for arm, ms in milliseconds(works, self.turns).items():
            with FlopCounterMode(display=False) as counter:
                works[arm]()
            measured[COST, arm, PARAMETERS] = float(sum(p.numel() for p in modules[arm].parameters()))
            measured[COST, arm, OPERATIONS] = float(counter.get_total_flops())
            measured[COST, arm, TIME] = ms
            measured[COST, arm, MEMORY] = kept_megabytes(works[arm])
        one = {place: value for (_, arm, place), value in measured.items() if arm == ONE}
        return Measurements({key: value / one[key[2]] for key, value in measured.items()})


def lost_by_narrow(arm: Text) -> Callable[[Measurements], float]:
    """Read what a head of two components loses against one of 32, in points."""
    return lambda measured: measured[FOUND, arm, 32] - measured[FOUND, arm, 2]


CLAIMS = (
    Claim("parameters", Text("parameters: 8 heads of 32 / 1 head of 256",
          "参数量：8 个 32 维的头 / 1 个 256 维的头"),
          reading(COST, SPLIT, PARAMETERS), Bounds(1.0, 1.0), Bounds(1.0, 1.0)),
    Claim("operations", Text("operations: 8 heads of 32 / 1 head of 256",
          "运算量：8 个 32 维的头 / 1 个 256 维的头"),
          reading(COST, SPLIT, OPERATIONS), Bounds(1.0, 1.0), Bounds(1.0, 1.0)),
    Claim("time", Text("time: 8 heads of 32 / 1 head of 256", "时间：8 个 32 维的头 / 1 个 256 维的头"),
          reading(COST, SPLIT, TIME), Bounds(0.6, 1.4)),
    Claim("full", Text("parameters: 8 heads of 256 / 1 head of 256",
          "参数量：8 个 256 维的头 / 1 个 256 维的头"),
          reading(COST, FULL, PARAMETERS), Bounds(8.0, 8.0), Bounds(8.0, 8.0)),
    Claim("full_time", Text("time: 8 heads of 256 / 1 head of 256",
          "时间：8 个 256 维的头 / 1 个 256 维的头"),
          reading(COST, FULL, TIME), Bounds(low=3.0)),
    Claim("knee", Text("points lost from dₖ = 32 to dₖ = 2, 64 names",
          "dₖ 从 32 降到 2 损失的百分点，64 个名字"),
          lost_by_narrow(MANY), Bounds(low=5.0), Bounds(low=5.0)),
    Claim("gain", Text("points, four lookups: heads of 64 - heads of 16",
          "查四项的百分点：64 维的头 - 16 维的头"),
          lambda measured: measured[FOUR, WIDE, RIGHT] - measured[FOUR, NARROW, RIGHT], Bounds(high=5.0)),
    Claim("alone", Text("points lost from dₖ = 32 to dₖ = 2, one key",
          "dₖ 从 32 降到 2 损失的百分点，一个键"),
          lost_by_narrow(ALONE), Bounds(-5.0, 5.0), control=True),
)  # fmt: skip

NUMBERS = {
    "memory": reading(COST, SPLIT, MEMORY), "full_operations": reading(COST, FULL, OPERATIONS),
    "alone_one": reading(FOUND, ALONE, 1), "alone_two": reading(FOUND, ALONE, 2),
    "one_component": reading(FOUND, MANY, 1), "two_components": reading(FOUND, MANY, 2),
    "four_components": reading(FOUND, MANY, 4), "wide": reading(FOUND, MANY, 32),
    "narrow_steps": reading(TRAINING_COST, NARROW, STEPS), "wide_steps": reading(TRAINING_COST, WIDE, STEPS),
}  # fmt: skip
QUESTION = Question(
    number=9,
    title=Text("Why split the width among heads?", "每个头为什么要降维？"),
    topic=Topic("middle", "attention", related=(1, 3), words="heads d_model/h width rank 多头 降维 低秩"),
    claims=CLAIMS,
    figures=(FOUND, COST, FOUR, BY_RATE, TRAINING_COST),
    experiment=SplitWidth(),
    numbers=NUMBERS,
)
