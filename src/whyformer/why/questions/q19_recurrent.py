"""Q19, what a Transformer has over an RNN (相比 RNN/LSTM 的优势): recall at a distance, and its cost."""

from collections.abc import Callable
from functools import partial

from pydantic import Field
from torch import nn
from typing_extensions import override

from whyformer.attention.mask import Causal
from whyformer.nn.recurrent.cells import GRUSpec, LSTMSpec
from whyformer.position.absolute import SinusoidalSpec
from whyformer.why.arms import GRU, LSTM, TRANSFORMER
from whyformer.why.lab.cost import milliseconds, one_more_state, one_more_token, one_update
from whyformer.why.lab.toys.reader import LastReader, RecurrentReader, small_network, small_stack
from whyformer.why.lab.toys.retrieval import RECALLED, recall
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

ATTENTIVE = Text("LSTM + attention", "LSTM + 注意力")
LONGER = Text("LSTM, more steps", "LSTM（更多步）")
CHANCE = Level(100.0 / RECALLED, Text("chance", "随机水平"))
DELAY, TOKENS, MS = Text("delay", "间隔"), Text("tokens", "词元数"), Text("ms", "毫秒")
RECALL = Figure(Text("Recall after a delay", "间隔之后的回忆"), DELAY, RIGHT, "line", "x", levels=(CHANCE,))
PER_TOKEN = Figure(Text("One more token", "多生成一个词元"), TOKENS, MS, "line", "xy")
PER_STEP = Figure(Text("One update, 16 sentences", "一次更新（16 句）"), TOKENS, MS, "line", "xy")
LAYER = small_stack(1, positions=(SinusoidalSpec(),), mask=Causal(), feed_forward=small_network(64))
recurrent_reader = partial(RecurrentReader, 2 * RECALLED + 1, RECALLED)
# Their widths give equal parameters.
MODELS: dict[Text, Callable[[], nn.Module]] = {
    TRANSFORMER: partial(LastReader, 2 * RECALLED + 1, RECALLED, LAYER, 32),
    LSTM: partial(recurrent_reader, LSTMSpec(), 32, attention=False),
    GRU: partial(recurrent_reader, GRUSpec(), 37, attention=False),
    ATTENTIVE: partial(recurrent_reader, LSTMSpec(), 26, attention=True),
}


class RecurrentOrAttention(Experiment):
    """Models with equal parameters that name the first symbol of a sentence after others have passed."""

    models: dict[Text, Callable[[], nn.Module]] = MODELS
    """The model of every arm."""
    delays: tuple[int, ...] = (1, 8, 32, 128)
    """Symbols between the first one and the question."""
    rates: tuple[float, ...] = (3e-3, 1e-2, 3e-2)
    """Learning rates, of which the best counts."""
    training: ToyTraining = ToyTraining(steps=160, batch=16, test_every=20, test_examples=64)
    """Training of each model."""
    patience: int = Field(default=5, ge=1)
    """Times as many steps that an LSTM gets for the longest delay."""
    tokens: tuple[int, ...] = (32, 256, 2048)
    """Tokens already generated, by which the time of one more is measured."""
    lengths: tuple[int, ...] = (32, 128, 256)
    """Tokens of a sentence, by which the time of an update is measured."""

    @override
    def measure(self, seed: int) -> Measurements:
        measured = Measurements()
        longest, longer = max(self.delays), self.training.with_budget(self.patience)
        runs = [(arm, delay, self.training) for delay in self.delays for arm in self.models]
        for arm, delay, training in (*runs, (LONGER, longest, longer)):
            build = self.models[LSTM if arm == LONGER else arm]
            best = training.best_of(self.rates, build, recall(delay), seed, enough=99.0)
            measured.update(training_cost(arm, best.model, best.log))
            at = (TRAINING_COST, arm, RIGHT) if arm == LONGER else (RECALL, arm, delay)
            measured[at] = best.log.final
        for length in self.tokens:
            for arm, work in ((TRANSFORMER, one_more_token(length)), (LSTM, one_more_state(length))):
                measured[PER_TOKEN, arm, length] = milliseconds({arm: work}, turns=40)[arm]
        for length in self.lengths:
            works = {arm: one_update(build(), length) for arm, build in self.models.items()}
            measured.update({(PER_STEP, arm, length): ms for arm, ms in milliseconds(works, turns=4).items()})
        return measured


def growth_with_length(measured: Measurements, figure: Figure, arm: Text) -> float:
    """Time of the most tokens over that of the fewest."""
    line = measured.line(figure, arm)
    return line[max(line)] / line[min(line)]


CLAIMS = (
    Claim(
        "lead",
        Text(
            "recall after 128 at equal steps: Transformer - LSTM (points)",
            "间隔 128、步数相同：Transformer - LSTM（百分点）",
        ),
        lambda measured: measured[RECALL, TRANSFORMER, 128] - measured[RECALL, LSTM, 128],
        expected=Bounds(low=20.0),
        tolerated=Bounds(low=5.0),
    ),
    Claim(
        "patience",
        Text("the same, LSTM with five times the steps", "同上，LSTM 训练五倍步数"),
        lambda measured: measured[RECALL, TRANSFORMER, 128] - measured[TRAINING_COST, LONGER, RIGHT],
        expected=Bounds(low=20.0),
    ),
    Claim(
        "attentive",
        Text("recall after 128: LSTM + attention - LSTM", "间隔 128：LSTM + 注意力 - LSTM"),
        lambda measured: measured[RECALL, ATTENTIVE, 128] - measured[RECALL, LSTM, 128],
        expected=Bounds(low=20.0),
    ),
    Claim(
        "flat",
        Text("LSTM: time of a token after 2048 / after 32", "LSTM：已有 2048 与 32 个词元时的耗时之比"),
        lambda measured: growth_with_length(measured, PER_TOKEN, LSTM),
        expected=Bounds(0.7, 1.4),
    ),
    Claim(
        "rising",
        Text("Transformer: time of a token after 2048 / after 32", "Transformer：同样的耗时之比"),
        lambda measured: growth_with_length(measured, PER_TOKEN, TRANSFORMER),
        expected=Bounds(low=2.0),
        tolerated=Bounds(low=1.2),
    ),
    Claim(
        "near",
        Text("recall after 1: worst model (%)", "间隔 1：最差的模型（%）"),
        lambda measured: min(measured[RECALL, arm, 1] for arm in MODELS),
        expected=Bounds(low=95.0),
        control=True,
    ),
)

QUESTION = Question(
    number=19,
    title=Text("What does a Transformer have over an RNN or LSTM?", "Transformer 相比 RNN/LSTM 有什么优势？"),
    topic=Topic("middle", "families", related=(4, 30, 18), words="RNN LSTM GRU recurrent 循环神经网络"),
    claims=CLAIMS,
    figures=(RECALL, PER_TOKEN, PER_STEP, TRAINING_COST),
    experiment=RecurrentOrAttention(),
    numbers={
        "lstm": lambda measured: measured[RECALL, LSTM, 128],
        "update": lambda measured: measured[PER_STEP, TRANSFORMER, 256] / measured[PER_STEP, LSTM, 256],
        "token": lambda measured: measured[PER_TOKEN, TRANSFORMER, 2048] / measured[PER_TOKEN, LSTM, 2048],
    },
)
