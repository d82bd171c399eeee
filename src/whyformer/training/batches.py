"""Batches of each training step: a pure function of the seed and the epoch."""

from collections.abc import Iterator
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from whyformer.data.batches.planning import BatchingSpec, Lengths, padding_waste, plan_batches

Group = list[NDArray[np.int64]]
"""The batches of one step, as indices of examples."""


class TrainingBatches:
    """The steps of every epoch, laid out by the examples' ``lengths`` (examples, sides)."""

    def __init__(self, lengths: Lengths, spec: BatchingSpec, *, seed: int) -> None:
        self._lengths = lengths
        self._spec = spec
        self._seed = seed
        self._planned: tuple[int, list[Group]] | None = None

    @cached_property
    def steps_per_epoch(self) -> int:
        """Steps of a pass over the data: the same for every pass, since lengths alone decide it."""
        return len(self.groups(0))

    @property
    def padding_waste(self) -> float:
        """Share of the cells of the first epoch that holds padding."""
        return padding_waste(self._lengths, [batch for group in self.groups(0) for batch in group])

    def groups(self, epoch: int) -> list[Group]:
        """The steps of ``epoch``, from 0."""
        if self._planned is None or self._planned[0] != epoch:
            # First gone, then made anew: of many examples each plan takes long, and much memory.
            self._planned = None
            self._planned = epoch, self._groups(epoch)
        return self._planned[1]

    def _groups(self, epoch: int) -> list[Group]:
        batches = plan_batches(self._lengths, self._spec.tokens, seed=self._seed, epoch=epoch)
        starts = range(0, len(batches), self._spec.accumulate)
        return [batches[start : start + self._spec.accumulate] for start in starts]

    def after(self, epoch: int, position: int) -> Iterator[tuple[int, int, Group]]:
        """All steps after the first ``position`` of ``epoch``, without end.

        Of each step its epoch, its index there from 0, and its batches.
        """
        while True:
            for place, group in enumerate(self.groups(epoch)[position:], start=position):
                yield epoch, place, group
            epoch, position = epoch + 1, 0
