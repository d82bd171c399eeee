"""The compiled kernels, and whether they can take a tensor."""

import ctypes
import functools
from ctypes import c_bool, c_float, c_int64, c_void_p
from pathlib import Path

import torch
from torch import Tensor

from whyformer.kernels.build import KERNELS, kernels_fingerprint

_TYPES = (torch.float32, torch.bfloat16)


@functools.cache
def kernels(path: Path = KERNELS) -> ctypes.CDLL | None:
    """The functions of the library at ``path``, typed; None where none is for these sources and here."""
    if not path.exists():
        return None
    try:
        loaded = ctypes.CDLL(str(path))
        loaded.whyformer_fingerprint.restype = c_int64
        loaded.whyformer_runs_here.restype = c_bool
        if loaded.whyformer_fingerprint() != kernels_fingerprint() or not loaded.whyformer_runs_here():
            return None
    except (OSError, AttributeError):
        return None
    loaded.whyformer_cross_entropy.argtypes = [
        *(c_bool, c_void_p, c_void_p, c_void_p, c_void_p),
        *(c_int64, c_int64, c_int64, c_float, c_float, c_int64),
    ]
    loaded.whyformer_cross_entropy.restype = None
    return loaded


def takes(*tensors: Tensor) -> bool:
    """Whether the kernels are there and take ``tensors``: on the CPU, all fp32 or all bf16."""
    first = tensors[0]
    return (
        first.dtype in _TYPES
        and all(x.device.type == "cpu" and x.dtype == first.dtype for x in tensors)
        and kernels() is not None
    )
