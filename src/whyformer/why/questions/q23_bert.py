"""Q23, merits and defects of BERT (BERT 的优缺点): labels it saves, pairs it breaks, tokens it wastes."""

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

from whyformer.why import arms
from whyformer.why.lab.toys import text
from whyformer.why.lab.training import RIGHT, TRAINING_COST, ToyTraining, training_cost
from whyformer.why.question import Bounds, Claim, Experiment, Figure, Level, Question, Text, Topic
from whyformer.why.question import Measurements as Numbers

SCRATCH = Text("from scratch", "从零训练")
HALF = Level(50.0, Text("chance", "随机猜测"))
EIGHTH = Level(100.0 / text.SYMBOLS, HALF.name)
CLASS, COUNT = Text("Class of a text, by few labels", "少量标注的文本分类"), Text("labels", "标注数")
LABELS = Figure(CLASS, COUNT, RIGHT, "line", "x", levels=(HALF,))
APART, IN_TURN = Text("both at once", "同时填两个"), Text("one after the other", "先后填两个")
ALONE = Text("control: one hidden", "对照：只遮一个")
HOW, SHARE = Text("how two holes are filled", "怎样填两个空"), Text("share (%)", "占比（%）")
BROKEN = Figure(Text("Impossible pairs", "不可能的搭配"), HOW, SHARE, "bar")
EARLY = Text("The third token, after few steps", "少量步数后预测第三个词元")
SIGNAL = Figure(EARLY, Text("steps", "步数"), RIGHT, "line", levels=(EIGHTH,))
THIRD = 2


class MeritsAndDefects(Experiment):
    """BERT on texts of triples: fine-tuned by few labels, filling two holes, and beside GPT."""

    rates: tuple[float, ...] = (2e-3, 5e-3, 1e-2)
    """Learning rates; each arm is shown by its best."""
    training: ToyTraining = ToyTraining(steps=400, batch=96, test_every=400)
    """Pretraining of BERT."""
    labels: tuple[int, ...] = (20, 100, 500)
    """Texts with a label."""
    tuning_steps: int = 80
    """Updates by these."""
    early: tuple[int, ...] = (50, 100, 200)
    """Steps after which BERT and GPT are compared."""

    @override
    def measure(self, seed: int) -> Numbers:
        measured = Numbers()
        bert, log, _ = self.training.best_of(self.rates, text.ToyBERT, text.ToyBERT.draw, seed)
        assert isinstance(bert, text.ToyBERT)
        measured.update(training_cost(arms.BERT, bert, log))
        broken_pairs = text.impossible_pairs(bert, Generator().manual_seed(seed + 77))
        for way, broken in zip((APART, IN_TURN, ALONE), broken_pairs, strict=True):
            measured[BROKEN, arms.BERT, way] = broken
        for count in self.labels:
            for arm, first in ((arms.BERT, bert), (SCRATCH, None)):
                tried = [tuned(first, count, rate, self.tuning_steps, seed) for rate in self.rates]
                measured[LABELS, arm, count] = max(tried)
        texts = text.triples(Generator().manual_seed(seed + 78), 2048)
        for arm, family in ((arms.BERT, text.ToyBERT), (arms.GPT, text.ToyGPT)):
            for steps in self.early:
                few = self.training.model_copy(update={"steps": steps, "test_every": steps})
                model = few.best_of(self.rates, family, family.draw, seed).model
                assert isinstance(model, text.ToyFamily)
                measured[SIGNAL, arm, steps] = third_right(model, texts)
        return measured


def tuned(first: text.ToyBERT | None, count: int, rate: float, steps: int, seed: int) -> float:
    """Percent right on fresh texts after ``steps`` on ``count`` labelled ones, of ``first`` or a new model.

    The class of a text is whether the token hidden amid its first triple is one of the upper four.
    """
    torch.manual_seed(seed)
    model, output = text.ToyBERT(), nn.Linear(48, 2)
    if first is not None:
        model.load_state_dict(first.state_dict())
    random = Generator().manual_seed(seed + 79)
    texts, fresh = text.triples(random, count), text.triples(random, 2048)
    optimizer = torch.optim.Adam([*model.parameters(), *output.parameters()], lr=rate, fused=True)
    for _ in range(steps):
        some = texts[torch.randint(count, (32,), generator=random)]
        optimizer.zero_grad()
        F.cross_entropy(output(model.states(some, text.JOINT_AT)), _class(some)).backward()
        optimizer.step()
    with torch.no_grad():
        right = output(model.states(fresh, text.JOINT_AT)).argmax(dim=1) == _class(fresh)
    return 100.0 * float(right.double().mean())


def _class(texts: Tensor) -> Tensor:
    return (texts[:, text.JOINT_AT] >= text.SYMBOLS // 2).long()


@torch.no_grad()
def third_right(model: text.ToyFamily, texts: Tensor) -> float:
    """Percent right on the last token of the first triple, which those before it decide."""
    hidden = texts.masked_fill(torch.arange(text.TRIPLE_LENGTH) == THIRD, text.SYMBOLS)
    scores = model(hidden)[:, :, THIRD]
    return 100.0 * float((scores.argmax(dim=1) == texts[:, THIRD]).double().mean())


CLAIMS = (
    Claim(
        "labels",
        Text("100 labels: points that pretraining adds", "100 条标注：预训练提高的百分点"),
        lambda m: m[LABELS, arms.BERT, 100] - m[LABELS, SCRATCH, 100],
        expected=Bounds(low=5.0),
        tolerated=Bounds(low=0.0),
    ),
    Claim(
        "apart",
        Text("two holes filled at once: impossible pairs (%)", "同时填两个：不可能的搭配（%）"),
        lambda m: m[BROKEN, arms.BERT, APART],
        expected=Bounds(77.5, 97.5),
        tolerated=Bounds(low=10.0),
    ),
    Claim(
        "in_turn",
        Text("one after the other: impossible pairs (%)", "先后填两个：不可能的搭配（%）"),
        lambda m: m[BROKEN, arms.BERT, IN_TURN],
        expected=Bounds(high=5.0),
    ),
    Claim(
        "signal",
        Text("third token after 100 steps: points that GPT is ahead", "第三个词元，100 步：GPT 领先的百分点"),
        lambda m: m[SIGNAL, arms.GPT, 100] - m[SIGNAL, arms.BERT, 100],
        expected=Bounds(low=10.0),
        tolerated=Bounds(low=0.0),
    ),
    Claim(
        "alone",
        Text("one hole: impossible pairs (%)", "只遮一个：不可能的搭配（%）"),
        lambda m: m[BROKEN, arms.BERT, ALONE],
        expected=Bounds(high=5.0),
        tolerated=Bounds(high=5.0),
        control=True,
    ),
)

QUESTION = Question(
    number=23,
    title=Text("What are BERT's merits and defects?", "BERT 有哪些优缺点？"),
    topic=Topic("senior", "families", related=(16, 21, 22), words="BERT fine-tuning 微调 预训练 优缺点"),
    claims=CLAIMS,
    figures=(BROKEN, LABELS, SIGNAL, TRAINING_COST),
    experiment=MeritsAndDefects(),
    numbers={"tuned": lambda m: m[LABELS, arms.BERT, 100], "scratch": lambda m: m[LABELS, SCRATCH, 100]},
)
