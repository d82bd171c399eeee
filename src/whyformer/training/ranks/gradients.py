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

from whyformer.machine import Precision
from whyformer.training.ranks.all_reduce import AllReduce, NetworkAllReduce, SharedAllReduce
from whyformer.training.ranks.group import RankGroup

BUCKET = 1 << 22
"""Numbers that travel together."""


class GradientSums(Protocol):
    """The way from the gradients of batches to that of a step, left in the weights of every rank."""

    @property
    def wants_all(self) -> bool:
        """Whether a rank without a batch has to take a pass all the same, for others that have one."""
        ...

    def begin(self, dtype: torch.dtype) -> None:
        """Begin the sums of a step, made in ``dtype``; see ``sum_type``."""
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
    """The sums of a process by itself, or of a rank's own batches."""

    def __init__(self, parameters: Iterable[nn.Parameter]) -> None:
        self._parameters = list(parameters)
        self._dtype = torch.float32
        self._totals = dict[nn.Parameter, Tensor]()

    @property
    def wants_all(self) -> bool:
        """Whether ranks without a batch take a pass."""
        return False

    def begin(self, dtype: torch.dtype) -> None:
        """Begin the sums of a step; see ``GradientSums``."""
        self._dtype = dtype
        self._totals.clear()

    def add(self, batches: int) -> None:
        """Count a batch; see ``GradientSums``."""
        for parameter in self._parameters:
            gradient = parameter.grad
            # In their own type the weights add up gradients by themselves.
            if gradient is not None and gradient.dtype != self._dtype:
                before = self._totals.get(parameter)
                # One batch is all of its sum, and needs no wider type.
                self._totals[parameter] = (
                    gradient if before is None else before.to(self._dtype).add_(gradient)
                )
                parameter.grad = None

    def taken(self) -> list[Tensor | None]:
        """The sum of each weight, taken from here; None where no batch has given it a gradient."""
        return [self._totals.pop(parameter, parameter.grad) for parameter in self._parameters]

    def finish(self) -> None:
        """Leave the sum in the weights."""
        while self._totals:
            parameter, total = self._totals.popitem()
            parameter.grad = total.to(parameter.dtype)


class FreeSums:
    """Sums made by each rank of its own batches and then over ranks: quick, in an order of its own."""

    def __init__(self, parameters: Iterable[nn.Parameter], group: RankGroup) -> None:
        self._parameters = list(parameters)
        self._own = OwnSums(self._parameters)
        self._group = group
        self._dtype = torch.float32
        self._way: tuple[torch.dtype, AllReduce] | None = None

    @property
    def wants_all(self) -> bool:
        """Whether ranks without a batch take a pass."""
        return False

    def begin(self, dtype: torch.dtype) -> None:
        """Begin the sums of a step; see ``GradientSums``."""
        self._dtype = dtype
        self._own.begin(dtype)

    def add(self, batches: int) -> None:
        """Count a batch; see ``GradientSums``."""
        self._own.add(batches)

    def finish(self) -> None:
        """Leave the sum over all ranks in the weights."""
        totals = self._own.taken()
        used = used_anywhere([total is not None for total in totals], self._group)
        all_reduce = self._all_reduce()
        for places in _buckets(self._parameters, used):
            parameters = [self._parameters[place] for place in places]
            sizes = [parameter.numel() for parameter in parameters]
            numbers = all_reduce.room(sum(sizes))
            for place, part in zip(places, numbers.split(sizes), strict=True):
                total, totals[place] = totals[place], None
                _ = part.zero_() if total is None else part.copy_(total.flatten())
            for parameter, part in zip(parameters, all_reduce.sum(numbers).split(sizes), strict=True):
                if parameter.grad is None:
                    parameter.grad = torch.empty_like(parameter)
                parameter.grad.copy_(part.view_as(parameter))

    def _all_reduce(self) -> AllReduce:
        """The quickest way to sum over ranks that there is, made once."""
        if self._way is None or self._way[0] != self._dtype:
            sizes, device = [p.numel() for p in self._parameters], self._parameters[0].device
            most = min(sum(sizes), BUCKET + max(sizes))
            shared = SharedAllReduce.opened(self._group, most, self._dtype) if device.type == "cpu" else None
            self._way = self._dtype, shared or NetworkAllReduce(self._group, self._dtype, device)
        return self._way[1]


