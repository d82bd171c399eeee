"""Dropout whose mask is cheap on a CPU."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

from whyformer.kernels.place import on_cpu
from whyformer.kernels.random import random_words
from whyformer.kernels.residual import DROPOUT_LEVELS


class Dropout(nn.Module):
    """Inverted dropout: zero with probability p, scale the rest by 1 / (1 - p) (Srivastava et al. 2014).

    A CPU draws one Bernoulli number an element slowly, so there the mask is cut from random 64-bit
    words, 16 bits an element: p is met to within 1 / 131,072, and the scale uses the p in fact used,
    so that the mean stays what it was but for the rounding of the scale to the type of ``x``. Other
    devices use torch's own kernel.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability
        self.share = 1.0
        """Share of the probability that counts for now: see ``training.optimization.dropout``."""

    @property
    def rate(self) -> float:
        """The probability by which elements are dropped for now."""
        return self.probability * self.share

    @property
    def acts(self) -> bool:
        """Whether anything is dropped at all: in training only."""
        return self.training and self.rate > 0.0

    def drawn(self, like: Tensor) -> tuple[Tensor, int] | None:
        """Numbers of ``drawn_numbers`` for ``like`` (any shape); None where nothing is dropped."""
        return drawn_numbers(like, self.rate) if self.acts else None

    @override
    def __call__(self, x: Tensor) -> Tensor:
        # A step of a search has hundreds of these, and a module's call costs what a small sum costs.
        return super().__call__(x) if self.acts else x

    def forward(self, x: Tensor) -> Tensor:
        """Drop elements of ``x`` (any shape) in training; the identity otherwise."""
        if not self.acts:
            return x
        if not on_cpu(x):
            return F.dropout(x, self.rate)
        return x * keep_mask(x, self.rate)

    def extra_repr(self) -> str:
        """Show the probability when printed."""
        return f"probability={self.probability}"


def keep_mask(like: Tensor, probability: float) -> Tensor:
    """A mask of the type and shape of ``like`` (any): 0 where dropped, 1 / (1 - p) where kept."""
    halves, level = drawn_numbers(like, probability)
    # 1 where kept, 0 where dropped, in place of the random numbers: nothing new to fill, no type to change.
    kept = torch.ge(halves, level - DROPOUT_LEVELS // 2, out=halves)
    scale = DROPOUT_LEVELS / (DROPOUT_LEVELS - level)
    if like.dtype.itemsize != kept.dtype.itemsize:
        return kept.to(like.dtype).mul_(scale)
    # Of a type as wide, the bits of the scale taken once or never are the scale or 0.0.
    bits = torch.tensor(scale, dtype=like.dtype, device=like.device).view(kept.dtype)
    return kept.mul_(bits).view(like.dtype)


def drawn_numbers(like: Tensor, probability: float) -> tuple[Tensor, int]:
    """Random int16 of the shape of ``like`` (any), and how many of the 65,536 values, the lowest, drop."""
    level = min(round(probability * DROPOUT_LEVELS), DROPOUT_LEVELS - 1)
    words = random_words((like.numel() + 3) // 4)
    # (words of 64 bits) -> (elements of 16 bits, from -32768 to 32767)
    return words.view(torch.int16)[: like.numel()].view(like.shape), level
