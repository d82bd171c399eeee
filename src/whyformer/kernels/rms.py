"""Unit mean square and a gain in one pass, forward and backward.

N rows · M components
"""

import ctypes
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from whyformer.kernels.library import learns, required


class _RootMeanSquare(ctypes.Structure):
    """See ``source/rms.h``, whose order of fields is this one's."""

    _fields_: ClassVar = [
        *((name, ctypes.c_void_p) for name in ("gain", "scale")),
        *((name, ctypes.c_int64) for name in ("rows", "columns")),
        ("epsilon", ctypes.c_float),
    ]


def rms_norm(x: Tensor, gain: Tensor, epsilon: float) -> Tensor:
    """Divide ``x`` (…,M) by the root of its mean square plus ``epsilon``, and multiply it by ``gain`` (M)."""
    if x.numel() and gain.dtype == torch.float32 and learns(x):
        # Heads that were split stay where the projection wrote them: (B,H,L,D) -> (B,L,H,D), without gaps.
        turned = x.dim() == 4 and not x.is_contiguous()
        rows = (x.transpose(1, 2) if turned else x).contiguous()
        normal: Tensor = _RMSNorm.apply(rows, gain, epsilon)
        return normal.transpose(1, 2) if turned else normal
    return F.rms_norm(x, gain.shape, gain.to(x.dtype), epsilon)


class _RMSNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, gain: Tensor, epsilon: float) -> Tensor:
        normal = torch.empty_like(x)
        scale = x.new_empty(x.numel() // len(gain), dtype=torch.float32)
        told = _RootMeanSquare(gain.data_ptr(), scale.data_ptr(), len(scale), len(gain), epsilon)
        required().whyformer_rms_norm(
            *(x.dtype == torch.bfloat16, ctypes.byref(told)),
            *(x.data_ptr(), normal.data_ptr(), torch.get_num_threads()),
        )
        ctx.save_for_backward(x, gain, scale)
        return normal

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        x, gain, scale = ctx.saved_tensors
        gradient, to_x, to_gain = gradient.contiguous(), torch.empty_like(x), torch.empty_like(gain)
        told = _RootMeanSquare(gain.data_ptr(), scale.data_ptr(), len(scale), len(gain), 0.0)
        required().whyformer_rms_norm_gradient(
            *(x.dtype == torch.bfloat16, ctypes.byref(told), x.data_ptr(), gradient.data_ptr()),
            *(to_x.data_ptr(), to_gain.data_ptr(), torch.get_num_threads()),
        )
        return to_x, to_gain, None
