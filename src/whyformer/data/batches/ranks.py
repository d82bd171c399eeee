"""Ranks: the processes that share one training, and what each of them has to know."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True)
class Ranks:
    """This process among those that train together; alone unless said otherwise."""

    rank: int = 0
    """This process, from 0."""
    count: int = 1
    """Processes in all."""

    def share(self, items: Sequence[Item]) -> Sequence[Item]:
        """Every ``count``-th of ``items``, which all ranks together have once; some ranks get one less."""
        return items[self.rank :: self.count]

    @property
    def writes(self) -> bool:
        """Whether this process is the one that writes what all have in common."""
        return self.rank == 0
