"""Q24, label smoothing (标签平滑): the gap of the logits, calibration, likelihood and accuracy."""

import math
from typing import Self

import torch
from torch import Generator, Tensor
from typing_extensions import override

from whyformer.training.loss import token_loss
from whyformer.why.lab.toys.reader import Reader, small_network, small_stack
from whyformer.why.lab.training import RIGHT, Examples
from whyformer.why.question import Bounds, Claim, Experiment, Figure, Measurements, Question, Text, Topic

# The arms: what is trained on.
CLEAN, NOISY = Text("few sentences", "少量样本"), Text("few, 15 % wrong labels", "少量样本，15 % 标错")
PLENTY, THEORY = Text("control: plenty", "对照：大量样本"), Text("theory", "理论值")
CLASSES, WORDS, LENGTH, WIDTH = 10, 20, 12, 32

# What is measured, over ε.
EPSILON, SHARE, NATS = Text("ε", "ε"), Text("% points", "百分点"), Text("nats", "nat")
CALIBRATION = Figure(Text("Calibration error on the test set", "测试集上的校准误差"), EPSILON, SHARE, "line")
GAP = Figure(Text("Logit gap in training", "训练集上的 logit 差"), EPSILON, NATS, "line", reference=THEORY)
LIKELIHOOD = Figure(Text("Test loss", "测试损失"), EPSILON, NATS, "line")
ACCURACY = Figure(Text("Test accuracy", "测试正确率"), EPSILON, RIGHT, "line")


class Smoothing(Experiment):
    """Classes of sentences, which differ in how often each word occurs, learned at several ε."""

    epsilons: tuple[float, ...] = (0.0, 0.05, 0.1, 0.2, 0.4)
    """Shares of probability that are spread over the wrong classes."""
    steps: int = 300
    """Updates of each model, with the whole set at once."""
    count: int = 128
    """Sentences of the small sets; the large one has as many new ones in each update."""

    @override
    def with_budget(self, budget: float) -> Self:
        return self.model_copy(update={"steps": max(1, round(self.steps * budget))})

    @override
    def measure(self, seed: int) -> Measurements:
        measured = Measurements()
        random = Generator().manual_seed(seed)  # habits are (CLASSES,WORDS)
        habits = (1.5 * torch.randn(CLASSES, WORDS, generator=random)).softmax(dim=1)
        test = class_sentences(habits, 4096, random)
        few = class_sentences(habits, self.count, random)
        wrong = torch.randperm(self.count, generator=random) < round(0.15 * self.count)
        other = (few.target + torch.randint(1, CLASSES, few.target.shape, generator=random)) % CLASSES
        sets = {
            CLEAN: few,
            NOISY: Examples(few.sentences, torch.where(wrong, other, few.target)),
            PLENTY: None,
        }
        for arm, examples in sets.items():
            for epsilon in self.epsilons:
                model = self.trained(examples, habits, epsilon, seed)
                measured.update(calibration_of(arm, epsilon, model, test))
                if examples is not None:
                    logits = class_scores(model, examples.sentences)
                    true = logits.gather(1, examples.target[:, None])
                    others = (logits.sum(dim=1, keepdim=True) - true) / (CLASSES - 1)
                    measured[GAP, arm, epsilon] = float((true - others).mean())
                measured[GAP, THEORY, epsilon] = best_gap(epsilon)
        return measured

    def trained(self, examples: Examples | None, habits: Tensor, epsilon: float, seed: int) -> Reader:
        """A model that was trained on ``examples``, or where there are none on fresh ones all the time."""
        torch.manual_seed(seed)
        random = Generator().manual_seed(seed + 1)
        # Output 0 stands for padding, which the loss gives nothing.
        model = Reader(WORDS, 1 + CLASSES, small_stack(feed_forward=small_network()), WIDTH)
        optimizer = torch.optim.Adam(model.parameters(), lr=3e-3, fused=True)
        for _ in range(self.steps):
            sentences, target = examples or class_sentences(habits, self.count, random)
            optimizer.zero_grad()
            states = model.hidden(sentences).mean(dim=1)
            loss = token_loss(states, model.output.weight, target + 1, epsilon).loss / len(target)
            loss.backward()
            optimizer.step()
        return model


