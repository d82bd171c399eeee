"""Q20, which other positional encodings there are (其他位置编码): where each works, how far, at what cost."""

import inspect

import torch
from torch import Generator
from typing_extensions import override

from whyformer.position import absolute, alibi, rotary, shaw, t5
from whyformer.position.absolute import LearnedSpec, SinusoidalSpec
from whyformer.position.alibi import AlibiSpec
from whyformer.position.attention_shape import AttentionShape
from whyformer.position.positions import PositionSpec
from whyformer.position.rotary import RotarySpec
from whyformer.position.shaw import ShawKeysSpec, ShawValuesSpec
from whyformer.position.t5 import T5Spec
from whyformer.why.lab.order import (
    ABSOLUTE,
    BAG,
    RELATIVE,
    TOY_TASKS,
    OrderReader,
    draw_sentences,
    right_by_task,
    sentences,
)
from whyformer.why.lab.training import TRAINING_COST, ToyTraining, training_cost
from whyformer.why.question import Bounds, Claim, Experiment, Measurements, Question, Text, Topic

# The arms.
NONE, SINUSOIDAL, LEARNED = Text("none", "无"), Text("sinusoidal", "正弦"), Text("learned", "可学习")
SHAW, DEEP = Text("Shaw", "Shaw"), Text("Shaw, two layers", "Shaw，两层")
T5, ROTARY, ALIBI = Text("T5", "T5"), Text("rotary", "旋转"), Text("ALiBi", "ALiBi")
MIXED = Text("sinusoidal + Shaw", "正弦 + Shaw")
OFFSETS, BOTH = (SHAW, T5, ROTARY, ALIBI), (ShawKeysSpec(), ShawValuesSpec())
SCHEMES: dict[Text, tuple[PositionSpec, ...]] = {
    NONE: (),
    SINUSOIDAL: (SinusoidalSpec(),),
    LEARNED: (LearnedSpec(longest=32),),
    SHAW: BOTH,
    T5: (T5Spec(),),
    ROTARY: (RotarySpec(),),
    ALIBI: (AlibiSpec(),),
    MIXED: (SinusoidalSpec(), *BOTH),
    DEEP: BOTH,
}

# What is measured besides the three tasks, of which the odd token is the control: its place is nothing.
LINES = Text("lines of code", "代码行数")
FILES = tuple(module.__name__ for module in (absolute, rotary, alibi, t5, shaw))


class PositionSchemes(Experiment):
    """One attention layer for every scheme, taught on 8 to 32 tokens and tested on more."""

    schemes: dict[Text, tuple[PositionSpec, ...]] = SCHEMES
    """The schemes of every arm."""
    lengths: tuple[int, ...] = (32, 64, 128)
    """Tokens of the sentences in the tests."""
    training: ToyTraining = ToyTraining(steps=500, test_every=500, rate=5e-3)
    """Training of each model."""

    @override
    def measure(self, seed: int) -> Measurements:
        measured = Measurements()
        for arm, schemes in self.schemes.items():
            torch.manual_seed(seed)
            model = OrderReader(schemes, layers=2 if arm == DEEP else 1)
            log = self.training.run(model, sentences, seed)
            measured.update(training_cost(arm, model, log))
            measured[TRAINING_COST, arm, LINES] = lines_of_code(schemes)
            for length in self.lengths:
                tests = draw_sentences(Generator().manual_seed(seed), 128, length)
                for task, percent in zip(TOY_TASKS, right_by_task(model, tests), strict=True):
                    measured[task, arm, length] = percent
        return measured


def lines_of_code(schemes: tuple[PositionSpec, ...]) -> int:
    """Lines of specs and modules, with the bases of their own but not those of all schemes."""
    shape = AttentionShape(d_model=64, heads=4, dim=16)
    built = [part for scheme in schemes for part in (scheme, scheme.build(shape))]
    parts = {part for each in built for part in type(each).__mro__ if part.__module__ in FILES}
    return sum(len(inspect.getsource(part).splitlines()) for part in parts)


CLAIMS = (
    Claim(
        "collapse",
        Text(
            "learned: points lost on position 5, from 32 to 64 tokens",
            "可学习：位置 5 任务从 32 到 64 个词元损失的百分点",
        ),
        lambda measured: measured[ABSOLUTE, LEARNED, 32] - measured[ABSOLUTE, LEARNED, 64],
        expected=Bounds(low=30.0),
        tolerated=Bounds(low=10.0),
    ),
    Claim(
        "extrapolates",
        Text("3 back, 64 tokens: best relative scheme (%)", "往前第 3 个，64 个词元：最好的相对方案（%）"),
        lambda measured: max(measured[RELATIVE, arm, 64] for arm in OFFSETS),
        expected=Bounds(low=90.0),
        tolerated=Bounds(low=90.0),
    ),
    Claim(
        "absolute",
        Text(
            "position 5, 32 tokens: worst absolute or mixed scheme (%)",
            "位置 5，32 个词元：最差的绝对或混合方案（%）",
        ),
        lambda measured: min(measured[ABSOLUTE, arm, 32] for arm in (SINUSOIDAL, LEARNED, MIXED)),
        expected=Bounds(low=90.0),
    ),
    Claim(
        "others",
        Text(
            "position 5, 32 tokens: best other scheme in one layer (%)",
            "位置 5，32 个词元：一层中最好的其他方案（%）",
        ),
        lambda measured: max(measured[ABSOLUTE, arm, 32] for arm in (NONE, *OFFSETS)),
        expected=Bounds(high=50.0),
    ),
    Claim(
        "deep",
        Text("position 5, 32 tokens: Shaw in two layers (%)", "位置 5，32 个词元：两层的 Shaw（%）"),
        lambda measured: measured[ABSOLUTE, DEEP, 32],
        expected=Bounds(low=90.0),
    ),
    Claim(
        "odd",
        Text("odd token, 32 tokens: worst scheme (%)", "异类词元，32 个词元：最差的方案（%）"),
        lambda measured: min(
            value for (figure, _, at), value in measured.items() if (figure, at) == (BAG, 32)
        ),
        expected=Bounds(low=90.0),
        control=True,
    ),
)

QUESTION = Question(
    number=20,
    title=Text("Which other positional encodings are there?", "还有哪些位置编码？"),
    topic=Topic(
        "senior", "positions", related=(10,), words="rotary RoPE ALiBi Shaw T5 relative 相对 旋转 位置编码"
    ),
    claims=CLAIMS,
    figures=(RELATIVE, ABSOLUTE, BAG, TRAINING_COST),
    experiment=PositionSchemes(),
)
