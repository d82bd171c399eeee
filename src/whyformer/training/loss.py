"""Cross-entropy with label smoothing, and R-Drop over it, without ever holding all logits.

N real tokens · n those of a slice · M model dimension · V vocabulary
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from pydantic import Field
from torch import Tensor
from torch.autograd.function import once_differentiable

from whyformer.kernels.cross_entropy import less_target_, logits_gradient_, real_softmax
from whyformer.nn.embedding import token_logits
from whyformer.spec import Spec
from whyformer.special_tokens import PAD


class SmoothingSpec(Spec):
    """Target distribution that a model is trained to predict."""

    label_smoothing: float = Field(default=0.1, ge=0.0, lt=1.0)
    """Share of probability taken from the true token and spread over all other real tokens; 0 = off."""


class LossSpec(SmoothingSpec):
    """Target distribution that the model is trained to predict, and agreement that is asked of it besides."""

    r_drop: float = Field(default=0.0, ge=0.0)
    """Weight α of R-Drop (Wu et al. 2021, section 2): each batch is read twice under different dropout, and
    the two predictions of each token are drawn together; 0 = off. A step costs two, and gains nothing where
    there is no dropout. The paper translates with 5."""


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


def reference_r_drop_loss(
    hidden: Tensor, weight: Tensor, gold: Tensor, smoothing: float, alpha: float
) -> TokenLoss:
    """The definition: mean cross-entropy of two readings, and α/4 of both divergences between them.

    That is half of Wu et al. 2021, equation 4, (CE₁ + CE₂) + α·½·(KL(1‖2) + KL(2‖1)), so that without
    dropout it is the loss of one reading, and α means what it means there.

    Args:
        hidden: (2N,M) states of the first reading, then those of the second, in the same order.
        weight: (V,M) output table.
        gold: (N,) the tokens to predict, none of them padding.
        smoothing: ε of both cross-entropies.
        alpha: α.

    Returns:
        Sums over N tokens; the likelihood is the mean of both readings'.
    """
    both = reference_token_loss(hidden, weight, gold.repeat(2), smoothing)
    log_probability = token_logits(hidden, weight).float().log_softmax(dim=-1)
    real = torch.cat([log_probability[:, :PAD], log_probability[:, PAD + 1 :]], dim=-1)
    one, other = real.chunk(2)
    # KL(1‖2) + KL(2‖1): both logarithms' differences, weighted by the probabilities' own
    divergence = ((one.exp() - other.exp()) * (one - other)).sum()
    return TokenLoss(both.loss / 2 + alpha / 4 * divergence, both.negative_log_likelihood / 2, len(gold))


def r_drop_loss(
    hidden: Tensor, weight: Tensor, gold: Tensor, smoothing: float, alpha: float, *, rows: int = 512
) -> TokenLoss:
    """The same sums and gradients, ``rows`` predictions at a time, half of them of each reading."""
    if not torch.is_grad_enabled():
        step = max(1, rows // 2)
        one, other = hidden.chunk(2)
        parts = [
            reference_r_drop_loss(
                torch.cat([one[first:last], other[first:last]]), weight, gold[first:last], smoothing, alpha
            )
            for first in range(0, len(gold), step)
            for last in [first + step]
        ]
        return _summed(parts, hidden)
    loss, negative = _SlicedRDrop.apply(hidden, weight, gold, smoothing, alpha, rows)
    return TokenLoss(loss, negative, len(gold))


def _sliced(hidden: Tensor, weight: Tensor, gold: Tensor, smoothing: float, rows: int) -> TokenLoss:
    parts = [
        reference_token_loss(hidden[first : first + rows], weight, gold[first : first + rows], smoothing)
        for first in range(0, len(gold), rows)
    ]
    return _summed(parts, hidden)


def _summed(parts: Sequence[TokenLoss], like: Tensor) -> TokenLoss:
    """The sums over all ``parts``, on the device of ``like``."""
    zero = like.new_zeros((), dtype=torch.float32)
    return TokenLoss(
        sum((part.loss for part in parts), start=zero),
        sum((part.negative_log_likelihood for part in parts), start=zero),
        sum(part.tokens for part in parts),
    )


class _OutputTable:
    """The output table for slices, and what the sums over all of its rows need."""

    def __init__(self, weight: Tensor, kind: torch.dtype, smoothing: float) -> None:
        """Take ``weight`` (V,M), in the type ``kind`` of hidden states, and ``smoothing``, the ε."""
        self.rows = weight.to(kind)
        self._smoothing = smoothing
        self._others = weight.shape[0] - 2
        # The sum of a row of logits is one product with the sum of the table, without padding's row.
        self._row_sum = (weight.sum(dim=0) - weight[PAD]).float()

    def read(self, part: Tensor, labels: Tensor) -> "_Slice":
        """Predictions from ``part`` (n,M), where ``labels`` (n,1) are right."""
        # (n,M) x (M,V) -> (n,V); the column of padding is left out of every sum
        logits = part @ self.rows.t()
        probability, normaliser, right = real_softmax(logits, labels)
        return _Slice(logits, normaliser, probability, *self.sums(part, normaliser, right))

    def sums(self, part: Tensor, normaliser: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
        """Loss and negative log-likelihood of predictions from ``part`` (n,M), summed.

        ``normaliser`` (n,1) is the logarithm of the sum of the logits' exponentials, ``right`` (n,1) the true
        tokens' logits.
        """
        # Not a matrix product: autocast would round it to the type of the logits.
        total = (part.float() * self._row_sum).sum(dim=-1, keepdim=True)
        nll = normaliser - right
        wrong = (self._others * normaliser - (total - right)) * (self._smoothing / self._others)
        return ((1.0 - self._smoothing) * nll + wrong).sum(), nll.sum()


class _Slice(NamedTuple):
    """Predictions of some tokens, and the sums over them."""

    logits: Tensor
    """(n,V), padding's -inf."""
    normaliser: Tensor
    """(n,1) logarithm of the sum of their exponentials."""
    probability: Tensor
    """(n,V) in fp32."""
    loss: Tensor
    negative_log_likelihood: Tensor


