"""The queue in front of an engine: bounded, in order of arrival, and honest about how long it takes."""

import math
import threading
import time
from dataclasses import dataclass

from whyformer.serve.asking import NOBODY, Asking, Entering
from whyformer.serve.batching.figures import QueueFigures
from whyformer.serve.batching.operation import Operation
from whyformer.serve.batching.pace import Pace
from whyformer.serve.batching.work import AnyWork, Call, WorkPart
from whyformer.serve.refusals import (
    DeadlinePassedError,
    OverloadedError,
    RefusalError,
    RequestTooLargeError,
)

LONGEST_RETRY = 60
"""Seconds after which a client is asked to come again at most; clients give up on much longer ones."""
_SAFE = 0.7
"""Share of the time until its deadline in which a request must be expected to be done, or it is refused."""
_SIDE_BY_SIDE = 16
"""Items that share a call even while others could take some: fewer make a call dear."""


@dataclass(frozen=True)
class QueueLimits:
    """Bounds of a queue and of what leaves it at a time."""

    requests: int = 1024
    """Requests that wait at most."""
    tokens: int = 2**17
    """Tokens that wait at most, in all hypotheses, each character counted as one."""
    seconds: float = 10.0
    """Time that a request waits at most, as far as can be told before; its own deadline counts, too."""
    call_items: int = 64
    """Items of one call of the engine at most."""
    call_tokens: int = 2**13
    """Tokens of one call at most, unless a single item has more."""