def class_sentences(habits: Tensor, count: int, random: Generator) -> Examples:
    """Sentences (N,L) of words that are drawn as often as their class (N,) uses them."""
    target = torch.randint(CLASSES, (count,), generator=random)
    return Examples(torch.multinomial(habits[target], LENGTH, replacement=True, generator=random), target)


def best_gap(epsilon: float) -> float:
    """Gap at which the smoothed loss is lowest; without smoothing there is none."""
    return math.log((1 - epsilon) * (CLASSES - 1) / epsilon) if epsilon else math.nan


@torch.no_grad()
def class_scores(model: Reader, sentences: Tensor) -> Tensor:
    """Logits (N,CLASSES) of the classes."""
    return (model.hidden(sentences).mean(dim=1) @ model.output.weight.t())[:, 1:]


def calibration_of(arm: Text, epsilon: float, model: Reader, test: Examples) -> Measurements:
    """Accuracy, negative log-likelihood and expected calibration error in 15 bins (Guo et al. 2017)."""
    log_probs = class_scores(model, test.sentences).log_softmax(dim=1)
    confidence, guess = log_probs.exp().max(dim=1)
    right = (guess == test.target).float()
    bins = (confidence * 15).long().clamp(max=14)
    apart = torch.zeros(15).index_add(0, bins, confidence - right).abs().sum() / len(right)
    return Measurements({
        (CALIBRATION, arm, epsilon): 100.0 * float(apart),
        (LIKELIHOOD, arm, epsilon): -float(log_probs.gather(1, test.target[:, None]).mean()),
        (ACCURACY, arm, epsilon): 100.0 * float(right.mean()),
    })  # fmt: skip


def eased(measured: Measurements, figure: Figure, arm: Text) -> float:
    """Difference that ε = 0.1 makes: what ε = 0 has more."""
    return measured[figure, arm, 0.0] - measured[figure, arm, 0.1]


CLAIMS = (
    Claim("gap", Text("logit gap at ε = 0.1: measured / theory", "ε = 0.1 的 logit 差：实测 / 理论"),
        lambda measured: measured[GAP, CLEAN, 0.1] / best_gap(0.1), Bounds(high=1.1), Bounds(high=1.1)),
    Claim("unbounded", Text("logit gap: ε = 0 / ε = 0.1", "logit 差：ε = 0 / ε = 0.1"),
        lambda measured: measured[GAP, CLEAN, 0.0] / measured[GAP, CLEAN, 0.1], Bounds(low=1.5)),
    Claim("noise", Text("wrong labels: calibration error saved", "有错误标签：校准误差减少"),
        lambda measured: eased(measured, CALIBRATION, NOISY), Bounds(low=2.0), Bounds(low=0.0)),
    Claim("calibration", Text("few sentences: calibration error saved", "少量样本：校准误差减少"),
        lambda measured: eased(measured, CALIBRATION, CLEAN), Bounds(low=2.0)),
    Claim("accuracy", Text("wrong labels: points of accuracy lost", "有错误标签：正确率下降"),
        lambda measured: eased(measured, ACCURACY, NOISY), Bounds(high=0.0)),
    Claim("likelihood", Text("plenty: loss saved (nats)", "大量样本：损失减少（nat）"),
        lambda measured: eased(measured, LIKELIHOOD, PLENTY), Bounds(high=0.0)),
    Claim("control", Text("plenty: calibration error saved", "大量样本：校准误差减少"),
        lambda measured: eased(measured, CALIBRATION, PLENTY), Bounds(high=1), Bounds(high=1), control=True),
)  # fmt: skip

QUESTION = Question(
    number=24,
    title=Text("What does label smoothing do?", "标签平滑及其作用"),
    topic=Topic("senior", "training", related=(25, 30), words="calibration 标签平滑 校准 过度自信"),
    claims=CLAIMS, figures=(CALIBRATION, GAP, LIKELIHOOD, ACCURACY), experiment=Smoothing(),
    numbers={
        "overconfident": lambda measured: measured[CALIBRATION, CLEAN, 0.0],
        "noisy": lambda measured: measured[CALIBRATION, NOISY, 0.0],
        "most": lambda measured: measured[CALIBRATION, CLEAN, 0.4],
    },
    seeds=range(6, 14),
)  # fmt: skip
