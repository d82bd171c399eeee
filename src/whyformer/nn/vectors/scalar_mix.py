"""One tensor from the layers of a model, each with a learned weight.

J layers · M model dimension
"""

import torch
from torch import Tensor, nn
from typing_extensions import override


class ScalarMix(nn.Module):
    """γ Σⱼ softmax(s)ⱼ hⱼ (Peters et al. 2018, equation 1); at first the plain mean.

    It is linear, so it does the same to the states of tokens and to vectors that were pooled from them.
    """

    def __init__(self, layers: int) -> None:
        super().__init__()
        self.scores = nn.Parameter(torch.zeros(layers))
        """s, (J,)."""
        self.scale = nn.Parameter(torch.ones(()))
        """γ."""

    @override
    def forward(self, layers: Tensor) -> Tensor:
        """(…,J,M) -> (…,M)."""
        return self.scale * (self.scores.softmax(dim=0) @ layers)
