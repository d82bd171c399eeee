"""Softmax over keys under a penalty, in one pass forward and one backward.

B batch · H heads · Q query length · K key length
"""

import ctypes
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from whyformer.kernels.library import learns, required


class _Softmax(ctypes.Structure):
    """See ``source/softmax.h``, whose order of fields is this one's."""

    _fields_: ClassVar = [
        (name, ctypes.c_int64) for name in ("batch", "heads", "queries", "keys", "by_batch", "by_query")
    ]


def softmax_over_keys(logits: Tensor, penalty: Tensor | None) -> Tensor:
    """The softmax of ``logits`` (B,H,Q,K) plus ``penalty`` (B|1,1,Q|1,K) of their type, or None for none."""
    fits = penalty is None or (penalty.shape[1] == 1 and penalty.shape[3] == logits.shape[3])
    if logits.dim() == 4 and logits.numel() and fits and learns(logits):
        weights: Tensor = _KeySoftmax.apply(logits, penalty)
        return weights
    return (logits if penalty is None else logits + penalty).softmax(dim=-1)


class _KeySoftmax(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, penalty: Tensor | None) -> Tensor:
        logits, weights = logits.contiguous(), torch.empty(logits.shape, dtype=logits.dtype)
        by_batch = by_query = 0
        if penalty is not None:
            penalty = penalty.contiguous()
            by_batch, by_query = (penalty.stride(axis) if penalty.shape[axis] > 1 else 0 for axis in (0, 2))
        told = _Softmax(*logits.shape, by_batch, by_query)
        required().whyformer_softmax(
            *(logits.dtype == torch.bfloat16, ctypes.byref(told), logits.data_ptr()),
            *(None if penalty is None else penalty.data_ptr(), weights.data_ptr(), torch.get_num_threads()),
        )
        ctx.save_for_backward(weights)
        return weights

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        (weights,) = ctx.saved_tensors
        gradient, to_logits = gradient.contiguous(), torch.empty_like(weights)
        keys = weights.shape[-1]
        required().whyformer_softmax_gradient(
            *(weights.dtype == torch.bfloat16, weights.data_ptr(), gradient.data_ptr(), to_logits.data_ptr()),
            *(weights.numel() // keys, keys, torch.get_num_threads()),
        )
        return to_logits, None
