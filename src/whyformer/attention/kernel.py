"""The one place that owns the softmax.

B batch · Q query length · K key length · H heads · D head dimension
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from whyformer.attention.mask import Mask
from whyformer.attention.score import Dot, Score
from whyformer.dropout import Dropout
from whyformer.tap import Tap

# From this many logits a head on, a CPU takes the fused kernel, whose memory does not grow with them; for
# sentences batched products. Where exactly the one overtakes the other has not been measured yet.
LONG = 256 * 256


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
    listening = taps.scores.listening or taps.weights.listening
    if not (need_weights or listening) and prefers_fused(query, key, score, bias):
        return taps.context(fused(query, key, value, bias=bias, mask=mask, dropout=dropout)), None
    logits = taps.scores(score(query, key))
    penalty = mask.penalty(logits.dtype)
    if bias is not None:
        logits = logits + bias
    if penalty is not None:
        logits = logits + penalty
    weights = logits.softmax(dim=-1)
    if mask.reachable is not None:
        weights = weights * mask.reachable
    weights = dropout(taps.weights(weights))
    return taps.context(weights @ value), weights


def prefers_fused(query: Tensor, key: Tensor, score: Score, bias: Tensor | None) -> bool:
    """Whether the fused kernel can do it and is faster: on an accelerator always, from ``LONG`` on a CPU.

    A CPU's has no gradient for a bias, so there a learned one takes the plain body.
    """
    if not isinstance(score, Dot):
        return False
    if query.device.type != "cpu":
        return True
    return query.shape[-2] * key.shape[-2] >= LONG and (bias is None or not bias.requires_grad)


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
        dropout_p=dropout.probability if dropout.training else 0.0,
        is_causal=mask.is_plain_causal and bias is None,
        scale=1.0,
    )
    return context if mask.reachable is None else context * mask.reachable.to(torch.bool)
