"""Q21, BERT's 80/10/10 rule (BERT 的三种 mask): what each of the three ways teaches."""

from functools import partial

from torch import Generator
from typing_extensions import override

from whyformer.data.batches.masking import MaskingSpec
from whyformer.why.lab.toys import text
from whyformer.why.lab.toys.reader import Reader
from whyformer.why.lab.training import RIGHT, TRAINING_COST, ToyTraining, percent_right, training_cost
from whyformer.why.question import Bounds, Claim, Experiment, Figure, Level, Question, Text, Topic
from whyformer.why.question import Measurements as Numbers

# The arms: percent of the chosen tokens that are read as [MASK], as a random token, and as they are.
MASK_ONLY, BERTS = Text("100/0/0", "100/0/0"), Text("80/10/10 (BERT)", "80/10/10（BERT）")
NO_KEEPING, NO_CHANGE = Text("80/20/0", "80/20/0"), Text("0/0/100", "0/0/100")
RULES = {
    MASK_ONLY: MaskingSpec(mask=1.0, random=0.0),
    BERTS: MaskingSpec(),
    NO_KEEPING: MaskingSpec(mask=0.8, random=0.2),
    NO_CHANGE: MaskingSpec(mask=0.0, random=0.0),
}

GUESS = Level(text.CHANCE, Text("chance", "随机猜测"))
BEST = Level(text.best_possible(), Text("best from context", "仅凭上下文的上限"))
READ, FINDS = Text("what is read in its place", "该位置实际读到的内容"), Text("what it finds", "分类目标")
AS_MASK, AS_OTHER = Text("[MASK]", "[MASK]"), Text("a random token", "随机词元")
AS_IS = Text("the token itself", "原词元")
NAMED = Text("True token named by the output layer", "输出层说出真实词元")
TOLD = Figure(NAMED, READ, RIGHT, "bar", levels=(GUESS, BEST))
FEATURES = Figure(
    Text("Classifier of visible tokens", "对可见词元的分类"), FINDS, RIGHT, "bar", levels=(GUESS,)
)
OWN, TUNED = Text("own token, frozen", "自身词元，冻结"), Text("own token, fine-tuned", "自身词元，微调")
MIRROR = Text("mirror image, frozen", "镜像词元，冻结")
MOVED = Text("Shift of a state by a [MASK] elsewhere", "别处的 [MASK] 使状态改变多少")
SHIFT = Figure(MOVED, FINDS, Text("distance", "距离"))
COSINE = Text("1 - cosine", "1 - 余弦")


class ThreeWays(Experiment):
    """Encoders of mirrored texts by four rules; then classifiers of tokens that are not masked."""

    rules: dict[Text, MaskingSpec] = RULES
    """Masking of every arm."""
    rates: tuple[float, ...] = (5e-3, 1e-2, 2e-2)
    """Learning rates of models and classifiers; each is shown by its best."""
    training: ToyTraining = ToyTraining(steps=200, batch=128, test_every=200)
    """Training of each model."""
    reading: ToyTraining = ToyTraining(steps=100, batch=64, test_every=20, test_examples=1024)
    """Training of each classifier."""

    @override
    def measure(self, seed: int) -> Numbers:
        measured = Numbers()
        for arm, rule in self.rules.items():
            draw = text.chosen_by(rule)
            model, log, _ = self.training.best_of(self.rates, text.cloze_encoder, draw, seed)
            assert isinstance(model, Reader)
            measured.update(training_cost(arm, model, log))
            for place, (mask, other) in {
                AS_MASK: (1.0, 0.0),
                AS_OTHER: (0.0, 1.0),
                AS_IS: (0.0, 0.0),
            }.items():
                test = text.chosen_by(MaskingSpec(mask=mask, random=other))
                asked = test(Generator().manual_seed(seed + 77), 4096)
                measured[TOLD, arm, place] = percent_right(model, asked)
            measured[SHIFT, arm, COSINE] = text.state_shift(model, seed)
            for place, frozen in ((OWN, True), (TUNED, False), (MIRROR, True)):
                tagger, tags = partial(text.TokenTagger, model, frozen), text.token_tags(place is MIRROR)
                tuned = self.reading.best_of(self.rates, tagger, tags, seed, enough=99.9)
                measured[FEATURES, arm, place] = tuned.log.final
        return measured


CLAIMS = (
    Claim(
        "frozen",
        Text(
            "frozen states: points that 80/10/10 is ahead of 100/0/0",
            "冻结特征：80/10/10 领先 100/0/0 的百分点",
        ),
        lambda m: m[FEATURES, BERTS, OWN] - m[FEATURES, MASK_ONLY, OWN],
        expected=Bounds(low=1.0),
        tolerated=Bounds(low=0.3),
    ),
    Claim(
        "tuned",
        Text("the same after fine-tuning", "微调之后同样的差距"),
        lambda m: m[FEATURES, BERTS, TUNED] - m[FEATURES, MASK_ONLY, TUNED],
        expected=Bounds(-1.0, 1.0),
    ),
    Claim(
        "trust",
        Text(
            "token read as it is: points that 80/10/10 is ahead of 80/20/0",
            "读到原词元：80/10/10 领先 80/20/0 的百分点",
        ),
        lambda m: m[TOLD, BERTS, AS_IS] - m[TOLD, NO_KEEPING, AS_IS],
        expected=Bounds(low=5.0),
    ),
    Claim(
        "doubt",
        Text(
            "random token read: points that 80/10/10 is ahead of 0/0/100",
            "读到随机词元：80/10/10 领先 0/0/100 的百分点",
        ),
        lambda m: m[TOLD, BERTS, AS_OTHER] - m[TOLD, NO_CHANGE, AS_OTHER],
        expected=Bounds(low=5.0),
    ),
    Claim(
        "masked",
        Text(
            "[MASK] read: points that 80/10/10 is ahead of 100/0/0",
            "读到 [MASK]：80/10/10 领先 100/0/0 的百分点",
        ),
        lambda m: m[TOLD, BERTS, AS_MASK] - m[TOLD, MASK_ONLY, AS_MASK],
        expected=Bounds(-3.0, 3.0),
        tolerated=Bounds(-3.0, 3.0),
        control=True,
    ),
)

QUESTION = Question(
    number=21,
    title=Text("What are BERT's three ways to treat a chosen token for?", "BERT 的三种 mask 各有什么作用？"),
    topic=Topic("senior", "families", related=(16, 22, 23), words="BERT 80/10/10 mask 掩码 预训练"),
    claims=CLAIMS,
    figures=(TOLD, FEATURES, SHIFT, TRAINING_COST),
    experiment=ThreeWays(),
    numbers={
        "mirror": lambda m: m[FEATURES, MASK_ONLY, MIRROR] - m[FEATURES, BERTS, MIRROR],
        "shift_only": lambda m: m[SHIFT, MASK_ONLY, COSINE],
        "shift_bert": lambda m: m[SHIFT, BERTS, COSINE],
        "copied": lambda m: m[TOLD, NO_CHANGE, AS_MASK],
        "as_is": lambda m: m[TOLD, MASK_ONLY, AS_IS],
        "bert_is": lambda m: m[TOLD, BERTS, AS_IS],
    },
)
