"""Q16, why BERT hides tokens in its input, not in the scores (BERT 为何不屏蔽分数): what leaks, and how."""

import torch
from torch import Generator
from typing_extensions import override

from whyformer.why import arms
from whyformer.why.lab.toys import text
from whyformer.why.lab.training import RIGHT, TRAINING_COST, ToyTraining, percent_right, training_cost
from whyformer.why.question import Bounds, Claim, Experiment, Figure, Level, Question, Text, Topic
from whyformer.why.question import Measurements as Numbers

# The arms; a single layer has no neighbour to pass on what it was told, and is the control.
ONE = Text("own score masked, 1 layer", "屏蔽自身分数，1 层")
TWO = Text("own score masked, 2 layers", "屏蔽自身分数，2 层")
RESIDUAL = Text("own score masked, residual kept", "屏蔽自身分数，保留残差")
TAUGHT: dict[Text, tuple[text.Hiding, int]] = {
    arms.BERT: ("input", 2), arms.GPT: ("causal", 2), TWO: ("scores", 2), ONE: ("scores", 1)
}  # fmt: skip
DEPTHS: dict[Text, text.Hiding] = {
    arms.BERT: "input",
    arms.GPT: "causal",
    TWO: "scores",
    RESIDUAL: "residual",
}

CHANCE_LEVEL = Level(text.CHANCE, Text("chance", "随机猜测"))
HOW, SHOWN = Text("how it is tested", "测试方式"), Text("as in training", "与训练相同")
GONE = Text("its token really replaced", "真正换掉该词元")
CLOZE = Figure(
    Text("Cloze in a mirrored text", "镜像文本上的完形填空"), HOW, RIGHT, "bar",
    levels=(CHANCE_LEVEL, Level(text.best_possible(), Text("best possible", "理论上限"))),
)  # fmt: skip
NOISE = Figure(Text("Cloze in pure noise", "纯噪声上的完形填空"), HOW, RIGHT, "bar", levels=(CHANCE_LEVEL,))
INFLUENCE = Figure(
    Text("A token's influence on its own prediction", "词元对自身预测的影响"),
    Text("layers", "层数"), Text("norm of the gradient", "梯度范数"),
)  # fmt: skip


class WhereToHide(Experiment):
    """The same text to fill, where the token is hidden in the input, by causality, or in the scores."""

    depths: tuple[int, ...] = (1, 2, 4)
    """Layers of the untrained models whose gradients are taken."""
    rates: tuple[float, ...] = (3e-3, 1e-2, 2e-2)
    """Learning rates; each arm is shown by its best."""
    training: ToyTraining = ToyTraining(steps=200, batch=128, test_every=50, test_examples=1024)
    """Training of each model."""

    @override
    def measure(self, seed: int) -> Numbers:
        measured = Numbers()
        for arm, hiding in DEPTHS.items():
            for layers in self.depths:
                torch.manual_seed(seed)
                measured[INFLUENCE, arm, layers] = text.influence(text.ClozeModel(hiding, layers), seed)
        for figure, kept in ((CLOZE, 0.5), (NOISE, 0.0)):
            for arm, (hiding, layers) in TAUGHT.items():
                draw = text.fill_mirrored(text.CLOZE_LENGTH, kept, masked=hiding == "input")
                model, log, _ = self.training.best_of(
                    self.rates, lambda h=hiding, n=layers: text.ClozeModel(h, n), draw, seed, enough=99.0
                )
                random = Generator().manual_seed(seed + 77)
                texts = text.mirrored_text(random, 4096, text.CLOZE_LENGTH, kept)
                other = torch.randint(text.WORDS, texts.shape, generator=random)
                instead = text.MASK_ID if hiding == "input" else other
                measured[figure, arm, SHOWN] = log.final
                measured[figure, arm, GONE] = percent_right(model, text.one_hidden(texts, instead, random))
                if figure == CLOZE:
                    measured.update(training_cost(arm, model, log))
        return measured


NONE_AT_ALL = Bounds(high=1e-9)
CLAIMS = (
    Claim(
        "leak",
        Text("own score masked: least influence in 2 or 4 layers", "屏蔽自身分数：2 层或 4 层时的最小影响"),
        lambda m: min(m[INFLUENCE, TWO, layers] for layers in (2, 4)),
        expected=Bounds(low=1e-3),
        tolerated=Bounds(low=1e-3),
    ),
    Claim(
        "tight",
        Text("[MASK] or causal: most influence at any depth", "[MASK] 或因果掩码：任何层数的最大影响"),
        lambda m: max(m[INFLUENCE, arm, n] for arm in (arms.BERT, arms.GPT) for n in (1, 2, 4)),
        expected=NONE_AT_ALL,
        tolerated=NONE_AT_ALL,
    ),
    Claim(
        "noise",
        Text(
            "pure noise: points above chance in its training, own score masked",
            "纯噪声：屏蔽自身分数时训练正确率高出随机的百分点",
        ),
        lambda m: m[NOISE, TWO, SHOWN] - text.CHANCE,
        expected=Bounds(low=20.0),
        tolerated=Bounds(low=5.0),
    ),
    Claim(
        "cheat",
        Text(
            "mirrored text, token replaced: [MASK] minus own score masked (points)",
            "镜像文本，词元换掉：[MASK] 减屏蔽自身分数（百分点）",
        ),
        lambda m: m[CLOZE, arms.BERT, GONE] - m[CLOZE, TWO, GONE],
        expected=Bounds(low=10.0),
    ),
    Claim(
        "sides",
        Text(
            "mirrored text, token replaced: [MASK] minus causal (points)",
            "镜像文本，词元换掉：[MASK] 减因果掩码（百分点）",
        ),
        lambda m: m[CLOZE, arms.BERT, GONE] - m[CLOZE, arms.GPT, GONE],
        expected=Bounds(low=10.0),
    ),
    Claim(
        "one",
        Text("own score masked, 1 layer: influence", "屏蔽自身分数，1 层：影响"),
        lambda m: m[INFLUENCE, TWO, 1],
        expected=NONE_AT_ALL,
        tolerated=NONE_AT_ALL,
        control=True,
    ),
    Claim(
        "chance",
        Text("pure noise: points above chance, [MASK]", "纯噪声：[MASK] 高出随机的百分点"),
        lambda m: m[NOISE, arms.BERT, SHOWN] - text.CHANCE,
        expected=Bounds(-3.0, 3.0),
        tolerated=Bounds(-3.0, 3.0),
        control=True,
    ),
)

QUESTION = Question(
    number=16,
    title=Text("Why does BERT not mask scores?", "BERT 为何不用屏蔽分数的办法？"),
    topic=Topic("middle", "families", related=(6, 15, 21, 22), words="BERT mask leak score 掩码 泄露 屏蔽"),
    claims=CLAIMS,
    figures=(CLOZE, NOISE, INFLUENCE, TRAINING_COST),
    experiment=WhereToHide(),
)
