"""Gradient of the cross-entropy in the place of the logits.

N rows · V vocabulary
"""

import torch
from torch import Tensor

from whyformer.kernels.library import required, takes
from whyformer.special_tokens import PAD


def logits_gradient_(logits: Tensor, gold: Tensor, smoothing: float) -> tuple[Tensor, Tensor]:
    """Turn logits into the gradient of the smoothed cross-entropy: softmax less target distribution.

    Args:
        logits: (N,V), without gaps; overwritten. The column of padding counts for nothing and gets 0.
        gold: (N,1) int64, the true tokens, none of them padding.
        smoothing: share of the target distribution that the V-2 wrong tokens have.

    Returns:
        Logarithm of each row's sum of exponentials, and the logit of its true token: each (N,1) fp32.
    """
    if not takes(logits):
        probability, normaliser, right = real_softmax(logits, gold)
        logits.copy_(less_target_(probability, gold, smoothing))
        return normaliser, right
    columns = logits.shape[1]
    normaliser, right = logits.new_empty(2, len(logits), 1, dtype=torch.float32)
    required().whyformer_cross_entropy(
        *(logits.dtype == torch.bfloat16, logits.data_ptr(), gold.contiguous().data_ptr()),
        *(normaliser.data_ptr(), right.data_ptr(), len(logits), columns, PAD),
        *(smoothing / (columns - 2), 1.0 - smoothing, torch.get_num_threads()),
    )
    return normaliser, right


def real_softmax(logits: Tensor, gold: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Probabilities of ``logits`` (N,V), whose column of padding is set to -inf.

    Returns:
        Probabilities (N,V) in fp32; logarithm of each row's sum of exponentials, and the logit of its true
        token, of ``gold`` (N,1): each (N,1) fp32.
    """
    right = logits.gather(-1, gold).float()
    logits[:, PAD] = -torch.inf
    probability = logits.softmax(dim=-1, dtype=torch.float32)
    # The largest logit has a probability far from zero, so its logarithm is exact.
    largest = logits.amax(dim=-1, keepdim=True).float()
    return probability, largest - probability.amax(dim=-1, keepdim=True).log(), right


def less_target_(probability: Tensor, gold: Tensor, smoothing: float) -> Tensor:
    """Take the smoothed target distribution of ``gold`` (N,1) from ``probability`` (N,V), in its place."""
    share = smoothing / (probability.shape[1] - 2)
    probability.sub_(share)
    probability[:, PAD] = 0.0
    true = torch.full_like(gold, share - (1.0 - smoothing), dtype=probability.dtype)
    return probability.scatter_add_(-1, gold, true)
