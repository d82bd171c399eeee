"""Q26, the encoder (Encoder 模块): six layers that learn to sort, with one part taken out at a time."""

import torch
from pydantic import Field
from torch import Generator
from typing_extensions import override

from whyformer.attention.mask import Window
from whyformer.nn.feed_forward import NoFeedForwardSpec
from whyformer.nn.residual.norm import NoNormSpec
from whyformer.nn.stack import StackSpec
from whyformer.position.absolute import SinusoidalSpec
from whyformer.why.lab.norms import NoResidualSpec
from whyformer.why.lab.toys.order import KINDS, to_exchange, to_sort
from whyformer.why.lab.toys.reader import Reader, likeness_by_layer, small_network, small_stack, with_block
from whyformer.why.lab.training import RIGHT, TRAINING_COST, ToyTraining, training_cost
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

WHOLE = Text("complete", "完整")
ATTENTION, NETWORK = Text("no attention", "去掉注意力"), Text("no feed-forward network", "去掉前馈网络")
RESIDUAL, NORM = Text("no residual", "去掉残差连接"), Text("no norm", "去掉归一化")
POSITION, NEITHER = (
    Text("no positions", "去掉位置编码"),
    Text("no residual, no network", "去掉残差与前馈网络"),
)
TASK, SORT, ALONE = (
    Text("task", "任务"),
    Text("sorting", "排序"),
    Text("control: each token alone", "对照：逐词元替换"),
)
KEYS = ("attention", "network", "residual", "norm", "position")
REMOVED = {
    "attention": ATTENTION,
    "network": NETWORK,
    "residual": RESIDUAL,
    "norm": NORM,
    "position": POSITION,
}
CHANCE = Level(100.0 / KINDS, Text("chance", "随机水平"))
LEARNED = Figure(Text("Learned without one part", "少一个部件学得如何"), TASK, RIGHT, "bar", levels=(CHANCE,))
LIKE = Text("Likeness of tokens, untrained", "未训练时词元的相似度")
ALIKE = Figure(LIKE, Text("layer", "层"), Text("cosine", "余弦"), "line")


class EncoderParts(Experiment):
    """Six-layer encoders, complete or without one part."""

    layers: int = Field(default=6, ge=1)
    """Layers of each encoder."""
    rates: tuple[float, ...] = (1e-3, 3e-3, 1e-2)
    """Learning rates, of which each arm is shown at its best."""
    training: ToyTraining = ToyTraining(steps=150, test_every=30, test_examples=128)
    """Training of each model."""

    def stacks(self) -> dict[Text, StackSpec]:
        """The stack of every arm."""
        whole = small_stack(self.layers, positions=(SinusoidalSpec(),), feed_forward=small_network(64))
        return {
            WHOLE: whole,
            # Every token sees itself alone, by the same weights.
            ATTENTION: whole.model_copy(update={"mask": Window(left=0, right=0)}),
            NETWORK: with_block(whole, {"feed_forward": NoFeedForwardSpec()}),
            RESIDUAL: with_block(whole, {"placement": NoResidualSpec()}),
            NORM: with_block(whole, {"norm": NoNormSpec()}),
            POSITION: whole.model_copy(update={"positions": ()}),
            NEITHER: with_block(whole, {"placement": NoResidualSpec(), "feed_forward": NoFeedForwardSpec()}),
        }

    @override
    def measure(self, seed: int) -> Measurements:
        measured, stacks = Measurements(), self.stacks()
        for arm in (WHOLE, NETWORK, RESIDUAL, NEITHER):
            torch.manual_seed(seed)
            model = Reader(KINDS, KINDS, stacks[arm], width=32)
            likeness = likeness_by_layer(model, to_sort(Generator().manual_seed(seed), 64).sentences)
            measured.update({(ALIKE, arm, layer): value for layer, value in enumerate(likeness)})
        tasks = [(SORT, to_sort, arm) for arm in (WHOLE, *REMOVED.values())] + [
            (ALONE, to_exchange, arm) for arm in (WHOLE, ATTENTION)
        ]
        for task, draw, arm in tasks:
            best = self.training.best_of(
                self.rates, lambda arm=arm: Reader(KINDS, KINDS, stacks[arm], 32), draw, seed, enough=99.9
            )
            measured[LEARNED, arm, task] = best.log.final
            if task == SORT:
                measured.update(training_cost(arm, best.model, best.log))
        return measured


def cost(measured: Measurements, arm: Text, task: Text = SORT) -> float:
    """Points that are lost without a part."""
    return measured[LEARNED, WHOLE, task] - measured[LEARNED, arm, task]


def needed(key: str, arm: Text) -> Claim:
    """The claim that sorting needs a part."""
    text = Text(f"sorting, points lost: {arm.en}", f"排序，损失的百分点：{arm.zh}")
    return Claim(key, text, lambda measured: cost(measured, arm), Bounds(low=5.0), Bounds(low=1.0))


CLAIMS = (
    *(needed(key, arm) for key, arm in REMOVED.items()),
    Claim(
        "alike",
        Text("cosine after six layers without residual and network", "没有残差与前馈网络，六层后的余弦"),
        lambda measured: measured[ALIKE, NEITHER, 6],
        expected=Bounds(low=0.95),
    ),
    Claim(
        "distinct",
        Text("cosine after six layers, complete", "完整编码器六层后的余弦"),
        lambda measured: measured[ALIKE, WHOLE, 6],
        expected=Bounds(high=0.8),
    ),
    Claim(
        "alone",
        Text("each token alone, points lost: no attention", "逐词元替换，损失的百分点：去掉注意力"),
        lambda measured: cost(measured, ATTENTION, ALONE),
        expected=Bounds(-1.0, 1.0),
        control=True,
    ),
)

QUESTION = Question(
    number=26,
    title=Text("What is in the encoder, and what is each part for?", "Encoder 由什么组成，各部件有什么用？"),
    topic=Topic("middle", "blocks", related=(12, 14, 29), words="encoder residual 编码器 残差 子层"),
    claims=CLAIMS,
    figures=(LEARNED, ALIKE, TRAINING_COST),
    experiment=EncoderParts(),
    numbers={
        "whole": lambda measured: measured[LEARNED, WHOLE, SORT],
        "residual_alike": lambda measured: measured[ALIKE, RESIDUAL, 6],
    },
    seeds=range(6, 16),
)
