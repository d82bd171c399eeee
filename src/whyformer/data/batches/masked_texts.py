"""Batches of texts with holes.

B batch · L tokens of a text · N hidden tokens
"""

from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from whyformer.data.batches.masking import Masking
from whyformer.position.layout import Layout
from whyformer.special_tokens import PAD


@dataclass(frozen=True)
class MaskedBatch:
    """Texts with holes, padded on the right."""

    tokens: Tensor
    """(B,L) tokens that are read."""
    token_types: Tensor
    """(B,L) side of a pair that each token belongs to."""
    layout: Layout
    chosen: Tensor
    """(B,L) True where the true token is to be predicted."""
    gold: Tensor
    """(N,) the true tokens."""
    is_not_next: Tensor | None
    """(B,) 0 where the second side follows the first (IsNext), 1 where not (NotNext); None without pairs."""


class EncoderTexts(Protocol):
    """Texts as an encoder reads them, by their numbers."""

    @property
    def follows(self) -> NDArray[np.bool_] | None:
        """(texts,) whether the second side follows the first; None without pairs."""
        ...

    def row(self, index: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """A text's tokens (L,) and their types (L,), special tokens included."""
        ...


EncoderTextsT = TypeVar("EncoderTextsT", bound=EncoderTexts, covariant=True)


@dataclass(frozen=True)
class MaskedTexts(Generic[EncoderTextsT]):
    """Texts and their masking: a pure function of the epoch."""

    texts: EncoderTextsT
    masking: Masking

    def hidden(self, indices: NDArray[np.int64], epoch: int) -> int:
        """Number N of hidden tokens in the texts ``indices`` (B,), without making a batch."""
        return sum(
            int(self.masking(self.texts.row(index)[0], epoch=epoch, number=index).chosen.sum())
            for index in indices.tolist()
        )

    def batch(self, indices: NDArray[np.int64], epoch: int, device: torch.device) -> MaskedBatch:
        """The texts ``indices`` (B,) with the holes of ``epoch``."""
        rows = [self.texts.row(index) for index in indices.tolist()]
        lengths = np.array([len(tokens) for tokens, _ in rows])
        column = np.arange(lengths.max())
        valid = column < lengths[:, None]
        tokens, true, token_types = (np.full(valid.shape, PAD, dtype=np.int64) for _ in range(3))
        chosen = np.zeros_like(valid)
        for row, index in enumerate(indices.tolist()):
            real = slice(lengths[row])
            true[row, real], token_types[row, real] = rows[row]
            tokens[row, real], chosen[row, real] = self.masking(true[row, real], epoch=epoch, number=index)
        follows = self.texts.follows

        def on_device(x: NDArray[np.generic]) -> Tensor:
            return torch.from_numpy(x).to(device)

        return MaskedBatch(
            on_device(tokens),
            on_device(token_types),
            Layout.right_padded(on_device(valid), lengths.tolist()),
            on_device(chosen),
            on_device(true[chosen]),
            None if follows is None else on_device((~follows[indices]).astype(np.int64)),
        )
