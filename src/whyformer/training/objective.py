"""Objectives: losses of a model on a batch, as sums that batches, steps and ranks add up.

N predictions · M model dimension · V vocabulary
"""

from collections.abc import Mapping
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor, nn
from typing_extensions import override

from whyformer.training.loss import TokenLoss, r_drop_loss, token_loss

ModelT = TypeVar("ModelT", bound=nn.Module)
ModelT_contra = TypeVar("ModelT_contra", bound=nn.Module, contravariant=True)


class Losses(NamedTuple):
    """Sums over the predictions of a batch."""

    total: Tensor
    """Scalar in nats, the head of a graph: the sum that is minimised."""
    predictions: int
    """Number of predictions (of tokens, or whatever is predicted), by which sums are divided in the end."""
    figures: Mapping[str, Tensor]
    """Other sums by name, scalars without a graph; ``nll`` is the negative log-likelihood in nats."""

    def plus(self, extra: Tensor) -> "Losses":
        """The same with the scalar ``extra``, in nats, minimised besides."""
        return self._replace(total=self.total + extra)


class Objective(Protocol[ModelT_contra]):
    """Losses of a model on a batch, each task having batches of its own kind."""

    def __call__(self, model: ModelT_contra, batch: Any) -> Losses:
        """Run ``model`` on ``batch`` and sum up."""
        ...


class ModelWithObjective(nn.Module, Generic[ModelT]):
    """A model that is called with a batch and gives its losses.

    Whoever spreads parameters over ranks gathers them inside of a module's call; so the loss, which reads the
    output table, belongs inside as well.
    """

    def __init__(self, model: ModelT, objective: Objective[ModelT]) -> None:
        super().__init__()
        self.model = model
        self.objective = objective

    @override
    def forward(self, batch: Any) -> Losses:
        """The losses of one batch."""
        return self.objective(self.model, batch)


def token_cross_entropy(hidden: Tensor, table: Tensor, gold: Tensor, smoothing: float) -> Losses:
    """Cross-entropy of tokens with label smoothing; see ``loss.token_loss``.

    An output bias is one more column of the table, and a one behind every hidden state. In a lower precision
    (autocast) logits are computed in that; sums are fp32.

    Args:
        hidden: (N,M) states that predict real tokens; padding was left out.
        table: (V,M) output table.
        gold: (N,) the tokens to predict.
        smoothing: share of probability spread over the other tokens.
    """
    return _losses(token_loss(_autocast(hidden), table, gold, smoothing))


def r_drop_cross_entropy(
    hidden: Tensor, table: Tensor, gold: Tensor, smoothing: float, alpha: float
) -> Losses:
    """Cross-entropy of two readings under different dropout, drawn together; see ``loss.r_drop_loss``.

    Args:
        hidden: (2N,M) states of the first reading, then those of the second, in the same order.
        table: (V,M) output table.
        gold: (N,) the tokens to predict.
        smoothing: share of probability spread over the other tokens.
        alpha: weight of the divergence between the readings.

    Returns:
        Sums over N predictions; ``nll`` is the mean of both readings'.
    """
    return _losses(r_drop_loss(_autocast(hidden), table, gold, smoothing, alpha))


def _losses(part: TokenLoss) -> Losses:
    return Losses(part.loss, part.tokens, {"nll": part.negative_log_likelihood})


def _autocast(hidden: Tensor) -> Tensor:
    """``hidden`` in the precision that logits are to be computed in."""
    kind = hidden.device.type
    return hidden.to(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else hidden
