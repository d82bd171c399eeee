"""Q11, why LayerNorm and not BatchNorm (为什么用 LN 而不是 BN): what a norm depends on, and what it costs."""

import torch
from torch import Generator
from typing_extensions import override

from whyformer.nn.residual.norm import LayerNormSpec, MaskedBatchNormSpec, NoNormSpec, NormSpec, RMSNormSpec
from whyformer.position.absolute import SinusoidalSpec
from whyformer.why.arms import BATCH_NORM, LAYER_NORM, NO_NORM, RMS_NORM
from whyformer.why.lab.norms import (
    COPIES,
    INFLUENCE,
    LATER,
    MATES,
    NORM_SYMBOLS,
    PADS,
    USED,
    LossByMode,
    PaddedBatchNormSpec,
    PaddedReader,
    influences,
    loss_by_mode,
    topical_sentences,
)
from whyformer.why.lab.toys.reader import small_network, small_stack, with_block
from whyformer.why.lab.training import Examples, ToyTraining
from whyformer.why.question import Bounds, Claim, Experiment, Figure, Measurements, Question, Text, Topic

PADDED = Text("BatchNorm, padding counted", "BatchNorm（把填充也算进去）")
NORMS: dict[Text, NormSpec] = {
    LAYER_NORM: LayerNormSpec(),
    RMS_NORM: RMSNormSpec(),
    BATCH_NORM: MaskedBatchNormSpec(),
    PADDED: PaddedBatchNormSpec(),
    NO_NORM: NoNormSpec(),
}
BATCH, NATS = Text("sentences in a batch", "每批句子数"), Text("nats", "nat")
LOSS = Figure(Text("Loss when used", "推理模式下的损失"), BATCH, NATS, "line", "x")
GAP = Figure(
    Text("Loss, training - evaluation mode", "训练模式的损失 - 推理模式的"), BATCH, NATS, "line", "x"
)

WIDTH = 32


class BatchDependence(Experiment):
    """Encoders that name the first token of their sentence, with one norm or another."""

    norms: dict[Text, NormSpec] = NORMS
    """The norm of every arm."""
    batches: tuple[int, ...] = (2, 8, 32)
    """Sentences of an update."""
    rates: tuple[float, ...] = (1e-3, 3e-3, 1e-2)
    """Learning rates, of which each arm is shown at its best."""
    training: ToyTraining = ToyTraining(steps=300, test_every=300, test_examples=256)
    """Training of each model."""

    def model(self, norm: NormSpec, layers: int = 1) -> PaddedReader:
        """The encoder with that norm."""
        stack = small_stack(layers, 2, positions=(SinusoidalSpec(),), feed_forward=small_network(2 * WIDTH))
        return PaddedReader(NORM_SYMBOLS + 1, NORM_SYMBOLS, with_block(stack, {"norm": norm}), WIDTH)

    def taught(self, arm: Text, batch: int, rate: float, seed: int, tests: Examples) -> LossByMode:
        """Loss of a model that is trained by that rate."""
        torch.manual_seed(seed)
        model = self.model(self.norms[arm])
        training = self.training.model_copy(update={"batch": batch, "rate": rate})
        _ = training.run(model, topical_sentences, seed)
        return loss_by_mode(model, tests, batch)

    @override
    def measure(self, seed: int) -> Measurements:
        measured = Measurements()
        for arm, norm in self.norms.items():
            torch.manual_seed(seed)
            changes = influences(self.model(norm, layers=2), Generator().manual_seed(seed))
            measured.update({(INFLUENCE, arm, what): change for what, change in changes.items()})
        tests = topical_sentences(Generator().manual_seed(seed + 1), 256)
        for arm in (LAYER_NORM, BATCH_NORM, PADDED, NO_NORM):
            for batch in self.batches:
                loss = min(self.taught(arm, batch, rate, seed, tests) for rate in self.rates)
                measured[LOSS, arm, batch] = loss.evaluation
                measured[GAP, arm, batch] = loss.training - loss.evaluation
        return measured


def _influence(measured: Measurements, arms: tuple[Text, ...], *what: Text) -> list[float]:
    return [measured[INFLUENCE, arm, each] for arm in arms for each in what]


TOKENWISE, OVER_BATCH = (LAYER_NORM, RMS_NORM), (BATCH_NORM, PADDED)
CLAIMS = (
    Claim(
        "own",
        Text("LN and RMSNorm: largest influence of anything else", "LN 与 RMSNorm：其他一切影响的最大值"),
        lambda measured: max(_influence(measured, TOKENWISE, LATER, MATES, PADS)),
        expected=Bounds(high=1e-5),
        tolerated=Bounds(high=1e-3),
    ),
    Claim(
        "coupled",
        Text(
            "BN: least influence of later tokens and of other sentences", "BN：后文与同批句子的影响，取最小"
        ),
        lambda measured: min(_influence(measured, OVER_BATCH, LATER, MATES)),
        expected=Bounds(low=1e-3),
        tolerated=Bounds(low=1e-3),
    ),
    Claim(
        "behind",
        Text("loss at two sentences a batch: BN - LN (nats)", "每批两句时的损失：BN - LN（nat）"),
        lambda measured: measured[LOSS, BATCH_NORM, 2] - measured[LOSS, LAYER_NORM, 2],
        expected=Bounds(low=0.02),
        tolerated=Bounds(low=0.02),
    ),
    Claim(
        "gap",
        Text("BN, two sentences: training against evaluation (nats)", "BN，每批两句：两种模式之差（nat）"),
        lambda measured: abs(measured[GAP, BATCH_NORM, 2]),
        expected=Bounds(low=0.1),
    ),
    Claim(
        "copies",
        Text("BN: influence of how many copies of one sentence there are", "BN：同一句重复份数的影响"),
        lambda measured: max(_influence(measured, OVER_BATCH, COPIES)),
        expected=Bounds(high=1e-4),
        control=True,
    ),
    Claim(
        "used",
        Text("BN in evaluation mode: influence of other sentences", "推理模式的 BN：其他句子的影响"),
        lambda measured: max(_influence(measured, OVER_BATCH, USED)),
        expected=Bounds(high=1e-5),
        control=True,
    ),
)

QUESTION = Question(
    number=11,
    title=Text("Why LayerNorm and not BatchNorm?", "为什么用 LayerNorm 而不是 BatchNorm？"),
    topic=Topic("middle", "blocks", related=(12, 13), words="LN BN RMSNorm 层归一化 批归一化 批量规范化"),
    claims=CLAIMS,
    figures=(LOSS, INFLUENCE, GAP),
    experiment=BatchDependence(),
    numbers={
        "signed": lambda measured: measured[GAP, BATCH_NORM, 2],
        "large": lambda measured: measured[LOSS, BATCH_NORM, 32] - measured[LOSS, LAYER_NORM, 32],
    },
)