class WorkQueue:
    """Requests that wait for ``workers``, who take as much as fits one call as soon as they are free.

    The oldest request goes first. Those with an equal operation go with it, in their order; so nobody is
    overtaken but by what costs its own call nothing. All methods may be called in any thread.
    """

    def __init__(self, limits: QueueLimits, workers: int) -> None:
        self._limits = limits
        self._workers = workers
        self._lock = threading.Condition()
        # Both in order of arrival.
        self._works: dict[AnyWork, None] = {}
        self._alike: dict[Operation[object, object, object], dict[AnyWork, None]] = {}
        self._pace = Pace()
        self._cost_of_byte = Pace()
        self._figures = QueueFigures()

    def figures(self) -> QueueFigures:
        """The figures at this moment."""
        with self._lock:
            return self._figures.copy()

    def admit(self, work: AnyWork) -> None:
        """Let ``work`` wait for its turn.

        Raises:
            RequestTooLargeError: it is more than ever waits here.
            OverloadedError: there is no room, or it could not be done in time.
            DeadlinePassedError: its time is over.
        """
        cost = sum(work.costs)
        with self._lock:
            self._refuse(cost, work.asking)
            self._works[work] = None
            self._alike.setdefault(work.operation, {})[work] = None
            self._figures.enter(len(work.items), cost)
            self._cost_of_byte.learn(work.asking.size, cost if work.asking.size else 0)
            self._lock.notify()

    def refusal(self, asking: Asking, entering: Entering = NOBODY) -> RefusalError | None:
        """Refusal that ``asking`` would get now, as far as its size tells; it counts as none.

        What it and those ``entering`` before it cost is foretold by what a byte has cost of late.
        """
        with self._lock:
            foretold = min(self._foretold(1, asking.size), self._limits.tokens)
            return self._refusal(foretold, asking, entering)

    def check_room(self, asking: Asking) -> None:
        """Refuse a request that would be refused however small it is, before anybody works on it.

        Raises:
            OverloadedError: there is no room, or nothing could be done in time.
            DeadlinePassedError: its time is over.
        """
        with self._lock:
            self._refuse(1, asking)

    def _refuse(self, cost: int, asking: Asking) -> None:
        refusal = self._refusal(cost, asking)
        if refusal is not None:
            self._figures.count(refusal.reason)
            raise refusal

    def _refusal(self, cost: int, asking: Asking, entering: Entering = NOBODY) -> RefusalError | None:
        limits, figures = self._limits, self._figures
        if cost > limits.tokens:
            return RequestTooLargeError(
                f"this request has up to {cost:,} tokens to read and write, but {limits.tokens:,} may wait "
                "in all; ask for less at a time."
            )
        deadline = asking.deadline
        left = math.inf if deadline is None else deadline - time.monotonic()
        if left <= 0:
            return DeadlinePassedError("the time for this request was over before it began.")
        coming = self._foretold(*entering)
        outstanding = figures.waiting_tokens + figures.running_tokens + coming
        ahead = self._seconds(outstanding)
        is_full = (
            len(self._works) + entering.requests >= limits.requests
            or figures.waiting_tokens + coming + cost > limits.tokens
            or ahead > limits.seconds
        )
        # Nothing that was measured keeps a request from an engine that is idle, or it would stay so.
        is_in_time = not outstanding or ahead + self._seconds(cost) <= _SAFE * left
        if is_in_time and not is_full:
            return None
        return overloaded(ahead)

    def _foretold(self, requests: int, size: int) -> int:
        """Tokens of ``requests`` whose bodies have ``size`` bytes together, one each at least."""
        return max(requests, round(size * self._cost_of_byte.each))

    def _seconds(self, tokens: int) -> float:
        """Time that all workers need for so many tokens, as measured; 0 while nothing is known."""
        return tokens * self._pace.each / self._workers

    def leave(self, work: AnyWork) -> None:
        """Throw out what waits of ``work``, and let the calls that compute the rest know."""
        with self._lock:
            if work in self._works:
                self._remove(work)
            for flag in work.flags:
                flag.fill_(False)

    def take(self, patience: float) -> Call | None:
        """The next call; None if there is nothing to do for ``patience`` seconds."""
        with self._lock:
            if not self._lock.wait_for(lambda: bool(self._works), patience):
                return None
            call = Call.of(self._parts())
            self._figures.start(call.items, call.cost)
            return call

    def done(self, call: Call, seconds: float) -> None:
        """Take note that ``call`` is over and took so many ``seconds``."""
        with self._lock:
            self._pace.learn(call.cost, seconds)
            self._figures.finish(call.items, call.cost)

    def _parts(self) -> list[WorkPart]:
        """The parts of the next call, taken out of the queue."""
        parts = list[WorkPart]()
        share = math.ceil(self._figures.waiting_items / self._workers)
        items = min(self._limits.call_items, max(_SIDE_BY_SIDE, share))
        tokens = self._limits.call_tokens
        for work in [*self._alike[next(iter(self._works)).operation]]:
            first, end = work.taken, self._end(work, items, tokens, is_first=not parts)
            if end == first:
                break
            parts.append(part := WorkPart(work, first, end))
            work.taken = end
            self._figures.leave(end - first, part.cost)
            if end < len(work.items):
                break
            self._remove(work)
            items -= end - first
            tokens -= part.cost
        return parts

    @staticmethod
    def _end(work: AnyWork, items: int, tokens: int, *, is_first: bool) -> int:
        """Index behind the last item that ``work`` gives to a call with room for ``items`` and ``tokens``.

        The first of a call always has room.
        """
        end = work.taken
        if is_first:
            items, tokens, end = items - 1, tokens - work.costs[end], end + 1
        while end < len(work.items) and items > 0 and work.costs[end] <= tokens:
            items, tokens, end = items - 1, tokens - work.costs[end], end + 1
        return end

    def _remove(self, work: AnyWork) -> None:
        """Take ``work`` out of the queue, and what waits of it off the figures."""
        del self._works[work]
        alike = self._alike[work.operation]
        del alike[work]
        if not alike:
            del self._alike[work.operation]
        self._figures.leave(len(work.items) - work.taken, sum(work.costs[work.taken :]))


def overloaded(seconds: float) -> OverloadedError:
    """Refusal of what would have to wait for so many ``seconds``."""
    return OverloadedError(
        "too much is asked at the moment; come again later.",
        retry_after=min(LONGEST_RETRY, max(1, math.ceil(seconds))),
    )
