"""Q27, why multiply embeddings by √d (词向量为何乘 √d): what it does to tokens, positions and learning."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Generator, nn
from typing_extensions import override

from whyformer.why.lab.positions import CONTENT_WORDS, FIRST_WORD, SENTENCE, WordReader, toy_embedding
from whyformer.why.lab.toys.order import repetition, reversal
from whyformer.why.lab.training import RIGHT, STEPS, TRAINING_COST, ToyTraining, training_cost
from whyformer.why.question import Bounds, Claim, Experiment, Figure, Measurements, Question, Text, Topic

SCALED, PLAIN = Text("× √d", "乘 √d"), Text("not scaled", "不乘")
ORDER, NORMAL = (
    Text("write it backwards", "倒序写出"),
    Text("the same, N(0,1), untied", "倒序写出，N(0,1)，不共享"),
)
CONTENT, NO_PLACES = (
    Text("which word is there twice?", "哪个词出现两次？"),
    Text("the same, no positions", "哪个词出现两次，无位置编码"),
)
TASK, TOKENS = Text("task", "任务"), Text("tokens' share (%)", "词元的占比（%）")
EFFORT = Figure(Text("Steps to 95 %", "达到 95 % 的步数"), TASK, STEPS, "bar")
SUCCESS = Figure(Text("Right after all steps", "训练结束时的正确率"), TASK, RIGHT, "bar")
SHARE = Figure(
    Text("Energy of embedding + position", "词向量 + 位置编码的能量"), Text("when", "何时"), TOKENS, "bar"
)
BEFORE, AFTER = Text("before training", "训练前"), Text("after it, backwards", "训练后（倒序写出）")
SPREAD = Figure(
    Text("First attention scores", "第一层的注意力分数"),
    Text("when", "何时"),
    Text("standard deviation", "标准差"),
)


class Embedding(Experiment):
    """A task of order and one of content, with embeddings multiplied by √d or not."""

    scaled: bool = True
    """Whether the arm that scales does so."""
    training: ToyTraining = ToyTraining(steps=300, test_every=10, test_examples=128)
    """Training of each model by each rate; backwards it ends at 95 % right."""
    rates: tuple[float, ...] = (2e-3, 5e-3, 1e-2)
    """Learning rates, of which each arm shows its best."""

    @override
    def measure(self, seed: int) -> Measurements:
        measured = Measurements()
        for arm, scale in ((SCALED, self.scaled), (PLAIN, False)):
            for task, normal in ((ORDER, False), (NORMAL, True)):
                build = partial(WordReader, toy_embedding(scale=scale, normal=normal), positions=True)
                draw = reversal(CONTENT_WORDS, SENTENCE, FIRST_WORD)
                model, log, _ = self.training.best_of(self.rates, build, draw, seed, enough=95.0)
                measured[EFFORT, arm, task] = log.steps
                if task == ORDER:
                    measured.update(training_cost(arm, model, log))
                    self._look(arm, build, model, seed, measured)
            for task, positions in ((CONTENT, True), (NO_PLACES, False)):
                build = partial(WordReader, toy_embedding(scale=scale), positions=positions)
                draw = repetition(CONTENT_WORDS, SENTENCE, FIRST_WORD)
                measured[SUCCESS, arm, task] = self.training.best_of(self.rates, build, draw, seed).log.final
        return measured

    def _look(
        self,
        arm: Text,
        build: Callable[[], WordReader],
        trained: nn.Module,
        seed: int,
        measured: Measurements,
    ) -> None:
        tokens = reversal(CONTENT_WORDS, SENTENCE, FIRST_WORD)(Generator().manual_seed(seed), 64).sentences
        torch.manual_seed(seed)
        fresh = build()
        assert isinstance(trained, WordReader)
        for when, model in ((BEFORE, fresh), (AFTER, trained)):
            measured[SHARE, arm, when], measured[SPREAD, arm, when] = (
                model.share(tokens),
                model.spread(tokens),
            )


CLAIMS = (
    Claim(
        "with_scale",
        Text("tokens' share of the energy, × √d (%)", "词元占的能量，乘 √d（%）"),
        lambda seen: seen[SHARE, SCALED, BEFORE],
        Bounds(60.0, 73.0),
        Bounds(60.0, 73.0),
    ),
    Claim(
        "without",
        Text("tokens' share of the energy, not scaled (%)", "词元占的能量，不乘（%）"),
        lambda seen: seen[SHARE, PLAIN, BEFORE],
        Bounds(2.0, 5.0),
        Bounds(2.0, 5.0),
    ),
    Claim(
        "order",
        Text("backwards: steps, not scaled / scaled", "倒序写出：步数，不乘 / 乘"),
        lambda seen: seen[EFFORT, PLAIN, ORDER] / seen[EFFORT, SCALED, ORDER],
        Bounds(low=1.3),
        Bounds(low=1.05),
    ),
    Claim(
        "content",
        Text("which word twice: points gained by × √d", "哪个词出现两次：乘 √d 提高的百分点"),
        lambda seen: seen[SUCCESS, SCALED, CONTENT] - seen[SUCCESS, PLAIN, CONTENT],
        Bounds(low=5.0),
    ),
    Claim(
        "normal",
        Text("N(0,1): steps, not scaled / scaled", "N(0,1)：步数，不乘 / 乘"),
        lambda seen: seen[EFFORT, PLAIN, NORMAL] / seen[EFFORT, SCALED, NORMAL],
        Bounds(high=1.05),
    ),
    Claim(
        "softmax",
        Text("spread of the first scores: not scaled / scaled", "第一层分数的标准差：不乘 / 乘"),
        lambda seen: seen[SPREAD, PLAIN, BEFORE] / seen[SPREAD, SCALED, BEFORE],
        Bounds(0.5, 2.0),
    ),
    Claim(
        "nowhere",
        Text("which word twice, no positions: points gained by × √d", "无位置编码：乘 √d 提高的百分点"),
        lambda seen: seen[SUCCESS, SCALED, NO_PLACES] - seen[SUCCESS, PLAIN, NO_PLACES],
        Bounds(high=5.0),
        control=True,
    ),
)

QUESTION = Question(
    number=27,
    title=Text("Why multiply embeddings by √d?", "词向量为什么要乘 √d？"),
    topic=Topic("middle", "positions", (10, 3, 20), "embedding scale sqrt 嵌入 词嵌入 缩放 根号 开方"),
    claims=CLAIMS,
    figures=(EFFORT, SUCCESS, SHARE, SPREAD, TRAINING_COST),
    experiment=Embedding(),
    numbers={
        "share_learned": lambda seen: seen[SHARE, PLAIN, AFTER],
        "content_scaled": lambda seen: seen[SUCCESS, SCALED, CONTENT],
        "content_plain": lambda seen: seen[SUCCESS, PLAIN, CONTENT],
    },
)
