"""The one place that owns the softmax.

B batch · Q query length · K key length · H heads · D head dimension
"""

from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from whyformer.attention.blocked import blocked
from whyformer.attention.mask import Mask
from whyformer.attention.score import Dot, Score
from whyformer.dropout import Dropout
from whyformer.tap import Tap

# From this many logits a head on, a CPU takes a kernel whose memory does not grow with them; for sentences
# batched products (docs/log.md has where the one overtakes the other).
LONG = 512 * 512

Body = Literal["plain", "fused", "blocked"]
"""The ways to compute the same: the definition, torch's kernel, or the definition block by block."""


class Taps(nn.Module):
    """Where to listen inside one attention: scores and weights (B,H,Q,K), context (B,H,Q,D)."""

    def __init__(self) -> None:
        super().__init__()
        self.scores = Tap()
        self.weights = Tap()
        self.context = Tap()


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    score: Score,
    bias: Tensor | None,
    mask: Mask,
    dropout: Dropout,
    need_weights: bool,
    taps: Taps,
) -> tuple[Tensor, Tensor | None]:
    """Softmax attention (Vaswani et al. 2017, equation 1): each query takes a weighted mean of the values.

    Args:
        query: (B,H,Q,D), already prepared (scaled) by the score.
        key: (B,H,K,D).
        value: (B,H,K,D).
        score: turns queries and keys into logits.
        bias: what position schemes add to the logits, (B,H,Q,K) or broadcastable, or None.
        mask: who may attend to whom. A query that may see no key gets zeros and gives zero gradients.
        dropout: acts on the weights.
        need_weights: whether the caller reads the weights; the fused kernel never forms them.
        taps: where to listen.

    Returns:
        Context (B,H,Q,D), and the weights (B,H,Q,K) after dropout, or None where none were formed.
    """
    watched = need_weights or taps.scores.listening or taps.weights.listening
    match "plain" if watched else choose(query, key, score=score, bias=bias, mask=mask, dropout=dropout):
        case "fused":
            context, weights = fused(query, key, value, bias=bias, mask=mask, dropout=dropout), None
        case "blocked":
            steps = partial(_context, score=score, dropout=dropout)
            context, weights = blocked(steps, query, key, value, mask), None
        case "plain":
            logits = taps.scores(score(query, key))
            weights = dropout(taps.weights(weigh(logits if bias is None else logits + bias, mask)))
            context = weights @ value
    return taps.context(context), weights


def weigh(logits: Tensor, mask: Mask) -> Tensor:
    """The softmax of ``logits`` (B,H,Q,K) over the keys that the mask allows: weights (B,H,Q,K)."""
    penalty = mask.penalty(logits.dtype)
    weights = (logits if penalty is None else logits + penalty).softmax(dim=-1)
    return weights if mask.reachable is None else weights * mask.reachable


def choose(
    query: Tensor, key: Tensor, *, score: Score, bias: Tensor | None, mask: Mask, dropout: Dropout
) -> Body:
    """Which body can do it and is fastest: torch's on an accelerator, and for what is long on a CPU.

    A CPU's has no gradient for a bias, holds whatever mask it is given, and is slow with dropout. So there
    a learned bias takes the plain body, and without a bias a narrow mask and dropout go block by block.
    """
    if not isinstance(score, Dot):
        return "plain"
    if query.device.type != "cpu":
        return "fused"
    if query.shape[-2] * key.shape[-2] < LONG or (bias is not None and bias.requires_grad):
        return "plain"
    return "blocked" if bias is None and (mask.narrow or dropout.acts) else "fused"


def _context(
    query: Tensor, key: Tensor, value: Tensor, mask: Mask, *, score: Score, dropout: Dropout
) -> Tensor:
    return dropout(weigh(score(query, key), mask)) @ value


def fused(
    query: Tensor, key: Tensor, value: Tensor, *, bias: Tensor | None, mask: Mask, dropout: Dropout
) -> Tensor:
    """The same context by ``scaled_dot_product_attention``, which never holds all weights at once."""
    penalty = None if mask.is_plain_causal and bias is None else mask.penalty(query.dtype)
    if bias is not None:
        penalty = bias.to(query.dtype) if penalty is None else penalty + bias.to(query.dtype)
    context = F.scaled_dot_product_attention(
        query,
        key,
        value,
        attn_mask=penalty,
        dropout_p=dropout.probability if dropout.acts else 0.0,
        is_causal=mask.is_plain_causal and bias is None,
        scale=1.0,
    )
    return context if mask.reachable is None else context * mask.reachable.to(torch.bool)
