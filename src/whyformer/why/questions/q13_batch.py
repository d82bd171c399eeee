"""Q13, BatchNorm, its merits and defects (BatchNorm 及优缺点): rates, batches, folding."""

import math
from functools import partial

from pydantic import Field
from torch import Generator
from typing_extensions import override

from whyformer.nn.residual.norm import MaskedBatchNormSpec, NoNormSpec, NormSpec
from whyformer.why.arms import BATCH_NORM, NO_NORM
from whyformer.why.lab.norms import WAVES, Convolutions, fold_error, right_by_batch, tones
from whyformer.why.lab.training import RIGHT, Examples, ToyTraining, percent_right
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

CHANCE = Level(100.0 / WAVES, Text("chance", "随机水平"))
USABLE = Level(90.0, Text("usable", "可用"))
RATE, SIZE = Text("learning rate", "学习率"), Text("examples in a batch", "每批样例数")
RATES = Figure(Text("Right, by rate", "各学习率的正确率"), RATE, RIGHT, "line", "x", levels=(USABLE, CHANCE))
SIZES = Figure(Text("Right at the best rate", "最好学习率下的正确率"), SIZE, RIGHT, "bar", levels=(CHANCE,))
TESTS = Figure(Text("Used in four ways", "四种使用方式"), Text("normalised by", "归一化所用"), RIGHT, "bar")
RUNNING, MIXED = Text("running averages", "滑动平均"), Text("mixed batch", "各类混合")
SORTED, PAIR = Text("one class", "只有一类"), Text("two examples", "两个样例")
FOLDED = Text("folded - unfolded, at most", "折叠与否的输出之差，最大")
EXACT = Figure(FOLDED, Text("", ""), Text("", ""))
NORM_OR_NONE: dict[Text, NormSpec] = {BATCH_NORM: MaskedBatchNormSpec(), NO_NORM: NoNormSpec()}


class BatchNormAtWork(Experiment):
    """Convolutional networks that tell tones apart, with BatchNorm and without, by gradient descent."""

    norms: dict[Text, NormSpec] = NORM_OR_NONE
    """The norm of each arm."""
    rates: tuple[float, ...] = (1e-3, 3e-3, 1e-2, 3e-2, 6e-2, 0.1, 0.2, 0.3, 0.6, 1.0)
    """Learning rates, in batches of 32."""
    few: tuple[float, ...] = (3e-3, 1e-2, 3e-2)
    """Learning rates in batches of two, of which the best counts."""
    training: ToyTraining = ToyTraining(steps=250, batch=32, momentum=0.9, test_every=250)
    """Training in batches of 32."""
    longer: int = Field(default=3, ge=1)
    """Times as many steps in batches of two, which show fewer examples each."""

    @override
    def measure(self, seed: int) -> Measurements:
        measured = Measurements()
        small = self.training.with_budget(self.longer).model_copy(update={"batch": 2})
        for arm, norm in self.norms.items():
            build = partial(Convolutions, norm)
            tuned = [self.training.best_of([rate], build, tones, seed) for rate in self.rates]
            measured.update({(RATES, arm, each.rate): each.log.final for each in tuned})
            best = max(tuned, key=lambda each: each.log.final)
            measured[SIZES, arm, 32] = best.log.final
            measured[SIZES, arm, 2] = small.best_of(self.few, build, tones, seed).log.final
            assert isinstance(best.model, Convolutions)
            tests = tones(Generator().manual_seed(seed + 1), 384)
            measured[TESTS, arm, RUNNING] = percent_right(best.model, tests)
            if arm == BATCH_NORM:
                measured[EXACT, arm, FOLDED] = fold_error(best.model, tests.sentences)
            ordered = Examples(*(part[tests.target.argsort()] for part in tests))
            for way, shown, size in ((MIXED, tests, 128), (SORTED, ordered, 32), (PAIR, tests, 2)):
                measured[TESTS, arm, way] = right_by_batch(best.model, shown, size)
        return measured


def usable(measured: Measurements, arm: Text) -> float:
    """Orders of magnitude from the smallest usable rate to the largest."""
    good = [rate for rate, right in measured.line(RATES, arm).items() if right >= USABLE.at]
    return math.log10(max(good) / min(good)) if good else 0.0


def lost_points(measured: Measurements, way: Text, arm: Text = BATCH_NORM) -> float:
    """Points that are lost where a network is used in another way than by running averages."""
    return measured[TESTS, arm, RUNNING] - measured[TESTS, arm, way]


CLAIMS = (
    Claim(
        "wider",
        Text("usable rates, orders of magnitude: BN - none", "可用学习率的数量级：BN - 无"),
        lambda measured: usable(measured, BATCH_NORM) - usable(measured, NO_NORM),
        expected=Bounds(low=0.47),  # three times as wide
        tolerated=Bounds(low=0.2),
    ),
    Claim(
        "sorted",
        Text("points lost where a batch has one class", "一批只含一类时损失的百分点"),
        lambda measured: lost_points(measured, SORTED),
        expected=Bounds(low=5.0),
        tolerated=Bounds(low=1.0),
    ),
    Claim(
        "pair",
        Text("points lost where a batch is two examples", "一批只有两个样例时损失的百分点"),
        lambda measured: lost_points(measured, PAIR),
        expected=Bounds(low=5.0),
    ),
    Claim(
        "small",
        Text("trained in batches of two: none - BN (points)", "每批两个样例来训练：无 - BN（百分点）"),
        lambda measured: measured[SIZES, NO_NORM, 2] - measured[SIZES, BATCH_NORM, 2],
        expected=Bounds(low=5.0),
    ),
    Claim(
        "folded",
        Text("outputs, folded into the convolutions or not", "输出之差：并入卷积与否"),
        lambda measured: measured[EXACT, BATCH_NORM, FOLDED],
        expected=Bounds(high=1e-4),
        tolerated=Bounds(high=1e-2),
    ),
    Claim(
        "mixed",
        Text("points lost in a batch of all classes", "一批含各类时损失的百分点"),
        lambda measured: lost_points(measured, MIXED),
        expected=Bounds(-3.0, 3.0),
        control=True,
    ),
)

QUESTION = Question(
    number=13,
    title=Text("What is BatchNorm, and what are its merits and defects?", "什么是 BatchNorm？有哪些优缺点？"),
    topic=Topic("middle", "blocks", related=(11, 12), words="BN batch normalization 批量归一化 批归一化"),
    claims=CLAIMS,
    figures=(RATES, TESTS, SIZES, EXACT),
    experiment=BatchNormAtWork(),
    numbers={
        "bn_small": lambda measured: measured[SIZES, BATCH_NORM, 2],
        "none_small": lambda measured: measured[SIZES, NO_NORM, 2],
        "none_sorted": lambda measured: lost_points(measured, SORTED, NO_NORM),
    },
)
