"""The compiled kernels, and whether they can take a tensor."""

import ctypes
import functools
from collections.abc import Callable, Generator
from contextlib import contextmanager
from ctypes import c_bool, c_float, c_int64, c_void_p
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from whyformer.kernels.build import KERNELS, kernels_fingerprint
from whyformer.kernels.place import on_cpu

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
    loaded.whyformer_residual_norm.argtypes = [c_bool, *[c_void_p] * 6, c_int64]
    loaded.whyformer_residual_norm_gradient.argtypes = [c_bool, *[c_void_p] * 6, c_int64]
    loaded.whyformer_random_words.argtypes = [c_int64, c_void_p, c_int64, c_int64]
    loaded.whyformer_rectify.argtypes = [c_bool, *[c_void_p] * 2, c_int64]
    loaded.whyformer_rectify_gradient.argtypes = [c_bool, *[c_void_p] * 4, c_int64]
    loaded.whyformer_rms_norm.argtypes = [c_bool, *[c_void_p] * 3, c_int64]
    loaded.whyformer_rms_norm_gradient.argtypes = [c_bool, *[c_void_p] * 5, c_int64]
    loaded.whyformer_softmax.argtypes = [c_bool, *[c_void_p] * 4, c_int64]
    loaded.whyformer_softmax_gradient.argtypes = [c_bool, *[c_void_p] * 3, *[c_int64] * 3]
    for each in (
        *(loaded.whyformer_cross_entropy, loaded.whyformer_residual_norm),
        *(loaded.whyformer_residual_norm_gradient, loaded.whyformer_softmax),
        *(loaded.whyformer_softmax_gradient, loaded.whyformer_rms_norm),
        *(loaded.whyformer_rms_norm_gradient, loaded.whyformer_rectify, loaded.whyformer_rectify_gradient),
        loaded.whyformer_random_words,
    ):
        each.restype = None
    return loaded


def required() -> ctypes.CDLL:
    """The functions of the library, which is known to be there."""
    if _idle:
        return cast(ctypes.CDLL, _Idle())
    loaded = kernels()
    assert loaded is not None, "whoever asks has asked `takes` before"
    return loaded


class _Idle:
    """Functions that compute nothing."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_: None


_idle = False


@contextmanager
def idle_kernels() -> Generator[None]:
    """Let the kernels compute nothing within, for a look at what they allocate."""
    global _idle
    before, _idle = _idle, True
    try:
        yield
    finally:
        _idle = before


def learns(*tensors: Tensor) -> bool:
    """Whether the kernels take ``tensors``, and a gradient of one of them will be asked for.

    What is not trained keeps to torch's own arithmetic, whose last bits others are compared with.
    """
    return torch.is_grad_enabled() and any(x.requires_grad for x in tensors) and takes(*tensors)


def takes(*tensors: Tensor) -> bool:
    """Whether the kernels are there and take ``tensors``: on the CPU, all fp32 or all bf16."""
    first = tensors[0]
    return (
        first.dtype in _TYPES
        and all(on_cpu(x) and x.dtype == first.dtype for x in tensors)
        and are_callable()
    )


def are_callable() -> bool:
    """Whether the kernels are there, and may be called now."""
    # A compiler cannot follow what reads memory by its address; it fuses passes itself.
    return not torch.compiler.is_compiling() and kernels() is not None