class _GradientInForward(torch.autograd.Function):
    """A loss whose forward pass keeps the gradients of its first two inputs, hidden states and table."""

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, loss_gradient: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Scale what the forward pass kept."""
        hidden_gradient, weight_gradient = ctx.saved_tensors
        others = (None,) * (len(ctx.needs_input_grad) - 2)
        return hidden_gradient * loss_gradient, weight_gradient * loss_gradient, *others


class _SlicedLoss(_GradientInForward):
    """d loss / d logits = softmax - target distribution, so no graph over the logits is needed."""

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, gold: Tensor, smoothing: float, rows: int
    ) -> tuple[Tensor, Tensor]:
        """Sum the loss slice by slice and keep the gradients of hidden states and table."""
        table = _OutputTable(weight, hidden.dtype, smoothing)
        hidden_gradient = torch.empty_like(hidden)
        weight_gradient = torch.zeros_like(weight)
        loss = hidden.new_zeros((), dtype=torch.float32)
        negative = hidden.new_zeros((), dtype=torch.float32)
        for first in range(0, len(gold), rows):
            part, labels = hidden[first : first + rows], gold[first : first + rows, None]
            # (n,M) x (M,V) -> (n,V), of which the gradient takes the place
            gradient = part @ table.rows.t()
            sums = table.sums(part, *logits_gradient_(gradient, labels, smoothing))
            loss += sums[0]
            negative += sums[1]
            torch.mm(gradient, table.rows, out=hidden_gradient[first : first + rows])
            weight_gradient += gradient.t() @ part
        ctx.save_for_backward(hidden_gradient, weight_gradient)
        ctx.mark_non_differentiable(negative)
        return loss, negative


class _SlicedRDrop(_GradientInForward):
    """Gradients of R-Drop in the logits z of both readings, whose probabilities are p and q, slice by slice.

    With d = log p - log q, the divergences KL(p‖q) + KL(q‖p) = Σ (p - q)·d have the derivatives
    p·(d - KL(p‖q)) + (p - q) in the logits of p, and -q·(d + KL(q‖p)) - (p - q) in those of q.
    """

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, gold: Tensor, smoothing: float, alpha: float, rows: int
    ) -> tuple[Tensor, Tensor]:
        """Sum the loss slice by slice and keep the gradients of hidden states and table."""
        table = _OutputTable(weight, hidden.dtype, smoothing)
        hidden_gradient = torch.empty_like(hidden)
        weight_gradient = torch.zeros_like(weight)
        loss = hidden.new_zeros((), dtype=torch.float32)
        negative = hidden.new_zeros((), dtype=torch.float32)
        step, count = max(1, rows // 2), len(gold)
        for first in range(0, count, step):
            last = min(first + step, count)
            labels = gold[first:last, None]
            places = slice(first, last), slice(count + first, count + last)
            one, other = (table.read(hidden[place], labels) for place in places)
            divergence, apart = _drawn_together(one, other)
            negative += (one.negative_log_likelihood + other.negative_log_likelihood) / 2
            loss += (one.loss + other.loss) / 2 + alpha / 4 * divergence
            for place, read, away in zip(places, (one, other), apart, strict=True):
                exact = less_target_(read.probability, labels, smoothing).div_(2).add_(away, alpha=alpha / 4)
                gradient = exact.to(hidden.dtype)
                torch.mm(gradient, table.rows, out=hidden_gradient[place])
                weight_gradient += gradient.t() @ hidden[place]
        ctx.save_for_backward(hidden_gradient, weight_gradient)
        ctx.mark_non_differentiable(negative)
        return loss, negative


def _drawn_together(one: _Slice, other: _Slice) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """The sum of both divergences between two readings, and its derivatives (n,V) in the logits of each."""
    p, q = one.probability, other.probability
    # log p - log q; of padding, which neither ever predicts, there is none
    apart = (one.logits.float() - one.normaliser).sub_(other.logits.float() - other.normaliser)
    apart[:, PAD] = 0.0
    to_other = (p * apart).sum(dim=-1, keepdim=True)
    to_one = (q * apart).sum(dim=-1, keepdim=True).neg_()
    difference = p - q
    in_one = (apart - to_other).mul_(p).add_(difference)
    in_other = (apart + to_one).mul_(q).add_(difference).neg_()
    return (to_other + to_one).sum(), (in_one, in_other)
