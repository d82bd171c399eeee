"""Questions with made-up numbers and prose, for the pages: all kinds of charts, short names and long ones."""

import math
import random
from collections.abc import Mapping
from pathlib import Path

from typing_extensions import override

from whyformer.why.arms import SCALED, UNSCALED
from whyformer.why.question import (
    Bounds,
    Claim,
    Experiment,
    Figure,
    Findings,
    Level,
    Measurements,
    Question,
    Text,
    Topic,
)

STEP, RIGHT = Text("step", "训练步数"), Text("% right", "正确率（%）")
LEARNING = Figure(
    Text("Retrieval among 16 keys", "检索任务（16 选 1）的正确率"),
    STEP,
    RIGHT,
    "line",
    levels=(Level(95.0, Text("learned", "学会")), Level(6.25, Text("chance", "随机水平"))),
)
SPREAD = Figure(
    Text("Spread of the scores", "注意力分数的标准差"),
    Text("head dimension dₖ", "每头维度 dₖ"),
    Text("standard deviation", "标准差"),
    "line",
    "xy",
    reference=Text("√dₖ", "√dₖ"),
)
TIMES = Figure(
    Text("Time of a step", "每步用时"), Text("d_k", "每头维度"), Text("milliseconds", "毫秒"), "bar"
)
LOGARITHMIC = Figure(
    Text("Memory <kept> & more", "反向传播须保存的激活"), Text("scores", "打分"), Text("MB", "MB"), "bar", "y"
)
WHERE = Figure(
    Text("Tasks", "各任务的正确率"), Text("tokens", "词元数"), Text("% right", "正确率（%）"), "heat"
)
COST = Figure(Text("Cost of training", "训练开销"), Text("what", "项目"), Text("", ""))
LONG = Text(
    "control: not scaled, but with W_Q made smaller by √dₖ at the start <b>",
    "对照：不缩放，但把 W_Q 的初始值除以 √dₖ，其余设置完全相同",
)
DIMS = (4, 16, 64, 256, 512)


class ToyBook(Experiment):
    """Numbers drawn at random around a mean."""

    factor: float = 4.0

    @override
    def measure(self, seed: int) -> Measurements:
        draw = random.Random(seed)
        found = Measurements()
        for arm, slow in ((SCALED, 1.0), (UNSCALED, self.factor), (LONG, 1.1)):
            pace = slow * draw.uniform(0.9, 1.1)
            for step in range(0, 600, 5):
                right = 100 - 93.75 * math.exp(-step / 60 / pace)
                found[LEARNING, arm, step] = right + draw.uniform(-1.5, 1.5)
                if right > 96:
                    break
            for dim in DIMS:
                spread = 1.0 if arm == SCALED else math.sqrt(dim)
                found[SPREAD, arm, dim] = spread * draw.uniform(0.95, 1.05)
                if dim > 16:
                    found[TIMES, arm, dim] = 5 * slow * draw.uniform(0.9, 1.1)
            found[LOGARITHMIC, arm, Text("kept", "保存")] = 10 ** (slow * draw.uniform(0.95, 1.05))
            for at, tokens in enumerate((32, 64, 128)):
                refused = arm == UNSCALED and tokens == 128
                found[WHERE, arm, tokens] = math.nan if refused else 95 / slow / (at + 1)
            found[COST, arm, Text("parameters", "参数量")] = 71_696
            found[COST, arm, Text("seconds", "秒")] = slow
        for dim in DIMS:
            found[SPREAD, Text("√dₖ", "√dₖ"), dim] = math.sqrt(dim)
        return found


def steps(measured: Measurements, arm: Text) -> float:
    return max(measured.line(LEARNING, arm))


