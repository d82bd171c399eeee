"""Losses on held-out data, summed over its batches."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import torch

from whyformer.progress import counted
from whyformer.training.objective import ModelT, Objective


class HeldOutLosses(NamedTuple):
    """Sums over the predictions of held-out data."""

    predictions: int
    """Number of predictions: of tokens, or whatever is predicted."""
    total: float
    """Sum of the losses that training minimises, in nats."""
    sums: Mapping[str, float]
    """The objective's other sums, by name."""

    @property
    def loss(self) -> float:
        """The mean that training minimises, in nats per prediction."""
        return self.total / self.predictions

    @property
    def nll(self) -> float:
        """Negative log-likelihood, in nats per prediction."""
        return self.sums["nll"] / self.predictions


@torch.no_grad()
def held_out_losses(
    model: ModelT, objective: Objective[ModelT], batches: Iterable[Any], count: int = 0
) -> HeldOutLosses:
    """The sums of ``objective`` over ``batches``, which ``model`` reads as it is (in evaluation mode).

    ``count`` is their number, for those who wait.
    """
    total, predictions = 0.0, 0
    sums: defaultdict[str, float] = defaultdict(float)
    for batch in counted(batches, "measuring", count, "batches"):
        losses = objective(model, batch)
        total, predictions = total + losses.total.item(), predictions + losses.predictions
        for name, value in losses.figures.items():
            sums[name] += value.item()
    return HeldOutLosses(predictions, total, sums)
