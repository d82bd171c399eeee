"""Q02, why W_Q and W_K differ (Q、K 为什么用不同矩阵): what goes to oneself, and relations of one direction.

B batch · L length
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Generator, nn
from torch.nn import functional as F
from typing_extensions import override

from whyformer.attention.heads import HeadsSpec
from whyformer.attention.keys import KeysSpec, OwnKeysSpec, SharedKeysSpec, SharedUnitKeysSpec
from whyformer.attention.multihead import AttentionSpec
from whyformer.position.absolute import SinusoidalSpec
from whyformer.why.lab import attention as lab
from whyformer.why.lab.attention import BY_RATE, EQUAL, OWN_TOP, SELF, UNEQUAL, guessing, reading
from whyformer.why.lab.toys.reader import Reader, small_stack, with_block
from whyformer.why.lab.toys.retrieval import TWO_OF_THREE, Partners, partner_examples
from whyformer.why.lab.training import IGNORED, RIGHT, TRAINING_COST, Examples, ToyTraining
from whyformer.why.question import Bounds, Claim, Experiment, Figure, Measurements, Question, Text, Topic

LENGTH, WIDTH = 16, 64

# The arms.
SEPARATE, SHARED = Text("W_Q and W_K", "W_Q 与 W_K 不同"), Text("one matrix (Q = K)", "共用一个矩阵（Q = K）")
UNIT = Text("one matrix, keys of length 1 (Reformer)", "共用矩阵，键归一化（Reformer）")
HALF = Text("W_Q and W_K, half as wide", "W_Q 与 W_K 不同，宽度减半")
KEYS: dict[Text, KeysSpec] = {
    SEPARATE: OwnKeysSpec(), SHARED: SharedKeysSpec(), UNIT: SharedUnitKeysSpec(), HALF: OwnKeysSpec()
}  # fmt: skip

# What is measured: a to b to c to a cannot be told by symmetric scores, a to b to a can.
THREE, CHAIN = Text("cycles of three", "三元环"), Text("left neighbour, with positions", "左邻（有位置编码）")
MUTUAL = Text("control: mutual pairs", "对照：互为搭档")
READ = Figure(
    Text("Reading the partner's value", "读出搭档的值"), Text("who points to whom", "指向关系"), RIGHT, "bar",
    levels=(guessing(Partners.VALUES), TWO_OF_THREE),
)  # fmt: skip
SKEW = Figure(Text("|S − Sᵀ| / |S|, trained", "训练后的 |S − Sᵀ| / |S|"), READ.across, Text("", ""), "bar")


class Projections(Experiment):
    """Random inputs through one attention; then one layer of one head that reads from a partner."""

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
        for place in (THREE, CHAIN, MUTUAL):
            for arm in KEYS:
                measured.update(self.taught(arm, place, seed))
        return measured

    def keys(self, arm: Text) -> KeysSpec:
        """Where the keys of an arm come from."""
        return self.shared if arm == SHARED else KEYS[arm]

    def taught(self, arm: Text, place: Text, seed: int) -> Measurements:
        """One arm at one relation, at its best learning rate."""
        draw = {THREE: partner_examples(3), CHAIN: neighbours, MUTUAL: partner_examples(2)}[place]
        swept = lab.sweep(self.training, self.rates, partial(self.model, arm, place), draw, seed, enough=99.0)
        named = Text(*(f"{one}, {two}" for one, two in zip(arm, place, strict=True)))
        measured = swept.measurements(named, enough=99.0)
        measured[READ, arm, place] = swept.best.log.final
        scores = lab.scores_of(swept.best.model, draw(Generator().manual_seed(seed), 64).sentences)
        measured[SKEW, arm, place] = float((scores - scores.transpose(-2, -1)).norm() / scores.norm())
        return measured

    def model(self, arm: Text, place: Text) -> nn.Module:
        """The untrained model of an arm; only the left neighbour needs positions."""
        heads = HeadsSpec(query=1, dim=WIDTH // 2 if arm == HALF else WIDTH)
        positions = (SinusoidalSpec(),) if place == CHAIN else ()
        attention = AttentionSpec(heads=heads, keys=self.keys(arm))
        stack = with_block(small_stack(positions=positions), {"attention": attention})
        return Reader(Partners.VALUES, Partners.VALUES, stack, WIDTH) if place == CHAIN else Partners(stack)


def neighbours(random: Generator, count: int) -> Examples:
    """Random tokens (B,L); at every position but the first, the token before it is asked for."""
    tokens = torch.randint(Partners.VALUES, (count, LENGTH), generator=random)
    return Examples(tokens, F.pad(tokens[:, :-1], (1, 0), value=IGNORED))


def partner_gap(place: Text) -> Callable[[Measurements], float]:
    """Read the lead of separate matrices over one, in points."""
    return lambda measured: measured[READ, SEPARATE, place] - measured[READ, SHARED, place]


CLAIMS = (
    Claim("separate", Text("cycles of three, W_Q and W_K: right (%)", "三元环，W_Q 与 W_K 不同：正确率（%）"),
          reading(READ, SEPARATE, THREE), Bounds(low=95.0)),
    Claim("gap", Text("cycles of three: points W_Q and W_K - one matrix", "三元环：不同 - 共用（百分点）"),
          partner_gap(THREE), Bounds(low=20.0), Bounds(low=5.0)),
    Claim("half", Text("cycles of three, W_Q and W_K half as wide: right (%)",
          "三元环，不同而宽度减半：正确率（%）"),
          reading(READ, HALF, THREE), Bounds(low=95.0)),
    Claim("own", Text("weight on oneself, one matrix, deviation 1 (%)",
          "共用矩阵、输入标准差为 1：给自己的权重（%）"),
          reading(SELF, SHARED, 1.0), Bounds(low=90.0)),
    Claim("small_own", Text("weight on oneself, one matrix, deviation 0.25 (%)",
          "共用矩阵、输入标准差为 0.25：给自己的权重（%）"),
          reading(SELF, SHARED, 0.25), Bounds(high=10.0)),
    Claim("symmetric", Text("|S − Sᵀ| / |S|, one matrix", "共用矩阵的 |S − Sᵀ| / |S|"),
          reading(SKEW, SHARED, THREE), Bounds(high=1e-5), Bounds(high=1e-5)),
    Claim("mutual", Text("mutual pairs: points W_Q and W_K - one matrix", "互为搭档：不同 - 共用（百分点）"),
          partner_gap(MUTUAL), Bounds(-10.0, 10.0), control=True),
    Claim("separate_own", Text("weight on oneself, W_Q and W_K, deviation 1 (%)",
          "W_Q 与 W_K 不同、输入标准差为 1：给自己的权重（%）"),
          reading(SELF, SEPARATE, 1.0), Bounds(high=10.0), control=True),
)  # fmt: skip
NUMBERS = {
    "shared": reading(READ, SHARED, THREE), "shared_chain": reading(READ, SHARED, CHAIN),
    "shared_mutual": reading(READ, SHARED, MUTUAL), "unit_chain": reading(READ, UNIT, CHAIN),
    "unit": reading(READ, UNIT, THREE), "unit_own": reading(SELF, UNIT, 1.0),
    "skew": reading(SKEW, SEPARATE, THREE), "middle_own": reading(SELF, SHARED, 0.5),
    "equal_top": reading(OWN_TOP, SHARED, EQUAL), "unequal_top": reading(OWN_TOP, SHARED, UNEQUAL),
}  # fmt: skip
QUESTION = Question(
    number=2,
    title=Text("Why different W_Q and W_K?", "Q 和 K 为什么用不同的矩阵？"),
    topic=Topic(
        "junior",
        "attention",
        related=(1, 3, 18),
        words="shared QK symmetric Gram 对称 投影",
    ),
    claims=CLAIMS,
    figures=(READ, SELF, SKEW, OWN_TOP, BY_RATE, TRAINING_COST),
    experiment=Projections(),
    numbers=NUMBERS,
)
