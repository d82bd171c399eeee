"""One vector for a text of many tokens.

B batch · L length · M model dimension
"""

from typing import Literal

import torch
from torch import Tensor

Pooling = Literal["mean", "first", "last"]
"""The mean of all real tokens, marks included; the first token's state; or that of the last real token."""


def pool(hidden: Tensor, valid: Tensor, pooling: Pooling) -> Tensor:
    """States (B,L,M) of texts, padded on the right as ``valid`` (B,L) tells, as vectors (B,M)."""
    match pooling:
        case "mean":
            real = valid[..., None]
            # Not a product: padding may hold anything.
            return hidden.masked_fill(~real, 0.0).sum(dim=1) / real.sum(dim=1)
        case "first":
            return hidden[:, 0]
        case "last":
            return hidden[torch.arange(len(hidden), device=hidden.device), valid.sum(dim=1) - 1]
