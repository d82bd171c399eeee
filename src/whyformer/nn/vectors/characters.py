"""A word's vector from its spelling, so that no word is unknown (Kim et al. 2016, section 2.2).

W words · C bytes of a word · E components of a byte · F filters · M model dimension
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

from whyformer.spec import Spec
from whyformer.special_tokens import PAD

# Bytes are 1 to 256, for 0 is padding.
_BEGIN, _END = 257, 258
_SYMBOLS = 259

Filters = tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]]


class CharactersSpec(Spec):
    """Convolutions over the bytes of a word. The defaults are those of Peters et al. 2018, section 3.4.

    Bytes of UTF-8 need no vocabulary, and so none that lacks a character. A filter three bytes wide sees a
    Chinese character whole.
    """

    width: int = Field(default=16, ge=1)
    """Components of the vector that stands for a byte."""
    filters: Annotated[tuple[Filters, ...], Field(min_length=1)] = (
        *((1, 32), (2, 32), (3, 64), (4, 128)),
        *((5, 256), (6, 512), (7, 1024)),
    )
    """Pairs: how many bytes a filter sees at once, and how many such filters there are."""
    highways: int = Field(default=2, ge=0)
    """Layers between the filters and the word's vector."""
    longest: int = Field(default=50, ge=3)
    """Most bytes of a word that are read, its two marks included."""

    def build(self, d_model: int) -> "CharacterCNN":
        """The network that makes vectors of ``d_model`` components."""
        return CharacterCNN(self, d_model)

    def spell(self, words: Sequence[str]) -> NDArray[np.int16]:
        """The bytes of every word between two marks, (W,C), 0 behind them; C is that of the longest."""
        spelled = [[byte + 1 for byte in word.encode()[: self.longest - 2]] for word in words]
        symbols = np.full((len(words), max(map(len, spelled), default=0) + 2), PAD, dtype=np.int16)
        for row, known in zip(symbols, spelled, strict=True):
            row[: len(known) + 2] = [_BEGIN, *known, _END]
        return symbols


class CharacterCNN(nn.Module):
    """Filters slide over a word, the strongest answer of each is kept, and highways mix the answers."""

    def __init__(self, spec: CharactersSpec, d_model: int) -> None:
        super().__init__()
        total = sum(count for _, count in spec.filters)
        self.embedding = nn.Embedding(_SYMBOLS, spec.width, padding_idx=PAD)
        self.convolutions = nn.ModuleList(nn.Conv1d(spec.width, count, seen) for seen, count in spec.filters)
        self.highways = nn.Sequential(*(Highway(total) for _ in range(spec.highways)))
        self.project = nn.Linear(total, d_model)

    @override
    def forward(self, spelling: Tensor) -> Tensor:
        """Words (W,C) as vectors (W,M); columns of padding change nothing."""
        # (W,C) -> (W,1,C)
        real = (spelling != PAD)[:, None]
        # (W,C) -> (W,E,C)
        x = self.embedding(spelling).transpose(1, 2)
        # each (W,E,C) -> (W,·), joined (W,F)
        strongest = torch.cat([_strongest(convolution, x, real) for convolution in self.convolutions], dim=1)
        return self.project(self.highways(strongest))


def _strongest(convolution: nn.Module, x: Tensor, real: Tensor) -> Tensor:
    """The largest answer of each filter, which may begin at any byte and look beyond the end."""
    assert isinstance(convolution, nn.Conv1d)
    answers = F.relu(convolution(F.pad(x, (0, convolution.kernel_size[0] - 1))))
    # No answer is below zero, so zero is what padding may say.
    return (answers * real).amax(dim=2)


class Highway(nn.Module):
    """y = g · relu(x W) + (1 - g) · x, where g = σ(x W_g) (Srivastava et al. 2015, equation 3)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.change = nn.Linear(width, width)
        self.gate = nn.Linear(width, width)
        # At first most of x passes unchanged (Kim et al. 2016, section 4.1).
        nn.init.constant_(self.gate.bias, -2.0)

    @override
    def forward(self, x: Tensor) -> Tensor:
        """(W,F) -> (W,F)."""
        return x + self.gate(x).sigmoid() * (F.relu(self.change(x)) - x)


@dataclass(frozen=True)
class SpelledWords:
    """Texts as they are read: every distinct word once, and where it stands."""

    spelling: Tensor
    """(W,C) int64, from ``CharactersSpec.spell``."""
    word: Tensor
    """(B,L) int64: rows of ``spelling``; any row at padding."""
    valid: Tensor
    """(B,L) bool; padding is on the right."""
