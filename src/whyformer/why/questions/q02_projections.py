"""Q02, why W_Q and W_K differ (Q、K 为什么用不同矩阵): what weight goes to oneself, and looking to one side.

B batch · L length · M model dimension
"""

from collections.abc import Callable

import torch
from torch import Generator
from torch.nn import functional as F
from typing_extensions import override

from whyformer.attention.heads import HeadsSpec
from whyformer.attention.keys import KeysSpec, OwnKeysSpec, SharedKeysSpec, SharedUnitKeysSpec
from whyformer.attention.mask import Causal, Everything, MaskRule
from whyformer.attention.multihead import AttentionSpec
from whyformer.position.absolute import SinusoidalSpec
from whyformer.why.lab import attention as lab
from whyformer.why.lab.attention import BY_RATE, EQUAL, OWN_TOP, SELF, UNEQUAL, guessing, reading
from whyformer.why.lab.reader import Reader, small_stack
from whyformer.why.lab.training import IGNORED, RIGHT, TRAINING_COST, Examples, ToyTraining
from whyformer.why.question import Bounds, Claim, Experiment, Figure, Measurements, Question, Text, Topic

VOCABULARY, LENGTH, WIDTH = 16, 16, 64

# The arms.
SEPARATE, SHARED = Text("W_Q and W_K", "W_Q 与 W_K 不同"), Text("one matrix (Q = K)", "共用一个矩阵（Q = K）")
UNIT = Text("one matrix, keys of length 1 (Reformer)", "共用矩阵，键归一化（Reformer）")
HALF = Text("W_Q and W_K, half as wide", "W_Q 与 W_K 不同，宽度减半")
KEYS: dict[Text, KeysSpec] = {
    SEPARATE: OwnKeysSpec(), SHARED: SharedKeysSpec(), UNIT: SharedUnitKeysSpec(), HALF: OwnKeysSpec()
}  # fmt: skip

# What is measured.
BOTH, LEFT = Text("both sides visible", "左右都可见"), Text("control: causal mask", "对照：因果掩码")
MASKS: dict[Text, MaskRule] = {BOTH: Everything(), LEFT: Causal()}
COPY = Figure(
    Text("Saying the token on the left", "说出左边的词元"), Text("mask", "掩码"), RIGHT, "bar",
    levels=(guessing(VOCABULARY),),
)  # fmt: skip
SKEW = Figure(
    Text("|S − Sᵀ| / |S|, trained", "训练后的 |S − Sᵀ| / |S|"), Text("mask", "掩码"), Text("", ""), "bar"
)


