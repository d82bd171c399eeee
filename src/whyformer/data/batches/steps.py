"""Batches of each training step: a pure function of the seed and the epoch."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import overload

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from whyformer.data.batches.by_length import LARGE, ExamplesByLength, LengthPlan
from whyformer.data.batches.planning import BatchingSpec, Lengths, padding_waste, plan_batches

Group = list[NDArray[np.int64]]
"""The batches of one step, as indices of examples."""


class _WholePlan:
    """The batches of an epoch, all of which are in memory; of few examples."""

    def __init__(self, lengths: Lengths, budget: int, *, seed: int) -> None:
        self.examples = len(lengths)
        self._lengths = lengths
        self._budget = budget
        self._seed = seed
        self._planned: tuple[int, list[NDArray[np.int64]]] | None = None

    @property
    def tokens(self) -> int:
        """Sum of all lengths."""
        return int(self._lengths.sum())

    @property
    def padding_waste(self) -> float:
        """Share of padding in the cells of the first epoch's batches."""
        return padding_waste(self._lengths, self.batches(0))

    def batches(self, epoch: int) -> Sequence[NDArray[np.int64]]:
        """The batches of an epoch, in its order."""
        if self._planned is None or self._planned[0] != epoch:
            # First gone, then made anew.
            self._planned = None
            self._planned = epoch, plan_batches(self._lengths, self._budget, seed=self._seed, epoch=epoch)
        return self._planned[1]


class TrainingBatches:
    """The steps of every epoch, laid out by the examples' ``lengths`` (examples, sides)."""

    def __init__(self, lengths: Lengths | ExamplesByLength, spec: BatchingSpec, *, seed: int) -> None:
        if not isinstance(lengths, ExamplesByLength) and len(lengths) > LARGE:
            lengths = ExamplesByLength.of(lengths)
        self._plan: LengthPlan | _WholePlan
        if isinstance(lengths, ExamplesByLength):
            self._plan = LengthPlan(lengths, spec.tokens, seed=seed)
        else:
            self._plan = _WholePlan(lengths, spec.tokens, seed=seed)
        self._together = spec.accumulate

    @property
    def examples(self) -> int:
        """Number of examples of an epoch."""
        return self._plan.examples

    @property
    def tokens(self) -> int:
        """Sum of the examples' lengths."""
        return self._plan.tokens

    @cached_property
    def steps_per_epoch(self) -> int:
        """Steps of a pass over the data: the same for every pass, since lengths alone decide it."""
        return len(self.groups(0))

    @property
    def padding_waste(self) -> float:
        """Share of the cells of the first epoch that holds padding."""
        return self._plan.padding_waste

    def groups(self, epoch: int) -> Sequence[Group]:
        """The steps of ``epoch``, from 0."""
        return _Groups(self._plan.batches(epoch), self._together)

    def after(self, epoch: int, position: int) -> Iterator[tuple[int, int, Group]]:
        """All steps after the first ``position`` of ``epoch``, without end.

        Of each step its epoch, its index there from 0, and its batches.
        """
        while True:
            groups = self.groups(epoch)
            for place in range(position, len(groups)):
                yield epoch, place, groups[place]
            epoch, position = epoch + 1, 0


class _Groups(Sequence[Group]):
    """Batches by ``together``, a step each; the last step may have fewer."""

    def __init__(self, batches: Sequence[NDArray[np.int64]], together: int) -> None:
        self._batches = batches
        self._together = together

    @override
    def __len__(self) -> int:
        return -(-len(self._batches) // self._together)

    @overload
    def __getitem__(self, index: int) -> Group: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Group]: ...
    @override
    def __getitem__(self, index: int | slice) -> Group | Sequence[Group]:
        numbers = range(len(self))[index]
        if isinstance(numbers, range):
            return [self._of(number) for number in numbers]
        return self._of(numbers)

    def _of(self, number: int) -> Group:
        first = number * self._together
        return list(self._batches[first : first + self._together])
