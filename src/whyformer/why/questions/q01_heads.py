"""Q01, why several heads (为什么要用多头): several lookups by one position, and which head does which."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Generator, nn
from typing_extensions import override

from whyformer.why.lab.attention import BY_RATE, guessing, head_off, reading, sweep
from whyformer.why.lab.toys.retrieval import Lookups, lookup_examples
from whyformer.why.lab.training import RIGHT, TRAINING_COST, Examples, ToyTraining
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

# The arms: how many lookups one position has to do, and in how many layers.
ONE = Text("control: one lookup, one layer", "对照：查一项，一层")
FOUR = Text("four lookups, one layer", "查四项，一层")
DEEP = Text("four lookups, four layers", "查四项，四层")
MOST = 4
LOOKUPS, LAYERS = {ONE: 1, FOUR: 4, DEEP: 4}, {ONE: 1, FOUR: 1, DEEP: 4}

HEADS = Text("heads h (64 / h components each)", "头数 h（每头 64 / h 维）")
CHANCE = 100 / Lookups.VALUES
BAG = (100 + (MOST - 1) * CHANCE) / MOST
RETRIEVED = Figure(
    Text("Values found by one position", "一个位置查到的值"), HEADS, RIGHT, "line", "x",
    levels=(guessing(Lookups.VALUES),
            Level(BAG, Text("four values, order unknown", "知道四个值，不知次序"))),
)  # fmt: skip
SWITCHED = Figure(
    Text("Four heads, one of them switched off", "四个头，关掉其中一个"),
    Text("lookup", "所查项"),
    RIGHT,
    "heat",
)


class SeveralHeads(Experiment):
    """The same width cut into more and more heads, for one lookup and for four."""

    heads: tuple[int, ...] = (1, 2, 4, 8)
    """Numbers of heads, for four lookups in one layer."""
    rates: tuple[float, ...] = (1e-3, 2e-3, 4e-3)
    """Learning rates that every arm is trained at."""
    training: ToyTraining = ToyTraining(steps=400, batch=64, test_every=25, test_examples=256)
    """Each training; it ends at 98 % right."""

    @override
    def measure(self, seed: int) -> Measurements:
        measured = Measurements()
        for arm in (ONE, FOUR, DEEP):
            for heads in {ONE: (1, MOST), FOUR: self.heads, DEEP: (1,)}[arm]:
                build, draw = (
                    partial(Lookups, LOOKUPS[arm], heads, LAYERS[arm]),
                    lookup_examples(LOOKUPS[arm]),
                )
                swept = sweep(self.training, self.rates, build, draw, seed, enough=98.0)
                measured[RETRIEVED, arm, heads] = swept.best.log.final
                named = Text(f"{arm.en}, h = {heads}", f"{arm.zh}，h = {heads}")
                measured.update(swept.measurements(named, enough=98.0))
                if arm == FOUR and heads == MOST:
                    measured.update(each_head_off(swept.best.model, draw(Generator().manual_seed(seed), 512)))
        return measured


@torch.no_grad()
def each_head_off(model: nn.Module, tests: Examples) -> Measurements:
    """Percent right in each lookup with each head silenced."""
    measured = Measurements()
    for head in range(MOST):
        with head_off(model, head):
            right = (model(tests.sentences).argmax(dim=1) == tests.target).float().mean(dim=0)
        for lookup, share in enumerate(right.tolist()):
            off = Text(f"without head {head + 1}", f"关掉第 {head + 1} 个头")
            place = Text(f"name {lookup + 1}", f"第 {lookup + 1} 项")
            measured[SWITCHED, off, place] = 100.0 * share
    return measured


def more_right(arm: Text, heads: int = MOST) -> Callable[[Measurements], float]:
    """Read the lead of several heads over one, in points."""
    return lambda measured: measured[RETRIEVED, arm, heads] - measured[RETRIEVED, arm, 1]


def specialisation(measured: Measurements) -> float:
    """Points between the head that a lookup misses most and the one that it misses least, on average."""
    by_lookup: dict[object, list[float]] = {}
    for (figure, _, lookup), right in measured.items():
        if figure == SWITCHED:
            by_lookup.setdefault(lookup, []).append(right)
    return sum(max(each) - min(each) for each in by_lookup.values()) / len(by_lookup)


def depth_share(measured: Measurements) -> float:
    """Lead of four layers over one, all of one head, over that of four heads."""
    return (measured[RETRIEVED, DEEP, 1] - measured[RETRIEVED, FOUR, 1]) / more_right(FOUR)(measured)


CLAIMS = (
    Claim("gap", Text("points, four lookups: four heads - one head", "查四项的百分点：四个头 - 一个头"),
          more_right(FOUR), Bounds(low=20.0), Bounds(low=5.0)),
    Claim("eight", Text("points, four lookups: eight heads - four heads", "查四项的百分点：八个头 - 四个头"),
          lambda measured: more_right(FOUR, 8)(measured) - more_right(FOUR)(measured), Bounds(-5.0, 5.0)),
    Claim("specialised", Text("points a lookup loses: by its own head - by another's",
          "关掉自己的头比关掉别的头多损失的百分点"),
          specialisation, Bounds(low=50.0)),
    Claim("depth", Text("share of that lead that four layers of one head win",
          "四层、每层一个头补回的优势占比"),
          depth_share, Bounds(low=0.5)),
    Claim("one", Text("points, one lookup: four heads - one head", "只查一项的百分点：四个头 - 一个头"),
          more_right(ONE), Bounds(-5.0, 5.0), control=True),
)  # fmt: skip

QUESTION = Question(
    number=1,
    title=Text("Why several heads?", "为什么要用多头？"),
    topic=Topic(
        "junior", "attention", related=(9, 2, 18), words="multi-head heads subspace 多头 子空间 头数"
    ),
    claims=CLAIMS,
    figures=(RETRIEVED, SWITCHED, BY_RATE, TRAINING_COST),
    experiment=SeveralHeads(),
    numbers={
        "one_head": reading(RETRIEVED, FOUR, 1),
        "two_heads": reading(RETRIEVED, FOUR, 2),
        "four_heads": reading(RETRIEVED, FOUR, 4),
        "eight_heads": reading(RETRIEVED, FOUR, 8),
        "deep_one": reading(RETRIEVED, DEEP, 1),
        "single_lookup": reading(RETRIEVED, ONE, 1),
    },
)
