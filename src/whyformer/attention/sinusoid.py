"""Sines and cosines of geometric wavelengths.

N positions · M model dimension
"""

import math

import torch
from torch import Tensor


def sinusoids(position: Tensor, d_model: int) -> Tensor:
    """The encodings (N,M) fp32 of ``position`` (N,), which may be negative, computed in fp64."""
    even = torch.arange(0, d_model, 2, dtype=torch.float64, device=position.device)
    angle = position[:, None] * torch.exp(even * (-math.log(10_000.0) / d_model))
    # (N,M/2,2) -> (N,M): sines and cosines take turns
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)[:, :d_model].float()
