"""Q22, ELMo, GPT and BERT (ELMo、GPT、BERT 的区别): what each knows of a token, and who can write."""

from functools import partial

from torch import Generator
from typing_extensions import override

from whyformer.why import arms
from whyformer.why.lab.toys import text
from whyformer.why.lab.training import RIGHT, TRAINING_COST, Examples, ToyTraining, training_cost
from whyformer.why.question import Bounds, Claim, Experiment, Figure, Level, Question, Text, Topic
from whyformer.why.question import Measurements as Numbers

FAMILIES: dict[Text, type[text.ToyFamily]] = {
    arms.BERT: text.ToyBERT, arms.GPT: text.ToyGPT, arms.ELMO: text.ToyELMo
}  # fmt: skip

GUESS = Level(100.0 / text.SYMBOLS, Text("chance", "随机猜测"))
LINEAR = Text("a XOR b, linear read-out", "a XOR b，线性读出")
NETWORK = Text("a XOR b, network", "a XOR b，MLP 读出")
COPY = Text("control: m = a", "对照：m = a")
HOW_READ, PLACES = Text("task", "任务"), Text("token of the text", "文本中的词元")
TOLD = Figure(Text("The token between a and b", "a 与 b 之间的词元"), HOW_READ, RIGHT, "bar", levels=(GUESS,))
TOKENS = tuple(Text(each, each) for each in ("a", "m", "b", "c", "c′", "d"))
DEPENDS, SHARE = Text("What its state depends on", "该词元的状态依赖什么"), Text("share (%)", "占比（%）")
SEEN = Figure(DEPENDS, PLACES, SHARE, "heat")
MEET = Figure(Text("Joint effect of a and b on the state", "a 与 b 对状态的联合影响"), PLACES, SHARE)
FIT = Text("Triples that fit, in texts they write", "生成的文本中合乎规则的三元组")
WRITES = Figure(FIT, HOW_READ, RIGHT, "bar", levels=(GUESS,))
CHOSEN = Text("the likeliest of eight", "八选一")
JOINTLY = Text("a and b", "a 与 b")
WRITTEN = Text("one token at a time", "逐个词元生成")
SCORED = Figure(Text("GPT as a judge of eight whole texts", "GPT 给八个完整文本打分"), HOW_READ, RIGHT)


class Families(Experiment):
    """Three models by their own objectives; then a classifier on their frozen states of one token."""

    rates: tuple[float, ...] = (2e-3, 5e-3, 1e-2)
    """Learning rates of models and classifiers; each is shown by its best."""
    training: ToyTraining = ToyTraining(steps=500, batch=96, test_every=500)
    """Training of each model."""
    reading: ToyTraining = ToyTraining(steps=100, batch=128, test_every=20, test_examples=1024)
    """Training of each classifier."""

    @override
    def measure(self, seed: int) -> Numbers:
        measured = Numbers()
        for arm, family in FAMILIES.items():
            model, log, _ = self.training.best_of(self.rates, family, family.draw, seed)
            assert isinstance(model, text.ToyFamily)
            for place, at, hidden in (
                (LINEAR, text.JOINT_AT, 0),
                (NETWORK, text.JOINT_AT, 128),
                (COPY, text.COPY_AT, 0),
            ):
                read_out = partial(text.ReadOut, model, at, hidden)
                read = self.reading.best_of(self.rates, read_out, partial(asked, at), seed, enough=99.0)
                measured[TOLD, arm, place] = read.log.final
            measured.update(training_cost(arm, model, log))
            random = Generator().manual_seed(seed + 77)
            for place, share in zip(TOKENS, text.dependence(model, text.JOINT_AT, random), strict=True):
                measured[SEEN, arm, place] = share
            measured[MEET, arm, JOINTLY] = text.joint_share(model, random)
            measured[WRITES, arm, WRITTEN] = text.fitting(text.texts_written(model, 2048, random))
            if isinstance(model, text.ToyGPT):
                measured[SCORED, arm, CHOSEN] = text.judged_right(model, random)
        return measured


def asked(at: int, random: Generator, count: int) -> Examples:
    """Texts, and their tokens at ``at``."""
    texts = text.triples(random, count)
    return Examples(texts, texts[:, at])


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
        "judge",
        Text("a XOR b: GPT as a judge of whole texts (%)", "a XOR b：GPT 给完整文本打分（%）"),
        lambda m: m[SCORED, arms.GPT, CHOSEN],
        expected=Bounds(low=90.0),
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
        "gpt_writes": lambda m: m[WRITES, arms.GPT, WRITTEN],
        "bert_writes": lambda m: m[WRITES, arms.BERT, WRITTEN],
    },
)