class OrderedSums:
    """Sums in the order of the batches, whoever has them: the bits are those of one process.

    A process by itself adds the gradient of each batch to the sum of those before. Here each rank does so for
    its R-th of the numbers, which it gets of every batch, and in the end all get all sums.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], group: RankGroup) -> None:
        self._parameters = list(parameters)
        self._group = group
        self._dtype = torch.float32
        self._sums: Tensor | None = None
        self._used = [False] * len(self._parameters)

    @property
    def wants_all(self) -> bool:
        """Whether ranks without a batch take a pass."""
        return False

    def begin(self, dtype: torch.dtype) -> None:
        """Begin the sums of a step; see ``GradientSums``."""
        self._dtype = dtype
        self._sums, self._used = None, [False] * len(self._parameters)

    def add(self, batches: int) -> None:
        """Count a batch; see ``GradientSums``."""
        self._used = [
            used or p.grad is not None for used, p in zip(self._used, self._parameters, strict=True)
        ]
        # A number without a gradient is the zero that changes nothing, not even the sign of another zero.
        flat = torch.cat([_or_negative_zeros(p).flatten() for p in self._parameters])
        for parameter in self._parameters:
            parameter.grad = None
        count = self._group.ranks.count
        width = -(-len(flat) // count)
        # (P,) -> (R,width): part r goes to rank r
        sent = torch.nn.functional.pad(flat, (0, width * count - len(flat))).view(count, width)
        received = torch.empty_like(sent)
        with self._group.waiting():
            dist.all_to_all_single(received, sent)
        sums = torch.full_like(received[0], -0.0, dtype=self._dtype) if self._sums is None else self._sums
        for part in received:
            sums += part
        self._sums = sums

    def finish(self) -> None:
        """Leave the sum over all ranks in the weights."""
        assert self._sums is not None, "every step has a batch"
        _put(self._parameters, torch.cat(self._group.gathered(self._sums.to(torch.float32))))
        self._sums = None
        for parameter, used in zip(self._parameters, used_anywhere(self._used, self._group), strict=True):
            if not used:
                parameter.grad = None


def sum_type(precision: Precision, device: torch.device) -> torch.dtype:
    """Type in which gradients of several batches are summed, where products are made in ``precision``.

    What was computed in fp32 is summed in fp64, so that a sum, rounded to fp32 in the end, hardly ever tells
    in which order it was made: some trainings let a last bit grow a hundredfold in fifty steps. Gradients of
    products in bf16 differ by more than any order does.
    """
    # Apple's GPUs have no fp64.
    return torch.float64 if precision == "fp32" and device.type != "mps" else torch.float32


def gradient_sums(parameters: Iterable[nn.Parameter], group: RankGroup, *, ordered: bool) -> GradientSums:
    """The sums of ``group``: over the batches in their order where ``ordered``, else as is quickest."""
    if group.is_alone:
        return OwnSums(parameters)
    return OrderedSums(parameters, group) if ordered else FreeSums(parameters, group)


def used_anywhere(flags: Sequence[bool], group: RankGroup) -> list[bool]:
    """Which of ``flags`` are raised at any rank."""
    raised = torch.tensor(flags, dtype=torch.uint8)
    with group.waiting():
        dist.all_reduce(raised, op=dist.ReduceOp.MAX)
    return [bool(flag) for flag in raised.tolist()]


def _or_negative_zeros(parameter: nn.Parameter) -> Tensor:
    """Gradient of ``parameter``, or as many negative zeros."""
    return torch.full_like(parameter, -0.0) if parameter.grad is None else parameter.grad


def _buckets(parameters: Sequence[nn.Parameter], used: Sequence[bool]) -> Iterator[list[int]]:
    """Places of ``parameters`` that are ``used``, in lists of about as many numbers as travel together."""
    bucket, size = list[int](), 0
    for place, parameter in enumerate(parameters):
        if used[place]:
            bucket.append(place)
            size += parameter.numel()
        if size >= BUCKET:
            yield bucket
            bucket, size = [], 0
    if bucket:
        yield bucket


def _put(parameters: Iterable[nn.Parameter], numbers: Tensor) -> None:
    """Make ``numbers``, of all ``parameters`` one after another, their gradients."""
    first = 0
    for parameter in parameters:
        last = first + parameter.numel()
        parameter.grad = numbers[first:last].view_as(parameter)
        first = last
