"""Batches: sentences of token ids, padded to one rectangle.

B batch · L length
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from whyformer.special_tokens import BOS, EOS, PAD


@dataclass(frozen=True)
class Batch:
    """Sentences side by side: ``tokens`` (B,L) int64 and ``valid`` (B,L) bool, True where a token is real."""

    tokens: Tensor
    valid: Tensor

    @staticmethod
    def of(sentences: Sequence[Sequence[int]], device: torch.device | str = "cpu") -> "Batch":
        """Pad ``sentences`` on the right to the longest."""
        longest = max((len(sentence) for sentence in sentences), default=0)
        tokens = torch.tensor(
            [[*sentence, *[PAD] * (longest - len(sentence))] for sentence in sentences], dtype=torch.int64
        ).view(len(sentences), longest)
        lengths = torch.tensor([len(sentence) for sentence in sentences])
        valid = torch.arange(longest) < lengths[:, None]
        return Batch(tokens.to(device), valid.to(device))

    def to(self, device: torch.device | str) -> "Batch":
        """The same on another device."""
        return Batch(self.tokens.to(device), self.valid.to(device))

    def rows(self, first: int, last: int) -> "Batch":
        """The sentences from ``first`` up to ``last``, cut to the longest of them."""
        valid = self.valid[first:last]
        longest = int(valid.sum(dim=1).max())
        return Batch(self.tokens[first:last, :longest], valid[:, :longest])


@dataclass(frozen=True)
class PairBatch:
    """Source sentences (each closed by EOS) and targets (from BOS to EOS)."""

    source: Batch
    target: Batch

    @staticmethod
    def of(
        pairs: Sequence[tuple[Sequence[int], Sequence[int]]], device: torch.device | str = "cpu"
    ) -> "PairBatch":
        """Add BOS and EOS, and pad: ``pairs`` hold the ids of (source, target) without them."""
        return PairBatch(
            Batch.of([[*source, EOS] for source, _ in pairs], device),
            Batch.of([[BOS, *target, EOS] for _, target in pairs], device),
        )

    def to(self, device: torch.device | str) -> "PairBatch":
        """The same on another device."""
        return PairBatch(self.source.to(device), self.target.to(device))

    def rows(self, first: int, last: int) -> "PairBatch":
        """The pairs from ``first`` up to ``last``."""
        return PairBatch(self.source.rows(first, last), self.target.rows(first, last))
