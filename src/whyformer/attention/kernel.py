"""Which body computes an attention, and torch's own.

B batch · Q query length · K key length · H heads · D head dimension
"""

from typing import Literal

import torch
from torch import Tensor, nn

from whyformer.attention.mask import Mask
from whyformer.attention.score import Dot, Score
from whyformer.dropout import Dropout
from whyformer.kernels.place import on_cpu

# From this many logits a head on, a CPU takes a kernel whose memory does not grow with them; for sentences
# batched products (docs/log.md has where the one overtakes the other).
LONG = 512 * 512

Body = Literal["plain", "fused", "blocked"]
"""The ways to compute the same: the definition, torch's kernel, or the definition block by block."""


def choose(
    query: Tensor, key: Tensor, *, score: Score, bias: Tensor | None, mask: Mask, dropout: Dropout
) -> Body:
    """Which body can do it and is fastest: torch's on an accelerator, and for what is long on a CPU.

    A CPU's has no gradient for a bias, holds whatever mask it is given, and is slow with dropout. So there
    a learned bias takes the plain body, and without a bias a narrow mask and dropout go block by block.
    """
    if not isinstance(score, Dot):
        return "plain"
    if not on_cpu(query):
        return "fused"
    if query.shape[-2] * key.shape[-2] < LONG or (bias is not None and bias.requires_grad):
        return "plain"
    return "blocked" if bias is None and (mask.narrow or dropout.acts) else "fused"


def fused(
    query: Tensor, key: Tensor, value: Tensor, *, bias: Tensor | None, mask: Mask, dropout: Dropout
) -> Tensor:
    """The same context by ``scaled_dot_product_attention``, which never holds all weights at once."""
    penalty = None if mask.is_plain_causal and bias is None else mask.penalty(query.dtype)
    if bias is not None:
        penalty = bias.to(query.dtype) if penalty is None else penalty + bias.to(query.dtype)
    context = nn.functional.scaled_dot_product_attention(
        query,
        key,
        value,
        attn_mask=penalty,
        dropout_p=dropout.rate if dropout.acts else 0.0,
        is_causal=mask.is_plain_causal and bias is None,
        scale=1.0,
    )
    return context if mask.reachable is None else context * mask.reachable.to(torch.bool)
