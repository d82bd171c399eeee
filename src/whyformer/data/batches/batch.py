"""Batches: sentences of token ids, padded to one rectangle.

B batch · L length
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from whyformer.position.layout import Layout
from whyformer.special_tokens import BOS, EOS, PAD


@dataclass(frozen=True)
class Batch:
    """Sentences side by side: ``tokens`` (B,L) int64 and ``valid`` (B,L) bool, True where a token is real.

    ``lengths`` (B) are their tokens as plain numbers.
    """

    tokens: Tensor
    valid: Tensor
    lengths: tuple[int, ...]

    @staticmethod
    def of(sentences: Sequence[Sequence[int]], device: torch.device | str = "cpu") -> "Batch":
        """Pad ``sentences`` on the right to the longest."""
        lengths = tuple(map(len, sentences))
        longest = max(lengths, default=0)
        tokens = torch.tensor(
            [[*sentence, *[PAD] * (longest - len(sentence))] for sentence in sentences], dtype=torch.int64
        ).view(len(sentences), longest)
        valid = torch.arange(longest) < torch.tensor(lengths)[:, None]
        return Batch(tokens.to(device), valid.to(device), lengths)

    @property
    def layout(self) -> Layout:
        """Where the tokens stand, known without a look at them."""
        return Layout.right_padded(self.valid, self.lengths)

    def to(self, device: torch.device | str) -> "Batch":
        """The same on another device."""
        return Batch(self.tokens.to(device), self.valid.to(device), self.lengths)

    def repeated(self, times: int) -> "Batch":
        """The same sentences ``times`` over, one round after another."""
        return Batch(self.tokens.repeat(times, 1), self.valid.repeat(times, 1), self.lengths * times)

    def rows(self, first: int, last: int) -> "Batch":
        """The sentences from ``first`` up to ``last``, cut to the longest of them."""
        lengths = self.lengths[first:last]
        longest = max(lengths)
        return Batch(self.tokens[first:last, :longest], self.valid[first:last, :longest], lengths)


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

    def repeated(self, times: int) -> "PairBatch":
        """The same pairs ``times`` over, one round after another."""
        return PairBatch(self.source.repeated(times), self.target.repeated(times))

    def rows(self, first: int, last: int) -> "PairBatch":
        """The pairs from ``first`` up to ``last``."""
        return PairBatch(self.source.rows(first, last), self.target.rows(first, last))
