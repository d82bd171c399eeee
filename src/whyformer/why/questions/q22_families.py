"""Q22, ELMo, GPT and BERT (ELMo、GPT、BERT 的区别): what each knows of a token, and who can write."""

import torch
from torch import Generator, Tensor
from torch.nn import functional as F
from typing_extensions import override

from whyformer.why import arms
from whyformer.why.lab import text
from whyformer.why.lab.training import RIGHT, TRAINING_COST, Examples, ToyTraining, training_cost
from whyformer.why.question import Bounds, Claim, Experiment, Figure, Level, Question, Text, Topic
from whyformer.why.question import Measurements as Numbers

FAMILIES: dict[Text, type[text.Family]] = {
    arms.BERT: text.ToyBERT, arms.GPT: text.ToyGPT, arms.ELMO: text.ToyELMo
}  # fmt: skip

GUESS = Level(100.0 / text.SYMBOLS, Text("chance", "随机猜测"))
LINEAR, NETWORK = (
    Text("a XOR b, linear read-out", "a XOR b，线性读出"),
    Text("a XOR b, network", "a XOR b，MLP 读出"),
)
COPY = Text("control: m = a", "对照：m = a")
HOW_READ, PLACES = Text("task", "任务"), Text("token of the text", "文本中的词元")
TOLD = Figure(Text("The token between a and b", "a 与 b 之间的词元"), HOW_READ, RIGHT, "bar", levels=(GUESS,))
SEEN = Figure(
    Text("What the token's state depends on", "该词元的状态依赖什么"),
    PLACES,
    Text("share (%)", "占比（%）"),
    "heat",
)
MEET = Figure(
    Text("Joint effect of a and b on the state", "a 与 b 对状态的联合影响"),
    PLACES,
    Text("share (%)", "占比（%）"),
)
WRITES = Figure(
    Text("Triples that fit, in texts they write", "生成的文本中合乎规则的三元组"),
    HOW_READ,
    RIGHT,
    "bar",
    levels=(GUESS,),
)
JOINTLY = Text("a and b", "a 与 b")
WRITTEN = Text("one token at a time", "逐个词元生成")
SCORED = Figure(Text("GPT as a judge of eight whole texts", "GPT 给八个完整文本打分"), HOW_READ, RIGHT)


class Families(Experiment):
    """Three models by their own objectives; then a classifier on their frozen states of one token."""

    rates: tuple[float, ...] = (2e-3, 5e-3, 1e-2)
    """Learning rates of models and classifiers; each is shown by its best."""
    training: ToyTraining = ToyTraining(steps=400, batch=128, test_every=400)
    """Training of each model."""
    reading: ToyTraining = ToyTraining(steps=200, batch=128, test_every=200, test_examples=1024)
    """Training of each classifier."""

    @override
    def measure(self, seed: int) -> Numbers:
        measured = Numbers()
        for arm, family in FAMILIES.items():
            for joint in (True, False):

                def lesson(
                    random: Generator, count: int, joint: bool = joint, family: type[text.Family] = family
                ) -> Examples:
                    return family.lesson(text.triples(random, count, joint), random)

                def asked(random: Generator, count: int, joint: bool = joint) -> Examples:
                    texts = text.triples(random, count, joint)
                    return Examples(texts, texts[:, text.ASKED])

                model, log, _ = self.training.best_of(self.rates, family, lesson, seed)
                assert isinstance(model, text.Family)
                for hidden, place in ((0, LINEAR), (128, NETWORK)) if joint else ((0, COPY),):
                    read = self.reading.best_of(
                        self.rates, lambda m=model, h=hidden: text.ReadOut(m, h), asked, seed
                    )
                    measured[TOLD, arm, place] = read.log.final
                if joint:
                    measured.update(training_cost(arm, model, log))
                    measured.update(inspected(arm, model, Generator().manual_seed(seed + 77)))
        return measured


