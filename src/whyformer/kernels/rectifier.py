"""ReLU and dropout in one pass and in place, forward and backward."""

import ctypes
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from whyformer.kernels.library import learns, required
from whyformer.kernels.residual import dropped


def can_rectify(x: Tensor) -> bool:
    """Whether ``rectified`` takes ``x``, and a gradient will be asked for."""
    return learns(x) and not x.is_leaf and x.is_contiguous() and x.numel() > 0


def rectified(x: Tensor, drawn: tuple[Tensor, int] | None) -> Tensor:
    """max(x, 0) after dropout, in the memory of ``x``, which nobody else may need any more.

    Args:
        x: (any shape), fp32 or bf16, without gaps.
        drawn: random int16 of that shape, and how many of their 65,536 values drop; None drops none.
    """
    random, level = (None, 0) if drawn is None else drawn
    left: Tensor = _Rectified.apply(x, random, level)
    return left


class _Rectified(torch.autograd.Function):
    """Only what is left is kept: it is zero wherever no gradient passes."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, random: Tensor | None, level: int) -> Tensor:
        ctx.mark_dirty(x)
        told = dropped(x, random, level)
        required().whyformer_rectify(
            x.dtype == torch.bfloat16, ctypes.byref(told), x.data_ptr(), torch.get_num_threads()
        )
        ctx.save_for_backward(x)
        ctx.level = level
        return x

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        (left,) = ctx.saved_tensors
        gradient, to_x = gradient.contiguous(), torch.empty_like(left)
        told = dropped(left, None, ctx.level)
        required().whyformer_rectify_gradient(
            *(left.dtype == torch.bfloat16, ctypes.byref(told), left.data_ptr(), gradient.data_ptr()),
            *(to_x.data_ptr(), torch.get_num_threads()),
        )
        return to_x, None, None
