"""Q20, which other positional encodings there are (其他位置编码): where each works, how far, at what cost."""

import torch
from typing_extensions import override

from whyformer.position.positions import PositionSpec
from whyformer.why.arms import ALIBI, LEARNED, NO_POSITION, ROTARY, SHAW, SINUSOIDAL, T5
from whyformer.why.lab.positions import MIXED, OFFSETS, SCHEMES, TEXT_LOSS, lines_of_code, text_losses
from whyformer.why.lab.toys.order import (
    ABSOLUTE,
    BAG,
    LENGTH,
    RELATIVE,
    OrderReader,
    order_results,
    sentences,
)
from whyformer.why.lab.training import RIGHT, TRAINING_COST, ToyTraining, training_cost
from whyformer.why.question import Bounds, Claim, Experiment, Figure, Measurements, Question, Text, Topic

DEEP = Figure(Text("Absolute task, two layers", "绝对任务，两层"), LENGTH, RIGHT, "heat")
GAIN = Text("gain in the last quarter (points)", "最后四分之一训练的提升（百分点）")
LINES = Text("lines of code", "代码行数")


class PositionSchemes(Experiment):
    """One attention layer for every scheme, two for those by offset; then language models."""

    schemes: dict[Text, tuple[PositionSpec, ...]] = SCHEMES
    """The schemes of every arm."""
    lengths: tuple[int, ...] = (16, 32, 64)
    """Tokens of the sentences in the tests."""
    training: ToyTraining = ToyTraining(steps=1000, test_every=250, rate=7e-3)
    """Training of each model, on 8 to 16 tokens; a learned table takes longest to its plateau."""
    deep: ToyTraining = ToyTraining(steps=350, test_every=350, rate=1e-2)
    """Training of each model of two layers."""
    text: ToyTraining = ToyTraining(steps=250, test_every=250, rate=5e-3, batch=16, test_examples=32)
    """Training of each language model."""

    @override
    def measure(self, seed: int) -> Measurements:
        measured = Measurements()
        for arm, schemes in self.schemes.items():
            torch.manual_seed(seed)
            model = OrderReader(schemes, layers=1)
            log = self.training.run(model, sentences, seed)
            measured.update(order_results(model, arm, self.lengths, seed))
            measured.update(training_cost(arm, model, log))
            before = self.training.steps - self.training.test_every
            measured[TRAINING_COST, arm, GAIN] = log.final - log.accuracy.get(before, log.final)
            measured[TRAINING_COST, arm, LINES] = lines_of_code(schemes)
        for arm in (NO_POSITION, *OFFSETS):
            torch.manual_seed(seed)
            model = OrderReader(self.schemes[arm], layers=2)
            self.deep.run(model, sentences, seed)
            results = order_results(model, arm, self.lengths[:2], seed)
            measured.update({(DEEP, arm, at): right for at, right in results.line(ABSOLUTE, arm).items()})
        arms = (NO_POSITION, SINUSOIDAL, ROTARY, ALIBI)
        measured.update(text_losses({arm: self.schemes[arm] for arm in arms}, self.text, seed))
        return measured


def drift(seen: Measurements, arm: Text) -> float:
    """Loss at eight times the characters of the training, less that at as many."""
    return seen[TEXT_LOSS, arm, 256] - seen[TEXT_LOSS, arm, 32]


CLAIMS = (
    Claim(
        "collapse",
        Text("3 back, learned: points lost from 16 to 32 tokens", "相对任务，可学习：16→32 个词元降低的点数"),
        lambda seen: seen[RELATIVE, LEARNED, 16] - seen[RELATIVE, LEARNED, 32],
        Bounds(low=30.0),
        Bounds(low=10.0),
    ),
    *(
        Claim(
            key,
            Text(f"3 back, 32 tokens: {arm.en} (%)", f"相对任务，32 个词元：{arm.zh}（%）"),
            lambda seen, arm=arm: seen[RELATIVE, arm, 32],
            Bounds(low=90.0),
            Bounds(low=90.0),
        )
        for key, arm in (("shaw", SHAW), ("t5", T5), ("rotary", ROTARY))
    ),
    Claim(
        "fades",
        Text("3 back, 16 tokens: ALiBi (%)", "相对任务，16 个词元：ALiBi（%）"),
        lambda seen: seen[RELATIVE, ALIBI, 16],
        Bounds(high=50.0),
    ),
    Claim(
        "alibi",
        Text("text, ALiBi: loss at 256 characters − at 32", "文本，ALiBi：256 与 32 个字符的损失之差"),
        lambda seen: drift(seen, ALIBI),
        Bounds(high=0.1),
        Bounds(high=0.3),
    ),
    Claim(
        "drifts",
        Text("text, sinusoidal: loss at 256 characters − at 32", "文本，正弦：256 与 32 个字符的损失之差"),
        lambda seen: drift(seen, SINUSOIDAL),
        Bounds(low=0.3),
    ),
    Claim(
        "absolute",
        Text("sixth token: worst absolute or mixed scheme (%)", "第 6 个词元：最差的绝对或混合方案（%）"),
        lambda seen: min(seen[ABSOLUTE, arm, 16] for arm in (SINUSOIDAL, LEARNED, MIXED)),
        Bounds(low=90.0),
    ),
    Claim(
        "others",
        Text("sixth token, one layer: best of all others (%)", "第 6 个词元，一层：其余方案中最好的（%）"),
        lambda seen: max(seen[ABSOLUTE, arm, 16] for arm in (NO_POSITION, *OFFSETS)),
        Bounds(high=50.0),
    ),
    Claim(
        "odd",
        Text("odd token: worst scheme (%)", "异类词元：最差的方案（%）"),
        lambda seen: min(seen[BAG, arm, 16] for arm in SCHEMES),
        Bounds(low=90.0),
        control=True,
    ),
    Claim(
        "plateau",
        Text("largest gain in the last quarter (points)", "最后四分之一训练中的最大提升（百分点）"),
        lambda seen: max(seen[TRAINING_COST, arm, GAIN] for arm in SCHEMES),
        Bounds(high=5.0),
        control=True,
    ),
)

QUESTION = Question(
    number=20,
    title=Text("Which other positional encodings are there?", "还有哪些位置编码？"),
    topic=Topic("senior", "positions", (10, 27), "rotary RoPE ALiBi Shaw T5 相对 旋转 位置编码 外推"),
    claims=CLAIMS,
    figures=(RELATIVE, TEXT_LOSS, ABSOLUTE, DEEP, BAG, TRAINING_COST),
    experiment=PositionSchemes(),
    numbers={
        "rotary_text": lambda seen: drift(seen, ROTARY),
        "shaw_far": lambda seen: seen[RELATIVE, SHAW, 64],
        "shaw_deep": lambda seen: seen[DEEP, SHAW, 16],
        "rotary_deep": lambda seen: seen[DEEP, ROTARY, 16],
        "nothing": lambda seen: seen[RELATIVE, NO_POSITION, 16],
        "lines_learned": lambda seen: seen[TRAINING_COST, LEARNED, LINES],
        "lines_shaw": lambda seen: seen[TRAINING_COST, SHAW, LINES],
    },
    seeds=range(6, 11),
)