@torch.no_grad()
def inspected(arm: Text, model: text.Family, random: Generator) -> Numbers:
    """What the states depend on, how far jointly, what the model writes, and, of GPT, how it judges texts."""
    measured, texts = Numbers(), text.triples(random, 256)
    moved = [
        (model.states(texts) - model.states(_with(texts, at, (texts[:, at] + 1) % text.SYMBOLS)))
        .norm(dim=1)
        .mean()
        for at in range(text.TRIPLE_LENGTH)
    ]
    for at, each in enumerate(moved):
        measured[SEEN, arm, _place(at)] = 100.0 * float(each / sum(moved))
    a, b = torch.cartesian_prod(*[torch.arange(text.SYMBOLS)] * 2).T
    grid = texts[:1].expand(len(a), -1).clone()
    grid[:, text.ASKED - 1], grid[:, text.ASKED + 1] = a, b
    # (64,M) -> (8,8,M), by a and by b
    states = model.states(grid).double().unflatten(0, (text.SYMBOLS, text.SYMBOLS))
    centred = states - states.mean(dim=(0, 1))
    joint = centred - centred.mean(dim=0, keepdim=True) - centred.mean(dim=1, keepdim=True)
    measured[MEET, arm, JOINTLY] = 100.0 * float(joint.square().sum() / centred.square().sum())
    wrote = text.written(model, 1024, random).unflatten(1, (text.TRIPLES, 3))
    measured[WRITES, arm, WRITTEN] = 100.0 * float(
        (wrote[..., 0] ^ wrote[..., 2] == wrote[..., 1]).double().mean()
    )
    if isinstance(model, text.ToyGPT):
        every = [_with(texts, text.ASKED, torch.full_like(texts[:, 0], m)) for m in range(text.SYMBOLS)]
        likely = torch.stack(
            [-F.cross_entropy(model(each), each, reduction="none").sum(dim=1) for each in every]
        )
        right = likely.argmax(dim=0) == texts[:, text.ASKED]
        measured[SCORED, arm, LINEAR] = 100.0 * float(right.double().mean())
    return measured


def _place(at: int) -> Text:
    name = ("a", "m", "b")[at % 3]
    return Text(f"{name} of triple {at // 3 + 1}", f"三元组 {at // 3 + 1} 的 {name}")


def _with(texts: Tensor, at: int, token: Tensor) -> Tensor:
    return torch.where(torch.arange(texts.shape[1]) == at, token[:, None], texts)


CLAIMS = (
    Claim(
        "bert",
        Text("a XOR b: BERT (%)", "a XOR b：BERT（%）"),
        lambda m: m[TOLD, arms.BERT, LINEAR],
        expected=Bounds(low=95.0),
        tolerated=Bounds(low=60.0),
    ),
    Claim(
        "gpt",
        Text("a XOR b: points of GPT above chance", "a XOR b：GPT 高出随机的百分点"),
        lambda m: m[TOLD, arms.GPT, LINEAR] - GUESS.at,
        expected=Bounds(-5.0, 5.0),
        tolerated=Bounds(-5.0, 5.0),
    ),
    Claim(
        "elmo",
        Text("a XOR b: ELMo, linear read-out (%)", "a XOR b：ELMo，线性读出（%）"),
        lambda m: m[TOLD, arms.ELMO, LINEAR],
        expected=Bounds(high=50.0),
        tolerated=Bounds(high=60.0),
    ),
    Claim(
        "apart",
        Text(
            "ELMo: share of its state that a and b determine jointly (%)",
            "ELMo：状态中由 a 与 b 联合决定的部分（%）",
        ),
        lambda m: m[MEET, arms.ELMO, JOINTLY],
        expected=Bounds(high=1e-6),
        tolerated=Bounds(high=1e-6),
    ),
    Claim(
        "writes",
        Text("texts they write: points that GPT is ahead of BERT", "生成的文本：GPT 领先 BERT 的百分点"),
        lambda m: m[WRITES, arms.GPT, WRITTEN] - m[WRITES, arms.BERT, WRITTEN],
        expected=Bounds(low=5.0),
        tolerated=Bounds(low=0.0),
    ),
    Claim(
        "copy",
        Text("m = a: worst family (%)", "m = a：最差的一种（%）"),
        lambda m: min(m[TOLD, arm, COPY] for arm in FAMILIES),
        expected=Bounds(low=95.0),
        tolerated=Bounds(low=95.0),
        control=True,
    ),
)

QUESTION = Question(
    number=22,
    title=Text("How do ELMo, GPT and BERT differ?", "ELMo、GPT、BERT 有何区别？"),
    topic=Topic(
        "senior", "families", related=(15, 16, 21, 23), words="ELMo GPT BERT bidirectional 双向 预训练"
    ),
    claims=CLAIMS,
    figures=(TOLD, SEEN, MEET, WRITES, SCORED, TRAINING_COST),
    experiment=Families(),
    numbers={
        "network": lambda m: m[TOLD, arms.ELMO, NETWORK],
        "joint": lambda m: m[MEET, arms.BERT, JOINTLY],
        "judge": lambda m: m[SCORED, arms.GPT, LINEAR],
        "gpt_writes": lambda m: m[WRITES, arms.GPT, WRITTEN],
        "bert_writes": lambda m: m[WRITES, arms.BERT, WRITTEN],
    },
)
