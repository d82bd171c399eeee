"""Work: a request in a queue, and the calls of an engine that parts of several requests share."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, NamedTuple

import torch
from torch import Tensor

from whyformer.serve.asking import Asking
from whyformer.serve.batching.operation import AnswerT, ItemT, Operation


class QueuedWork(Generic[ItemT, AnswerT]):
    """A request: its items, and the answers that have come.

    Where nothing else is said, it belongs to the thread of its event loop.
    """

    def __init__(
        self,
        operation: Operation[ItemT, Any, AnswerT],
        items: Sequence[ItemT],
        asking: Asking,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.operation = operation
        self.items = items
        self.costs = operation.costs(items)
        """Tokens of each item, at most."""
        self.asking = asking
        self.loop = loop
        self.future: asyncio.Future[list[AnswerT]] = loop.create_future()
        """Its answers."""
        self.taken = 0
        """Number of items that have been given to calls; the queue's lock guards it."""
        self.flags: list[Tensor] = []
        """Flags (1,) of the calls that it has parts in; the queue's lock guards them."""
        self._answers: dict[int, AnswerT] = {}

    def accept(self, first: int, answers: Sequence[AnswerT]) -> None:
        """Take ``answers`` to the items from index ``first`` on; the last of them make it done."""
        self._answers.update(enumerate(answers, start=first))
        if len(self._answers) == len(self.items) and not self.future.done():
            self.future.set_result([self._answers[index] for index in range(len(self.items))])

    def refuse(self, error: BaseException) -> None:
        """Fail for ``error``, unless it is done."""
        if not self.future.done():
            self.future.set_exception(error)


AnyWork = QueuedWork[Any, Any]


class WorkPart(NamedTuple):
    """Some items of a request."""

    work: AnyWork
    first: int
    """Index of the first of them."""
    end: int
    """Index behind the last."""

    @property
    def items(self) -> Sequence[Any]:
        """The items."""
        return self.work.items[self.first : self.end]

    @property
    def cost(self) -> int:
        """Tokens of them, at most."""
        return sum(self.work.costs[self.first : self.end])


@dataclass(frozen=True, eq=False)
class Call:
    """One call of an engine: parts of requests of equal operations, and a flag of each."""

    operation: Operation[Any, Any, Any]
    parts: list[WorkPart]
    flags: Tensor
    """(parts,) bool: whether anybody still waits for a part."""

    @staticmethod
    def of(parts: list[WorkPart]) -> "Call":
        """A call for ``parts``; the queue's lock has to be held."""
        flags = torch.ones(len(parts), dtype=torch.bool)
        for place, part in enumerate(parts):
            part.work.flags.append(flags[place : place + 1])
        return Call(parts[0].work.operation, parts, flags)

    @property
    def items(self) -> int:
        """Number of items."""
        return sum(part.end - part.first for part in self.parts)

    @property
    def cost(self) -> int:
        """Tokens of all items, at most."""
        return sum(part.cost for part in self.parts)


Delivery = tuple[asyncio.AbstractEventLoop, "partial[None]"]
"""Call for an event loop to make."""


def deliver(deliveries: Sequence[Delivery]) -> None:
    """Let event loops make their ``deliveries``, from another thread; nobody waits in one that is closed."""
    of_loops: dict[asyncio.AbstractEventLoop, list[partial[None]]] = {}
    for loop, delivery in deliveries:
        of_loops.setdefault(loop, []).append(delivery)
    for loop, calls in of_loops.items():
        try:
            loop.call_soon_threadsafe(_make, calls)
        except RuntimeError:
            if not loop.is_closed():
                raise


def _make(calls: Sequence["partial[None]"]) -> None:
    for call in calls:
        call()
