"""Residual, dropout and LayerNorm in one pass, forward and backward.

N tokens · M model dimension
"""

import ctypes
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from whyformer.kernels.library import learns, required

DROPOUT_LEVELS = 1 << 16
"""Steps in which the probability of dropout is met."""


class Residual(ctypes.Structure):
    """A branch, its dropout and its norm: see ``source/residual.h``, whose order of fields is this one's."""

    _fields_: ClassVar = [
        *((name, ctypes.c_void_p) for name in ("random", "gain", "deviation")),
        *((name, ctypes.c_int64) for name in ("rows", "columns")),
        *(("level", ctypes.c_int32), ("scale", ctypes.c_float), ("epsilon", ctypes.c_float)),
    ]


def can_normalise(x: Tensor, branch: Tensor, gain: Tensor, shift: Tensor) -> bool:
    """Whether ``residual_norm`` takes these, and a gradient will be asked for."""
    return (
        learns(x, branch)  # first, as in a search nothing does
        and x.shape == branch.shape
        and x.numel() > 0
        and gain.dtype == shift.dtype == torch.float32
    )


def residual_norm(
    x: Tensor, branch: Tensor, gain: Tensor, shift: Tensor, epsilon: float, drawn: tuple[Tensor, int] | None
) -> Tensor:
    """LayerNorm of ``x`` plus the ``branch`` after dropout.

    Args:
        x: (…,M), fp32 or bf16.
        branch: the same shape and type.
        gain: (M) fp32.
        shift: (M) fp32.
        epsilon: added to the variance.
        drawn: random int16 of the branch's shape, and how many of their 65,536 values drop; None drops none.
    """
    random, level = (None, 0) if drawn is None else drawn
    normal: Tensor = _ResidualNorm.apply(
        x.contiguous(), branch.contiguous(), gain, shift, epsilon, random, level
    )
    return normal


def _told(
    x: Tensor, random: Tensor | None, level: int, gain: Tensor, deviation: Tensor, epsilon: float
) -> Residual:
    told = dropped(x, random, level)
    told.gain, told.deviation, told.epsilon = gain.data_ptr(), deviation.data_ptr(), epsilon
    return told


def dropped(x: Tensor, random: Tensor | None, level: int) -> Residual:
    """Dropout of ``x`` (…,M) by ``random`` numbers of its shape, of which ``level`` values drop."""
    columns = x.shape[-1]
    return Residual(
        random=None if random is None else random.data_ptr(),
        rows=x.numel() // columns,
        columns=columns,
        level=level - DROPOUT_LEVELS // 2,
        scale=DROPOUT_LEVELS / (DROPOUT_LEVELS - level),
    )


class _ResidualNorm(torch.autograd.Function):
    """The random numbers are kept instead of a mask: they are as large, and need no pass."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        branch: Tensor,
        gain: Tensor,
        shift: Tensor,
        epsilon: float,
        random: Tensor | None,
        level: int,
    ) -> Tensor:
        joined, normal = torch.empty_like(x), torch.empty_like(x)
        deviation = x.new_empty(2, x.numel() // x.shape[-1], dtype=torch.float32)
        told = _told(x, random, level, gain, deviation, epsilon)
        required().whyformer_residual_norm(
            *(x.dtype == torch.bfloat16, ctypes.byref(told), x.data_ptr(), branch.data_ptr()),
            *(shift.data_ptr(), joined.data_ptr(), normal.data_ptr(), torch.get_num_threads()),
        )
        ctx.save_for_backward(joined, gain, deviation, random)
        ctx.level, ctx.epsilon = level, epsilon
        return normal

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        joined, gain, deviation, random = ctx.saved_tensors
        gradient = gradient.contiguous()
        to_x = torch.empty_like(joined)
        to_branch = to_x if random is None else torch.empty_like(joined)
        to_norm = gain.new_empty(2, len(gain))
        told = _told(joined, random, ctx.level, gain, deviation, ctx.epsilon)
        required().whyformer_residual_norm_gradient(
            *(joined.dtype == torch.bfloat16, ctypes.byref(told), joined.data_ptr(), gradient.data_ptr()),
            *(to_x.data_ptr(), None if random is None else to_branch.data_ptr()),
            *(to_norm.data_ptr(), torch.get_num_threads()),
        )
        return to_x, to_branch, to_norm[0], to_norm[1], None, None, None
