"""Cross-entropy with label smoothing, without ever holding all logits.

N real tokens · M model dimension · V vocabulary
"""

from typing import Any, NamedTuple

import torch
from pydantic import Field
from torch import Tensor
from torch.autograd.function import once_differentiable

from whyformer.kernels.cross_entropy import logits_gradient_
from whyformer.nn.embedding import token_logits
from whyformer.spec import Spec
from whyformer.special_tokens import PAD


class LossSpec(Spec):
    """Target distribution that the model is trained to predict."""

    label_smoothing: float = Field(default=0.1, ge=0.0, lt=1.0)
    """Share of probability taken from the true token and spread over all other real tokens; 0 = off."""


class TokenLoss(NamedTuple):
    """Sums over N tokens, in nats, so that batches, steps and ranks add up; means are over ``tokens``."""

    loss: Tensor
    negative_log_likelihood: Tensor
    tokens: int


def reference_token_loss(hidden: Tensor, weight: Tensor, gold: Tensor, smoothing: float) -> TokenLoss:
    """The definition: cross-entropy against 1-ε on the gold token and ε spread over the others.

    "Others" are the V-2 tokens that are neither gold nor padding (Szegedy et al. 2016, section 7, with
    a uniform distribution over the wrong tokens).

    Args:
        hidden: (N,M) states that predict real tokens; padding was left out.
        weight: (V,M) output table.
        gold: (N,) the tokens to predict, none of them padding.
        smoothing: ε.
    """
    log_probability = token_logits(hidden, weight).float().log_softmax(dim=-1)
    right = log_probability.gather(-1, gold[:, None]).squeeze(-1)
    real = torch.cat([log_probability[:, :PAD], log_probability[:, PAD + 1 :]], dim=-1)
    wrong = (real.sum(dim=-1) - right) / (real.shape[-1] - 1)
    loss = -(1.0 - smoothing) * right - smoothing * wrong
    return TokenLoss(loss.sum(), -right.sum().detach(), len(gold))


def token_loss(
    hidden: Tensor, weight: Tensor, gold: Tensor, smoothing: float, *, rows: int = 512
) -> TokenLoss:
    """The same sums and gradients, ``rows`` tokens at a time.

    The gradient is made in the forward pass, so a (rows,V) slice of logits is all that ever exists.
    """
    if not torch.is_grad_enabled():
        return _sliced(hidden, weight, gold, smoothing, rows)
    loss, negative = _SlicedLoss.apply(hidden, weight, gold, smoothing, rows)
    return TokenLoss(loss, negative, len(gold))


def _sliced(hidden: Tensor, weight: Tensor, gold: Tensor, smoothing: float, rows: int) -> TokenLoss:
    parts = [
        reference_token_loss(hidden[first : first + rows], weight, gold[first : first + rows], smoothing)
        for first in range(0, len(gold), rows)
    ]
    zero = hidden.new_zeros((), dtype=torch.float32)
    return TokenLoss(
        sum((part.loss for part in parts), start=zero),
        sum((part.negative_log_likelihood for part in parts), start=zero),
        len(gold),
    )


class _SlicedLoss(torch.autograd.Function):
    """d loss / d logits = softmax - target distribution, so no graph over the logits is needed."""

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, gold: Tensor, smoothing: float, rows: int
    ) -> tuple[Tensor, Tensor]:
        """Sum the loss slice by slice and keep the gradients of hidden states and table."""
        others = weight.shape[0] - 2
        share = smoothing / others
        table = weight.to(hidden.dtype)
        # The sum of a row of logits is one product with the sum of the table, without padding's row.
        row_sum = (weight.sum(dim=0) - weight[PAD]).float()
        hidden_gradient = torch.empty_like(hidden)
        weight_gradient = torch.zeros_like(weight)
        loss = hidden.new_zeros((), dtype=torch.float32)
        negative = hidden.new_zeros((), dtype=torch.float32)
        for first in range(0, len(gold), rows):
            part, labels = hidden[first : first + rows], gold[first : first + rows, None]
            # Not a matrix product: autocast would round it to the type of the logits.
            total = (part.float() * row_sum).sum(dim=-1, keepdim=True)
            # (n,M) x (M,V) -> (n,V), of which the gradient takes the place
            gradient = part @ table.t()
            normaliser, right = logits_gradient_(gradient, labels, smoothing)
            nll = normaliser - right
            wrong = (others * normaliser - (total - right)) * share
            negative += nll.sum()
            loss += ((1.0 - smoothing) * nll + wrong).sum()
            torch.mm(gradient, table, out=hidden_gradient[first : first + rows])
            weight_gradient += gradient.t() @ part
        ctx.save_for_backward(hidden_gradient, weight_gradient)
        ctx.mark_non_differentiable(negative)
        return loss, negative

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, loss_gradient: Tensor, _: Tensor) -> tuple[Tensor, Tensor, None, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Scale what the forward pass kept."""
        hidden_gradient, weight_gradient = ctx.saved_tensors
        return hidden_gradient * loss_gradient, weight_gradient * loss_gradient, None, None, None
