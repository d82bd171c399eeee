"""Q21, BERT's 80/10/10 rule (BERT 的三种 mask): what each of the three ways teaches."""

from functools import partial

from torch import Generator
from typing_extensions import override

from whyformer.data.batches.masking import MaskingSpec
from whyformer.why.lab.toys import text
from whyformer.why.lab.toys.probing import Probed, best_to_probe, probe
from whyformer.why.lab.toys.reader import Reader
from whyformer.why.lab.training import RIGHT, TRAINING_COST, ToyTraining, percent_right, training_cost
from whyformer.why.question import Bounds, Claim, Experiment, Figure, Level, Place, Question, Text, Topic
from whyformer.why.question import Measurements as Numbers

# The arms: percent of the chosen tokens that are read as [MASK], as a random token, and as they are.
MASK_ONLY, BERTS = (Text("100/0/0", "100/0/0"), Text("80/10/10 (BERT)", "80/10/10（BERT）"))
NO_KEEPING, NO_CHANGE = Text("80/20/0", "80/20/0"), Text("0/0/100", "0/0/100")
RULES = {
    MASK_ONLY: MaskingSpec(mask=1.0, random=0.0),
    BERTS: MaskingSpec(),
    NO_KEEPING: MaskingSpec(mask=0.8, random=0.2),
    NO_CHANGE: MaskingSpec(mask=0.0, random=0.0),
}

GUESS = Level(text.CHANCE, Text("chance", "随机猜测"))
BEST = Level(text.best_possible(), Text("best from context", "仅凭上下文的上限"))
READ, FINDS = (Text("what is read in its place", "该位置实际读到的内容"), Text("what it finds", "分类目标"))
AS_MASK, AS_OTHER = Text("[MASK]", "[MASK]"), Text("a random token", "随机词元")
AS_IS = Text("the token itself", "原词元")
READINGS = {AS_MASK: (1.0, 0.0), AS_OTHER: (0.0, 1.0), AS_IS: (0.0, 0.0)}
NAMED = Text("True token named by the output layer", "输出层说出真实词元")
TOLD = Figure(NAMED, READ, RIGHT, "bar", levels=(GUESS, BEST))
FEATURES = Figure(
    Text("Classifier of visible tokens", "对可见词元的分类"), FINDS, RIGHT, "bar", levels=(GUESS,)
)
OWN, TUNED = (Text("own token, frozen", "自身词元，冻结"), Text("own token, fine-tuned", "自身词元，微调"))
MIRROR = Text("mirror image, frozen", "镜像词元，冻结")
TEXTS = Text("labelled texts", "有标注的文本数")
LABELLED = Figure(Text("Classifier of frozen states", "冻结状态上的分类器"), TEXTS, RIGHT, "line", log="x")
FEW, PLENTY = 16, 1024
STILL = Figure(Text("Gain of the last half of a training", "训练后一半的变化"), Text("", ""), RIGHT)
MODELS, CLASSIFIERS = Text("model", "模型"), Text("classifier", "分类器")
MOVED = Text("Shift of a state by a [MASK] elsewhere", "别处的 [MASK] 使状态改变多少")
SHIFT = Figure(MOVED, FINDS, Text("distance", "距离"))
COSINE = Text("1 - cosine", "1 - 余弦")


def own_token(texts: int, seed: int, model: Reader) -> Probed:
    """Classifier of the token itself by its state."""
    return probe(model, text.WORDS, text.token_tags(False), texts, seed)


