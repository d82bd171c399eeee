"""Wanted: whether each sentence of a batch still is, which other threads may take back while it is searched.

N flags · B batch
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Wanted:
    """Flags that a search reads at each step: a sentence whose flag has fallen leaves the batch.

    The others go on as if nothing had happened. What had been found for the sentence comes out, if anything.
    """

    flags: Tensor
    """(N,) bool, on the CPU: True as long as somebody waits. Whoever wants no more sets it to False, once."""
    place: Tensor
    """(B,) int64, on the CPU: the flag of each sentence."""

    @staticmethod
    def by(flags: Tensor) -> "Wanted":
        """Sentences with a flag each."""
        return Wanted(flags, torch.arange(len(flags)))

    def __getitem__(self, sentences: Tensor) -> "Wanted":
        """The same for some ``sentences``, as indices (B',)."""
        return Wanted(self.flags, self.place[sentences])

    def now(self) -> Tensor:
        """Mask (B,) of sentences that are wanted at this moment."""
        return self.flags[self.place]


def still_wanted(wanted: Wanted | None, sentences: list[int]) -> Wanted | None:
    """``wanted`` for some ``sentences``; None stays None, as all are wanted then."""
    return None if wanted is None else wanted[torch.tensor(sentences, dtype=torch.int64)]
