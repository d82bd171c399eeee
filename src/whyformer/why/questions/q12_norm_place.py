"""Q12, where LayerNorm sits (LN 放在哪里): gradients at the start, and the rates that a model survives."""

import math

import torch
from typing_extensions import override

from whyformer.nn.residual.placement import PlacementSpec, PostNormSpec, PreNormSpec
from whyformer.training.optimization.schedule import Constant
from whyformer.why.arms import POST_NORM, PRE_NORM
from whyformer.why.lab.depth import DepthTraining, deep_reader, depth_cost, gradient_by_layer, letter_entropy
from whyformer.why.lab.training import TRAINING_COST
from whyformer.why.question import Bounds, Claim, Experiment, Figure, Measurements, Question, Text, Topic

PLACES: dict[Text, PlacementSpec] = {POST_NORM: PostNormSpec(), PRE_NORM: PreNormSpec()}
WARM, FREQUENCIES = (
    Text("post-LN, warm-up", "Post-LN，预热"),
    Text("letter frequencies alone", "只用字符频率"),
)
RATE, NATS = Text("learning rate", "学习率"), Text("nats a character", "奈特/字符")
LOSS = Figure(
    Text("Six layers: loss at the end", "六层：训练结束时的损失"),
    RATE,
    NATS,
    "line",
    "x",
    reference=FREQUENCIES,
)
LAYER, NORM = Text("layer (12 in all)", "层（共 12 层）"), Text("norm", "范数")
GRADIENT = Figure(
    Text("Gradient of the network, before training", "训练前前馈网络的梯度"), LAYER, NORM, "line", "y"
)
RATIO = Figure(
    Text("Gradient: last layer / first", "梯度：最后一层 / 第一层"),
    Text("layers", "层数"),
    Text("ratio", "比值"),
)
SHALLOW = Figure(Text("Control: one layer, loss at the end", "对照：一层，训练结束时的损失"), RATE, NATS)


class NormPlace(Experiment):
    """Both places of the norm: gradients at three depths, then trainings at six rates without warm-up."""

    places: dict[Text, PlacementSpec] = PLACES
    """The placement of each arm."""
    depths: tuple[int, ...] = (2, 6, 12)
    """Layers of the untrained models."""
    rates: tuple[float, ...] = (1e-3, 3e-3, 5e-3, 1e-2, 3e-2, 1e-1)
    """Learning rates of the trainings."""
    training: DepthTraining = DepthTraining(steps=150)
    """Training of each model."""
    warmup: int = 50
    """Steps of warm-up of the arm that has it."""

    @override
    def measure(self, seed: int) -> Measurements:
        measured = Measurements()
        for arm, place in self.places.items():
            measured.update(depth_cost(arm, place, 6, self.training.steps))
            gradients: list[float] = []
            for depth in self.depths:
                gradients = gradient_by_layer(place, depth, seed)
                measured[RATIO, arm, depth] = gradients[-1] / gradients[0]
            measured.update({(GRADIENT, arm, layer): each for layer, each in enumerate(gradients, start=1)})
            measured[SHALLOW, arm, 1e-2] = self._loss(place, 1, 1e-2, 0, seed)
        arms = ((POST_NORM, POST_NORM, 0), (PRE_NORM, PRE_NORM, 0), (WARM, POST_NORM, self.warmup))
        for rate in self.rates:
            for arm, name, warmup in arms:
                measured[LOSS, arm, rate] = self._loss(self.places[name], 6, rate, warmup, seed)
            measured[LOSS, FREQUENCIES, rate] = letter_entropy()
        return measured

    def _loss(self, place: PlacementSpec, layers: int, rate: float, warmup: int, seed: int) -> float:
        torch.manual_seed(seed)
        schedule = Constant(peak=rate, warmup=warmup)
        return self.training.run(deep_reader(place, layers), lambda step: schedule.rate(step, 0), seed).final


def survived(seen: Measurements, arm: Text) -> float:
    """The highest rate by which an arm learned more than frequencies of characters; NaN if none."""
    alone = seen.line(LOSS, FREQUENCIES)
    return max(
        (rate for rate, loss in seen.line(LOSS, arm).items() if loss < alone[rate] - 0.2), default=math.nan
    )


CLAIMS = (
    Claim(
        "growth",
        Text("post-LN: gradient ratio at 12 layers / at 2", "Post-LN：12 层与 2 层的梯度比值之比"),
        lambda seen: seen[RATIO, POST_NORM, 12] / seen[RATIO, POST_NORM, 2],
        Bounds(low=1.1),
    ),
    Claim(
        "excess",
        Text("gradient ratio at 12 layers: post-LN / pre-LN", "12 层的梯度比值：Post-LN / Pre-LN"),
        lambda seen: seen[RATIO, POST_NORM, 12] / seen[RATIO, PRE_NORM, 12],
        Bounds(low=2.0),
        Bounds(low=1.0),
    ),
    Claim(
        "rates",
        Text(
            "highest rate that learns, no warm-up: log10(pre-LN / post-LN)",
            "不预热时可用的最大学习率：log10(Pre-LN / Post-LN)",
        ),
        lambda seen: math.log10(survived(seen, PRE_NORM) / survived(seen, POST_NORM)),
        # Rates lie on a grid of factors: three times as high, and refuted below one and a half times.
        Bounds(low=0.477),
        Bounds(low=0.176),
    ),
    Claim(
        "gap",
        Text(
            "loss at rate 0.01, no warm-up: post-LN − pre-LN", "学习率 0.01、不预热的损失：Post-LN − Pre-LN"
        ),
        lambda seen: seen[LOSS, POST_NORM, 1e-2] - seen[LOSS, PRE_NORM, 1e-2],
        Bounds(low=0.3),
    ),
    Claim(
        "shallow",
        Text("one layer, rate 0.01: difference in loss", "一层，学习率 0.01：损失之差"),
        lambda seen: abs(seen[SHALLOW, POST_NORM, 1e-2] - seen[SHALLOW, PRE_NORM, 1e-2]),
        Bounds(high=0.2),
        control=True,
    ),
)

QUESTION = Question(
    number=12,
    title=Text("Where does LayerNorm sit?", "LayerNorm 放在哪里？"),
    topic=Topic("middle", "blocks", (11, 25, 26), "post-LN pre-LN norm placement 归一化 位置 残差"),
    claims=CLAIMS,
    figures=(LOSS, GRADIENT, RATIO, SHALLOW, TRAINING_COST),
    experiment=NormPlace(),
    numbers={
        "post_rate": lambda seen: survived(seen, POST_NORM),
        "pre_rate": lambda seen: survived(seen, PRE_NORM),
        "post_best": lambda seen: min(seen.line(LOSS, POST_NORM).values()),
        "pre_best": lambda seen: min(seen.line(LOSS, PRE_NORM).values()),
        "warm_gain": lambda seen: seen[LOSS, POST_NORM, 1e-2] - seen[LOSS, WARM, 1e-2],
        "post_ratio": lambda seen: seen[RATIO, POST_NORM, 12],
        "pre_ratio": lambda seen: seen[RATIO, PRE_NORM, 12],
        "frequencies": lambda seen: seen[LOSS, FREQUENCIES, 1e-2],
    },
    seeds=range(6, 11),
)