class ThreeWays(Experiment):
    """Encoders of mirrored texts by four rules; then classifiers of tokens that are not masked."""

    rules: dict[Text, MaskingSpec] = RULES
    """Masking of every arm."""
    rates: tuple[float, ...] = (5e-3, 1e-2, 2e-2)
    """Learning rates: a model is shown by the one whose frozen states serve best."""
    training: ToyTraining = ToyTraining(steps=400, batch=128, test_every=200, test_examples=4096)
    """Training of each model."""
    tuning: ToyTraining = ToyTraining(steps=100, batch=64, test_every=20, test_examples=1024)
    """Training of each model that is tuned."""
    texts: tuple[int, ...] = (4, 8, FEW, 32, 64, 128, PLENTY)
    """Labelled texts of each classifier of frozen states."""

    @override
    def measure(self, seed: int) -> Numbers:
        measured = Numbers()
        for arm, rule in self.rules.items():
            draw, serves = text.chosen_by(rule), partial(own_token, FEW, seed + 1)
            model, log = best_to_probe(self.training, self.rates, text.cloze_encoder, draw, serves, seed)
            measured.update(training_cost(arm, model, log))
            for place, (mask, other) in READINGS.items():
                test = text.chosen_by(MaskingSpec(mask=mask, random=other))
                asked = test(Generator().manual_seed(seed + 77), 4096)
                measured[TOLD, arm, place] = percent_right(model, asked)
            measured[SHIFT, arm, COSINE] = text.state_shift(model, seed)
            own = {texts: own_token(texts, seed, model) for texts in self.texts}
            measured.update({(LABELLED, arm, n): probed.right for n, probed in own.items()})
            mirror = probe(model, text.WORDS, text.token_tags(True), PLENTY, seed)
            tagger = partial(text.TokenTagger, model, False)
            tuned = self.tuning.best_of(self.rates, tagger, text.token_tags(False), seed, enough=99.9)
            for place, right in ((OWN, own[PLENTY].right), (TUNED, tuned.log.final), (MIRROR, mirror.right)):
                measured[FEATURES, arm, place] = right
            measured[STILL, arm, MODELS] = log.final - log.accuracy[log.steps // 2]
            measured[STILL, arm, CLASSIFIERS] = max(probed.moved for probed in (*own.values(), mirror))
        return measured


def ahead(
    key: str, said: Text, at: tuple[Figure, Place], of: Text, *bounds: Bounds, control: bool = False
) -> Claim:
    """The claim on the points that 80/10/10 is ahead of another arm."""
    ours, other = (at[0], BERTS, at[1]), (at[0], of, at[1])
    return Claim(key, said, lambda measured: measured[ours] - measured[other], *bounds, control=control)


FROZEN = Text(
    "frozen states: points that 80/10/10 is ahead of 100/0/0", "冻结特征：80/10/10 领先 100/0/0 的百分点"
)
BY_FEW = Text("the same by sixteen labelled texts", "只有十六条标注文本时同样的差距")
AS_TUNED = Text("the same after fine-tuning", "微调之后同样的差距")
TRUST = Text(
    "token read as it is: points that 80/10/10 is ahead of 80/20/0",
    "读到原词元：80/10/10 领先 80/20/0 的百分点",
)
DOUBT = Text(
    "random token read: points that 80/10/10 is ahead of 0/0/100",
    "读到随机词元：80/10/10 领先 0/0/100 的百分点",
)
MASKED = Text(
    "[MASK] read: points that 80/10/10 is ahead of 100/0/0", "读到 [MASK]：80/10/10 领先 100/0/0 的百分点"
)
LAST = Text("most that a training's last half still gave (points)", "训练的后一半至多还带来多少（百分点）")
CLAIMS = (
    ahead("frozen", FROZEN, (FEATURES, OWN), MASK_ONLY, Bounds(low=1.0), Bounds(low=0.3)),
    ahead("few", BY_FEW, (LABELLED, FEW), MASK_ONLY, Bounds(low=1.0)),
    ahead("tuned", AS_TUNED, (FEATURES, TUNED), MASK_ONLY, Bounds(-1.0, 1.0)),
    ahead("trust", TRUST, (TOLD, AS_IS), NO_KEEPING, Bounds(low=5.0)),
    ahead("doubt", DOUBT, (TOLD, AS_OTHER), NO_CHANGE, Bounds(low=5.0)),
    ahead("masked", MASKED, (TOLD, AS_MASK), MASK_ONLY, Bounds(-3.0, 3.0), Bounds(-3.0, 3.0), control=True),
    Claim(
        "plateau",
        LAST,
        lambda measured: max(value for (figure, _, _), value in measured.items() if figure == STILL),
        expected=Bounds(high=1.0),
        control=True,
    ),
)

QUESTION = Question(
    number=21,
    title=Text("What are BERT's three ways to treat a chosen token for?", "BERT 的三种 mask 各有什么作用？"),
    topic=Topic("senior", "families", related=(16, 22, 23), words="BERT 80/10/10 mask 掩码 预训练"),
    claims=CLAIMS,
    figures=(TOLD, LABELLED, FEATURES, SHIFT, STILL, TRAINING_COST),
    experiment=ThreeWays(),
    numbers={
        "mirror": lambda m: m[FEATURES, MASK_ONLY, MIRROR] - m[FEATURES, BERTS, MIRROR],
        "shift_only": lambda m: m[SHIFT, MASK_ONLY, COSINE],
        "shift_bert": lambda m: m[SHIFT, BERTS, COSINE],
        "copied": lambda m: m[TOLD, NO_CHANGE, AS_MASK],
        "as_is": lambda m: m[TOLD, MASK_ONLY, AS_IS],
        "bert_is": lambda m: m[TOLD, BERTS, AS_IS],
        "plenty": lambda m: min(m[FEATURES, arm, OWN] for arm in (MASK_ONLY, BERTS)),
    },
    seeds=range(6, 11),
)