CLAIMS = (
    Claim(
        "steps",
        Text("steps to 95 %: not scaled / scaled", "学到 95 % 所需步数：不缩放 / 缩放"),
        lambda measured: steps(measured, UNSCALED) / steps(measured, SCALED),
        expected=Bounds(low=2.0),
        tolerated=Bounds(low=1.2),
    ),
    Claim(
        "exact",
        Text("largest <difference> of two ways to compute it", "两种算法之差的最大值"),
        lambda measured: 3e-7,
        expected=Bounds(high=1e-5),
    ),
    Claim(
        "spread",
        Text("spread at dₖ = 512: scaled", "dₖ = 512 时的标准差：缩放"),
        lambda measured: measured[SPREAD, SCALED, 512],
        expected=Bounds(0.9, 1.1),
    ),
    Claim(
        "small",
        Text("steps to 95 %: small W_Q / scaled", "学到 95 % 所需步数：小 W_Q / 缩放"),
        lambda measured: steps(measured, LONG) / steps(measured, SCALED),
        expected=Bounds(high=1.5),
        tolerated=Bounds(high=1.5),
        control=True,
    ),
)
WEAK = Claim(
    "weak",
    Text("a prediction that fails", "一条不成立的预言"),
    lambda measured: steps(measured, SCALED),
    expected=Bounds(high=10.0),
    tolerated=Bounds(high=20.0),
)
FIGURES = (LEARNING, SPREAD, TIMES, LOGARITHMIC, WHERE, COST)
QUESTIONS: tuple[Question, ...] = (
    Question(
        97,
        Text("Why divide by √dₖ?", "为什么除以 √dₖ？"),
        Topic("junior", "attention", (98,), "点乘 dot product"),
        CLAIMS,
        FIGURES,
        ToyBook(),
    ),
    Question(
        98,
        Text("Does <b>size</b> matter & why?", "大小<b>重要</b>吗？"),
        Topic("middle", "positions", (97, 12)),
        (*CLAIMS[:1], WEAK),
        (WHERE, COST),
        ToyBook(factor=2.0),
    ),
    Question(
        99,
        Text("Bars?", "条形图？"),
        Topic("senior", "training"),
        CLAIMS[1:],
        (LOGARITHMIC,),
        ToyBook(factor=1.2),
    ),
)
ENGLISH = r"""# Headline (supported)
Dividing by $\sqrt{d_k}$: {{steps:.1f}} times fewer steps, & no <script>.

# Short
It takes {{steps:.1f}} times fewer steps. [^steps] Variances of independent terms add up. [^def]
Others reported the same (Vaswani et al., 2017). [^-]

# Answer
If components are independent, $q \cdot k$ has variance $d_k$. [^def] So the softmax saturates. [^steps]

Scaling keeps `softmax` **soft**. [^steps]

# Derivation
Each line with a number beside it,
$\frac{\partial x_i}{\partial y_i} = \sum_{j \neq i} (\frac{\partial x_i}{\partial z_j})
(\frac{\partial z_j}{\partial y_i}) \neq 0 + a + b + c + d + e + f + g + h$:

1. $\operatorname{Var}(q \cdot k) = \sum_{i=1}^{d_k} \operatorname{Var}(q_i k_i) = d_k$
2. The Jacobian nears zero:

$$\frac{\partial p}{\partial s} = \operatorname{diag}(p) - p p^\top$$

# Common
- **Gradients vanish** — it takes {{steps:.1f}} times the steps.
- **It is a rule of thumb** — it follows from the variance, see Q98.

# Points
- Name the variance.
- Say what saturates.

# Follow-ups
- **Why not $1/d_k$?** Scores would be too small to choose.
- **What does QK-norm do?** It bounds the scores.
- **And additive scores?** They do not grow.

# Caveats
All arms have the same parameters. Nothing else was tested.
"""
CHINESE = r"""# Headline (supported)
除以 $\sqrt{d_k}$：步数少 {{steps:.1f}} 倍，而且没有 <script>。

# Short
所需步数少 {{steps:.1f}} 倍。[^steps] 相互独立的各项，方差可以相加。[^def]
Vaswani 等人（2017）报告过同样的结果。[^-]

# Answer
若各分量相互独立，$q \cdot k$ 的方差就是 $d_k$。[^def] 因此 softmax 会饱和。[^steps]

缩放使 `softmax` 保持**平缓**。[^steps]

# Derivation
每一行旁边都有实测的数，
$\frac{\partial x_i}{\partial y_i} = \sum_{j \neq i} (\frac{\partial x_i}{\partial z_j})
(\frac{\partial z_j}{\partial y_i}) \neq 0 + a + b + c + d + e + f + g + h$：

1. $\operatorname{Var}(q \cdot k) = \sum_{i=1}^{d_k} \operatorname{Var}(q_i k_i) = d_k$
2. 雅可比矩阵趋于零：

$$\frac{\partial p}{\partial s} = \operatorname{diag}(p) - p p^\top$$

# Common
- **“梯度消失”**——实测需要 {{steps:.1f}} 倍的步数。
- **“经验值”**——由方差即可推出，见 Q98。

# Points
- 说出方差。
- 说清楚是什么饱和了。

# Follow-ups
- **为什么不除以 $d_k$？** 分数会小得无从选择。
- **QK-norm 有什么用？** 它限制分数的大小。
- **加性注意力呢？** 它的分数不会随维度增长。

# Caveats
各组参数量相同。其他条件没有测试。
"""


def write_toy_prose(folder: Path) -> None:
    """The prose of all toy questions."""
    folder.mkdir(parents=True, exist_ok=True)
    for question in QUESTIONS:
        claimed = "steps" if any(claim.key == "steps" for claim in question.claims) else "spread"
        for lang, text in (("en", ENGLISH), ("zh", CHINESE)):
            text = text.replace("{{steps:.1f}}", f"{{{{{claimed}:.1f}}}}").replace(
                "[^steps]", f"[^{claimed}]"
            )
            (folder / f"{question.stem}.{lang}.md").write_text(text, encoding="utf-8")


def toy_findings() -> Mapping[int, Findings]:
    return {question.number: question.ask(range(101, 106)) for question in QUESTIONS}
