"""Sums of gradients over the batches of a step, which ranks share out: batch n is rank (n mod R)'s.

torch's DistributedDataParallel wants as many backward passes of every rank, with the same weights in each;
here the last step of an epoch may leave a rank without a batch, and a weight without a gradient stays so.

R ranks · P numbers of all weights
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

import torch
import torch.distributed as dist
from torch import Tensor, nn

from whyformer.training.ranks.group import RankGroup

_BUCKET = 1 << 23
"""Numbers that travel together."""


class GradientSums(Protocol):
    """The way from the gradients of batches to that of a step, left in the weights of every rank."""

    @property
    def wants_all(self) -> bool:
        """Whether a rank without a batch has to take a pass all the same, for others that have one."""
        ...

    def add(self, batches: int) -> None:
        """Count what the weights have as gradient of a batch; all ranks call it as often, with or without.

        Args:
            batches: ranks that had one this time, the first of all.
        """
        ...

    def finish(self) -> None:
        """Leave the sum over all ranks in the weights."""
        ...


class OwnSums:
    """The sums of a process by itself: the weights add up their gradients."""

    @property
    def wants_all(self) -> bool:
        """Whether ranks without a batch take a pass."""
        return False

    def add(self, batches: int) -> None:
        """Count a batch; see ``GradientSums``."""

    def finish(self) -> None:
        """Leave the sum in the weights."""


class FreeSums:
    """Sums made by each rank of its own batches and then over ranks: quick, in an order of its own."""

    def __init__(self, parameters: Iterable[nn.Parameter], group: RankGroup) -> None:
        self._parameters = list(parameters)
        self._group = group

    @property
    def wants_all(self) -> bool:
        """Whether ranks without a batch take a pass."""
        return False

    def add(self, batches: int) -> None:
        """Count a batch; see ``GradientSums``."""

    def finish(self) -> None:
        """Leave the sum over all ranks in the weights."""
        used = used_anywhere([p.grad is not None for p in self._parameters], self._group)
        buckets = [*_buckets(p for p, is_used in zip(self._parameters, used, strict=True) if is_used)]
        with self._group.waiting():
            flat = [torch.cat([_gradient(p, 0.0).flatten() for p in bucket]) for bucket in buckets]
            works = [dist.all_reduce(numbers, async_op=True) for numbers in flat]
            for work in works:
                assert work is not None, "what an asynchronous call gives"
                work.wait()
        for bucket, numbers in zip(buckets, flat, strict=True):
            _put(bucket, numbers)


class OrderedSums:
    """Sums in the order of the batches, whoever has them: the bits are those of one process.

    A process by itself adds the gradient of each batch to the sum of those before. Here each rank does so for
    its R-th of the numbers, which it gets of every batch, and in the end all get all sums.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], group: RankGroup) -> None:
        self._parameters = list(parameters)
        self._group = group
        self._sums: Tensor | None = None
        self._used = [False] * len(self._parameters)

    @property
    def wants_all(self) -> bool:
        """Whether ranks without a batch take a pass."""
        return False

    def add(self, batches: int) -> None:
        """Count a batch; see ``GradientSums``."""
        self._used = [
            used or p.grad is not None for used, p in zip(self._used, self._parameters, strict=True)
        ]
        # A number without a gradient is the zero that changes nothing, not even the sign of another zero.
        flat = torch.cat([_gradient(p, -0.0).flatten() for p in self._parameters])
        for parameter in self._parameters:
            parameter.grad = None
        count = self._group.ranks.count
        width = -(-len(flat) // count)
        # (P,) -> (R,width): part r goes to rank r
        sent = torch.nn.functional.pad(flat, (0, width * count - len(flat))).view(count, width)
        received = torch.empty_like(sent)
        with self._group.waiting():
            dist.all_to_all_single(received, sent)
        sums = torch.full_like(received[0], -0.0) if self._sums is None else self._sums
        for part in received:
            sums += part
        self._sums = sums

    def finish(self) -> None:
        """Leave the sum over all ranks in the weights."""
        assert self._sums is not None, "every step has a batch"
        _put(self._parameters, torch.cat(self._group.gathered(self._sums)))
        for parameter, used in zip(self._parameters, used_anywhere(self._used, self._group), strict=True):
            if not used:
                parameter.grad = None
        self._sums, self._used = None, [False] * len(self._parameters)


def gradient_sums(parameters: Iterable[nn.Parameter], group: RankGroup, *, ordered: bool) -> GradientSums:
    """The sums of ``group``: over the batches in their order where ``ordered``, else as is quickest."""
    if group.is_alone:
        return OwnSums()
    return OrderedSums(parameters, group) if ordered else FreeSums(parameters, group)


def used_anywhere(flags: Sequence[bool], group: RankGroup) -> list[bool]:
    """Which of ``flags`` are raised at any rank."""
    raised = torch.tensor(flags, dtype=torch.uint8)
    with group.waiting():
        dist.all_reduce(raised, op=dist.ReduceOp.MAX)
    return [bool(flag) for flag in raised.tolist()]


def _gradient(parameter: nn.Parameter, absent: float) -> Tensor:
    """Gradient of ``parameter``, or as many numbers ``absent``."""
    return torch.full_like(parameter, absent) if parameter.grad is None else parameter.grad


def _buckets(parameters: Iterable[nn.Parameter]) -> Iterator[list[nn.Parameter]]:
    """The ``parameters`` in their order, in lists of about as many numbers as travel together."""
    bucket: list[nn.Parameter] = []
    for parameter in parameters:
        bucket.append(parameter)
        if sum(p.numel() for p in bucket) >= _BUCKET:
            yield bucket
            bucket = []
    if bucket:
        yield bucket


def _put(parameters: Iterable[nn.Parameter], numbers: Tensor) -> None:
    """Make ``numbers``, of all ``parameters`` one after another, their gradients."""
    first = 0
    for parameter in parameters:
        last = first + parameter.numel()
        parameter.grad = numbers[first:last].view_as(parameter)
        first = last
