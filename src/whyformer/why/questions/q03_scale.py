"""Q03, why divide by √d_k (为什么除以 √d_k): the scores' spread, the softmax's Jacobian, and learning.

B batch · Q query length · K key length · H heads · D head dimension
"""

from math import log
from statistics import linear_regression

import torch
from torch import Tensor
from torch.nn import functional as F
from typing_extensions import override

from whyformer.attention.score import DotSpec, ScaledDotSpec, ScoreSpec
from whyformer.position.attention_shape import AttentionShape
from whyformer.why.lab.retrieval import Retrieval, retrieval
from whyformer.why.lab.training import RIGHT, STEPS, TRAINING_COST, ToyTraining, training_cost
from whyformer.why.question import (
    Bounds,
    Claim,
    Experiment,
    Figure,
    Level,
    Measurements,
    Question,
    Text,
    Topic,
)

# The arms; the control makes the first scores small by its weights instead.
SCALED, UNSCALED = Text("divided by √d_k", "除以 √d_k"), Text("not divided", "不除")
SMALL = Text("control: not divided, W_Q √d_k smaller", "对照：不除，W_Q 缩小 √d_k 倍")
THEORY = Text("√d_k", "√d_k")

# What is measured.
DIM, STEP = Text("head dimension d_k", "每头维度 d_k"), Text("step", "步")
SPREAD, NORM = Text("Spread of the scores", "打分的离散程度"), Text("norm", "范数")
DEVIATION = Figure(SPREAD, DIM, Text("standard deviation", "标准差"), "line", "xy", reference=THEORY)
JACOBIAN = Figure(Text("Jacobian of the softmax", "softmax 的雅可比矩阵"), DIM, NORM, "line", "x")
RETRIEVAL = Text("Retrieval among 16 keys (d_k = 256)", "在 16 个键中检索（d_k = 256）")
LEARNING = Figure(RETRIEVAL, STEP, RIGHT, "line", levels=(Level(95.0, Text("learned", "学会")),))
GRADIENT = Figure(Text("Gradient of W_Q before step 1", "第 1 步之前 W_Q 的梯度"), DIM, NORM)


class Scale(Experiment):
    """Random queries and keys at several d_k; then a one-layer model that learns to retrieve."""

    scaled: ScoreSpec = ScaledDotSpec()
    """The score of the arm that scales."""
    dims: tuple[int, ...] = (4, 16, 64, 256, 512)
    """Head dimensions of the sweep."""
    training: ToyTraining = ToyTraining(steps=1000, test_every=5)
    """Training of each arm; it ends at 95 % right."""

    @override
    def measure(self, seed: int) -> Measurements:
        torch.manual_seed(seed)
        measured = Measurements()
        for dim in self.dims:
            # (B,H,Q,D), components independent with mean 0 and variance 1
            query, key = torch.randn(2, 64, 1, 32, dim)
            for arm, spec in ((SCALED, self.scaled), (UNSCALED, DotSpec())):
                score = spec.build(AttentionShape(dim, 1, dim))
                logits = score(score.prepare(query), key)
                measured[DEVIATION, arm, dim] = float(logits.std())
                measured[JACOBIAN, arm, dim] = jacobian_norm(logits)
            measured[DEVIATION, THEORY, dim] = dim**0.5
        for arm, spec, shrink in (
            (SCALED, self.scaled, 1.0),
            (UNSCALED, DotSpec(), 1.0),
            (SMALL, DotSpec(), 256**-0.5),
        ):
            torch.manual_seed(seed)  # the same first weights for every arm
            model = Retrieval(spec, 256)
            with torch.no_grad():
                model.attention.query.weight.mul_(shrink)
            measured[GRADIENT, arm, 256] = query_gradient(model, seed)
            log = self.training.run(model, retrieval(keys=16), seed, enough=95.0)
            measured.update({(LEARNING, arm, step): right for step, right in log.accuracy.items()})
            measured.update(training_cost(arm, model, log))
        return measured


def jacobian_norm(logits: Tensor) -> float:
    """Mean Frobenius norm of diag(p) - ppᵀ, the derivative of the softmax p of ``logits`` (…,K)."""
    p = logits.softmax(dim=-1)
    # (…,K) -> (…,K,K)
    return float((p.diag_embed() - p[..., None] * p[..., None, :]).flatten(-2).norm(dim=-1).mean())


def query_gradient(model: Retrieval, seed: int) -> float:
    """Norm of the loss's gradient for W_Q."""
    sentences, target = retrieval(keys=16)(torch.Generator().manual_seed(seed), 256)
    loss = F.cross_entropy(model(sentences), target)
    [gradient] = torch.autograd.grad(loss, [model.attention.query.weight])
    return float(gradient.norm())


def exponent(measured: Measurements) -> float:
    """Slope of the unscaled deviation over d_k, both as logarithms, by least squares."""
    line = measured.line(DEVIATION, UNSCALED)
    return linear_regression([log(dim) for dim in line], [log(value) for value in line.values()]).slope


CLAIMS = (
    Claim(
        "exponent",
        Text("exponent of the unscaled spread in d_k", "不缩放时离散程度随 d_k 增长的指数"),
        exponent,
        expected=Bounds(0.45, 0.55),
        tolerated=Bounds(0.45, 0.55),
    ),
    Claim(
        "jacobian",
        Text("Jacobian at d_k = 512: unscaled / scaled", "d_k = 512 时的雅可比范数：不缩放 / 缩放"),
        lambda measured: measured[JACOBIAN, UNSCALED, 512] / measured[JACOBIAN, SCALED, 512],
        expected=Bounds(high=0.4),
    ),
    Claim(
        "steps",
        Text("steps to 95 %: unscaled / scaled", "达到 95 % 的步数：不缩放 / 缩放"),
        lambda measured: measured[TRAINING_COST, UNSCALED, STEPS] / measured[TRAINING_COST, SCALED, STEPS],
        expected=Bounds(low=2.0),
    ),
    Claim(
        "small",
        Text("steps to 95 %: small W_Q / scaled", "达到 95 % 的步数：小 W_Q / 缩放"),
        lambda measured: measured[TRAINING_COST, SMALL, STEPS] / measured[TRAINING_COST, SCALED, STEPS],
        expected=Bounds(high=1.25),
        tolerated=Bounds(high=1.25),
        control=True,
    ),
)

QUESTION = Question(
    number=3,
    title=Text("Why divide by √d_k?", "为什么除以 √d_k？"),
    topic=Topic("junior", "attention", related=(8, 9), words="scale scaled dot product sqrt 缩放 点积 根号"),
    claims=CLAIMS,
    figures=(DEVIATION, JACOBIAN, LEARNING, GRADIENT, TRAINING_COST),
    experiment=Scale(),
)
