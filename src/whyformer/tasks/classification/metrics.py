"""Quality of a classifier: its predictions for labelled texts.

N examples
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from typing_extensions import override

from whyformer.tasks.task import Metrics


@dataclass(frozen=True)
class ClassificationMetrics(Metrics):
    """Predictions of classes."""

    examples: int
    loss: float
    """The mean that training minimises, in nats per example."""
    nll: float
    """Negative log-likelihood, in nats per example."""
    accuracy: float
    """Share of right classes, in percent."""
    macro_f1: float
    """Mean of F1 over the classes; see ``macro_f1``."""
    majority: float
    """Accuracy of always predicting the most frequent class of these texts, in percent."""

    @property
    @override
    def figures(self) -> dict[str, float]:
        return {name: value for name, value in vars(self).items() if name != "examples"}

    @override
    def lines(self, name: str, examples: int = 0) -> Iterator[str]:
        count, majority = self.examples, self.majority
        yield f"{name}: {count:,} examples; always the most frequent label: {majority:.2f} %"
        yield f"  accuracy  {self.accuracy:.2f} % of labels right"
        yield f"  macro F1  {self.macro_f1:.2f} %"


def macro_f1(gold: Tensor, predicted: Tensor) -> float:
    """The mean of F1 over the classes that occur in ``gold`` or ``predicted``, (N,) each, in percent.

    F1 = 2 · right / (gold + predicted), each counted for one class.
    """
    scores: list[float] = []
    for label in torch.cat([gold, predicted]).unique():
        is_gold, is_predicted = gold == label, predicted == label
        right = (is_gold & is_predicted).sum()
        scores.append((2 * right / (is_gold.sum() + is_predicted.sum())).item())
    return 100.0 * sum(scores) / len(scores)
