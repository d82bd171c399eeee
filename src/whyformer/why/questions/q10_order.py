"""Q10, the encoding of positions (位置编码): a model without it, with sinusoids, and with a learned table.

B batch · L length · M model dimension
"""

from functools import partial

import torch
from torch import Generator
from typing_extensions import override

from whyformer.attention.mask import Causal, Everything
from whyformer.position.absolute import sinusoids
from whyformer.position.positions import PositionSpec
from whyformer.why.arms import DECODER, ENCODER, LEARNED, NO_POSITION, SINUSOIDAL
from whyformer.why.lab.positions import SCHEMES
from whyformer.why.lab.toys import order
from whyformer.why.lab.toys.order import PairReader, pair_questions, pair_results
from whyformer.why.lab.training import RIGHT, TRAINING_COST, Examples, ToyTraining, training_cost
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

CHOSEN = {arm: SCHEMES[arm] for arm in (NO_POSITION, SINUSOIDAL, LEARNED)}
CHANCE, MASK = (Level(50.0, Text("guessing", "随机猜测")),), Text("mask", "掩码")
ORDER = Figure(Text("Does a stand before b?", "a 是否在 b 之前？"), MASK, RIGHT, "bar", levels=CHANCE)
_LONGER = Text("The same in longer sentences, encoder", "更长的句子，编码器")
_TOKENS = Text("tokens (training: 6 to 12)", "词元数（训练时为 6 至 12）")
FAR = Figure(_LONGER, _TOKENS, RIGHT, "line", "x", levels=CHANCE)
PRESENT = Figure(Text("Control: is there a c?", "对照：句中有没有 c？"), MASK, RIGHT, "bar", levels=CHANCE)
ERROR = Text("largest difference", "最大误差")
SHUFFLED = Figure(Text("Shuffled before − shuffled after", "打乱后再编码 − 编码后再打乱"), MASK, ERROR)
DOTS = Figure(Text("PE(p)·PE(p + k) over all p", "PE(p)·PE(p + k) 随 p 变化"), Text("offset", "偏移"), ERROR)
SAME_OFFSET = Text("k up to 32", "k 至多为 32")


class OrderSense(Experiment):
    """Two layers that learn which of two tokens comes first, with and without positions and a mask."""

    schemes: dict[Text, tuple[PositionSpec, ...]] = CHOSEN
    """The schemes of every arm."""
    training: ToyTraining = ToyTraining(steps=700, test_every=50)
    """Training of each model by each rate; it ends early where nearly all is right at the longest length."""
    rates: tuple[float, ...] = (1e-3, 2e-3, 4e-3)
    """Learning rates, of which each arm shows its best."""

    @override
    def measure(self, seed: int) -> Measurements:
        torch.manual_seed(seed)
        measured = Measurements()
        # A learned table begins as noise, here of the same length as sinusoids.
        tables = {SINUSOIDAL: sinusoids(torch.arange(256), 64), LEARNED: torch.randn(256, 64) * 0.5**0.5}
        for arm, table in tables.items():
            measured[DOTS, arm, SAME_OFFSET] = order.spread_of_dots(table)
        for side, mask in ((ENCODER, Everything()), (DECODER, Causal())):
            for arm, schemes in self.schemes.items():
                torch.manual_seed(seed)
                measured[SHUFFLED, arm, side] = order.shuffling_error(PairReader(schemes, mask))
                build = partial(PairReader, schemes, mask)
                model, log, _ = self.training.best_of(self.rates, build, self._draw, seed, 99.5)
                assert isinstance(model, PairReader)
                name = Text(f"{arm.en}, {side.en}", f"{arm.zh}，{side.zh}")
                measured.update(training_cost(name, model, log))
                measured[ORDER, arm, side], measured[PRESENT, arm, side] = pair_results(model, 12, seed)
                if side == ENCODER:
                    for length in (12, 18, 24, 48):
                        measured[FAR, arm, length] = pair_results(model, length, seed)[0]
        return measured

    def _draw(self, random: Generator, count: int) -> Examples:
        """Batches of any length; a test, which is no batch, of the longest, as short sentences are easier."""
        return pair_questions(6 if count == self.training.batch else 12, 12)(random, count)


CLAIMS = (
    Claim(
        "shuffled",
        Text("none, encoder: shuffled before − after", "无，编码器：先打乱与后打乱之差"),
        lambda seen: seen[SHUFFLED, NO_POSITION, ENCODER],
        Bounds(high=1e-5),
        Bounds(high=1e-5),
    ),
    Claim(
        "blind",
        Text("order, none, encoder (%)", "先后，无，编码器（%）"),
        lambda seen: seen[ORDER, NO_POSITION, ENCODER],
        Bounds(45.0, 55.0),
        Bounds(high=60.0),
    ),
    Claim(
        "causal",
        Text("order, none, decoder (%)", "先后，无，解码器（%）"),
        lambda seen: seen[ORDER, NO_POSITION, DECODER],
        Bounds(low=60.0),
    ),
    Claim(
        "sinusoidal",
        Text("order, sinusoidal, encoder (%)", "先后，正弦，编码器（%）"),
        lambda seen: seen[ORDER, SINUSOIDAL, ENCODER],
        Bounds(low=95.0),
    ),
    Claim(
        "learned",
        Text("order, learned, encoder (%)", "先后，可学习，编码器（%）"),
        lambda seen: seen[ORDER, LEARNED, ENCODER],
        Bounds(low=90.0),
    ),
    Claim(
        "far",
        Text("order, sinusoidal: points lost from 12 to 48 tokens", "先后，正弦：12→48 个词元降低的百分点"),
        lambda seen: seen[FAR, SINUSOIDAL, 12] - seen[FAR, SINUSOIDAL, 48],
        Bounds(low=5.0),
    ),
    Claim(
        "dots",
        Text("sinusoids: change of PE(p)·PE(p + k) with p", "正弦：PE(p)·PE(p + k) 随 p 的变化"),
        lambda seen: seen[DOTS, SINUSOIDAL, SAME_OFFSET],
        Bounds(high=1e-4),
        Bounds(high=1e-4),
    ),
    Claim(
        "present",
        Text("is there a c: worst model (%)", "有没有 c：最差的模型（%）"),
        lambda seen: min(value for (figure, _, _), value in seen.items() if figure == PRESENT),
        Bounds(low=95.0),
        control=True,
    ),
)

QUESTION = Question(
    number=10,
    title=Text("What are positional encodings for, and how good are they?", "位置编码有什么意义和优缺点？"),
    topic=Topic("middle", "positions", (20, 27), "sinusoidal sin cos order permutation 正弦 余弦 顺序 置换"),
    claims=CLAIMS,
    figures=(ORDER, FAR, PRESENT, SHUFFLED, DOTS, TRAINING_COST),
    experiment=OrderSense(),
    numbers={
        "sinusoidal_far": lambda seen: seen[FAR, SINUSOIDAL, 48],
        "noise": lambda seen: seen[DOTS, LEARNED, SAME_OFFSET],
    },
    seeds=range(6, 11),
)