class Projections(Experiment):
    """Random inputs through one attention; then one layer of one head that copies its left neighbour."""

    shared: KeysSpec = SharedKeysSpec()
    """Keys of the arm that shares the matrix."""
    deviations: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0)
    """Standard deviations of the random inputs."""
    rates: tuple[float, ...] = (2e-3, 5e-3, 1e-2)
    """Learning rates that every arm is trained at."""
    training: ToyTraining = ToyTraining(steps=400, test_every=25, test_examples=256)
    """Each training; it ends at 99 % right."""

    @override
    def measure(self, seed: int) -> Measurements:
        torch.manual_seed(seed)
        alike = {arm: self.keys(arm) for arm in (SEPARATE, SHARED, UNIT)}
        measured = lab.weight_on_oneself(alike, self.deviations)
        for place in MASKS:
            for arm in KEYS:
                measured.update(self.taught(arm, place, seed))
        return measured

    def keys(self, arm: Text) -> KeysSpec:
        """Where the keys of an arm come from."""
        return self.shared if arm == SHARED else KEYS[arm]

    def taught(self, arm: Text, place: Text, seed: int) -> Measurements:
        """One arm under one mask at its best learning rate."""
        swept = lab.sweep(
            self.training, self.rates, lambda: self.copier(arm, place), neighbours, seed, enough=99.0
        )
        measured = swept.measurements(
            Text(*(f"{a}, {b}" for a, b in zip(arm, place, strict=True))), enough=99.0
        )
        measured[COPY, arm, place] = swept.best.log.final
        scores = lab.scores_of(swept.best.model, neighbours(Generator().manual_seed(seed), 64).sentences)
        measured[SKEW, arm, place] = float((scores - scores.transpose(-2, -1)).norm() / scores.norm())
        return measured

    def copier(self, arm: Text, place: Text) -> Reader:
        """The untrained model of an arm."""
        stack = small_stack(1, positions=(SinusoidalSpec(),), mask=MASKS[place])
        heads = HeadsSpec(query=1, dim=WIDTH // 2 if arm == HALF else WIDTH)
        attention = AttentionSpec(heads=heads, keys=self.keys(arm))
        block = stack.block.model_copy(update={"attention": attention})
        return Reader(VOCABULARY, VOCABULARY, stack.model_copy(update={"block": block}), WIDTH)


def neighbours(random: Generator, count: int) -> Examples:
    """Random tokens (B,L); at every position but the first, the token before it is asked for."""
    tokens = torch.randint(VOCABULARY, (count, LENGTH), generator=random)
    return Examples(tokens, F.pad(tokens[:, :-1], (1, 0), value=IGNORED))


def copy_gap(place: Text) -> Callable[[Measurements], float]:
    """Read the lead of separate matrices over one, in points."""
    return lambda measured: measured[COPY, SEPARATE, place] - measured[COPY, SHARED, place]


CLAIMS = (
    Claim("separate", Text("left neighbour, W_Q and W_K (%)", "左邻，W_Q 与 W_K 不同（%）"),
          reading(COPY, SEPARATE, BOTH), Bounds(low=95.0)),
    Claim("gap", Text("left neighbour, both sides visible: points W_Q and W_K - one matrix",
          "左邻，左右都可见：不同 - 共用（百分点）"),
          copy_gap(BOTH), Bounds(low=20.0), Bounds(low=5.0)),
    Claim("half", Text("left neighbour, W_Q and W_K half as wide (%)",
          "左邻，W_Q 与 W_K 不同、宽度减半（%）"),
          reading(COPY, HALF, BOTH), Bounds(low=95.0)),
    Claim("own", Text("weight on oneself, one matrix, inputs of deviation 1 (%)",
          "共用矩阵、输入标准差为 1 时分给自己的权重（%）"),
          reading(SELF, SHARED, 1.0), Bounds(low=90.0)),
    Claim("small_own", Text("weight on oneself, one matrix, deviation 0.25 (%)",
          "共用矩阵、输入标准差为 0.25 时分给自己的权重（%）"),
          reading(SELF, SHARED, 0.25), Bounds(high=10.0)),
    Claim("symmetric", Text("|S − Sᵀ| / |S|, one matrix", "共用矩阵的 |S − Sᵀ| / |S|"),
          reading(SKEW, SHARED, BOTH), Bounds(high=1e-5), Bounds(high=1e-5)),
    Claim("causal", Text("the same under a causal mask: points W_Q and W_K - one matrix",
          "同上，因果掩码：不同 - 共用（百分点）"),
          copy_gap(LEFT), Bounds(-10.0, 10.0), control=True),
    Claim("separate_own", Text("weight on oneself, W_Q and W_K, deviation 1 (%)",
          "W_Q 与 W_K 不同、输入标准差为 1 时分给自己的权重（%）"),
          reading(SELF, SEPARATE, 1.0), Bounds(high=10.0), control=True),
)  # fmt: skip

NUMBERS = {
    "shared": reading(COPY, SHARED, BOTH), "shared_causal": reading(COPY, SHARED, LEFT),
    "unit": reading(COPY, UNIT, BOTH), "unit_own": reading(SELF, UNIT, 1.0),
    "skew": reading(SKEW, SEPARATE, BOTH), "middle_own": reading(SELF, SHARED, 0.5),
    "equal_top": reading(OWN_TOP, SHARED, EQUAL), "unequal_top": reading(OWN_TOP, SHARED, UNEQUAL),
}  # fmt: skip
QUESTION = Question(
    number=2,
    title=Text("Why different W_Q and W_K?", "Q 和 K 为什么用不同的矩阵？"),
    topic=Topic(
        "junior",
        "attention",
        related=(1, 3, 18),
        words="shared QK projection symmetric Gram 对称 投影 权重矩阵",
    ),
    claims=CLAIMS,
    figures=(COPY, SELF, SKEW, OWN_TOP, BY_RATE, TRAINING_COST),
    experiment=Projections(),
    numbers=NUMBERS,
)
