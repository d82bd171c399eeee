"""A lane: one run's queue, and the threads that compute what comes out of it."""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch

from whyformer.decoding.stopping import Wanted
from whyformer.serve.asking import Asking
from whyformer.serve.batching.figures import Observer, QueueFigures
from whyformer.serve.batching.operation import AnswerT, ItemT, Operation
from whyformer.serve.batching.queue import QueueLimits, WorkQueue
from whyformer.serve.batching.work import Call, QueuedWork, WorkPart, deliver
from whyformer.serve.refusals import AbandonedError, DeadlinePassedError, RefusalError

IDLE_SECONDS = 1.0
"""Time after which a thread that has nothing to do ends, and the program waits for it at most."""


class Lane:
    """Takes requests from event loops to ``workers`` threads of ``threads`` torch threads each, and back.

    The threads live as long as there is something to do, so that a lane need not be closed. They are no
    daemons: one that is cut off inside torch ends the program with an abort.
    """

    def __init__(
        self, name: str, limits: QueueLimits, workers: int, threads: int, observers: Sequence[Observer]
    ) -> None:
        self._name = name
        self._queue = WorkQueue(limits, workers)
        self._workers = workers
        self._threads = threads
        self._observers = observers
        self._lock = threading.Lock()
        self._alive = 0

    @property
    def figures(self) -> QueueFigures:
        """The figures of its queue at this moment."""
        return self._queue.figures()

    def check_room(self, asking: Asking) -> None:
        """Refuse what would be refused however small it is; see ``WorkQueue.check_room``."""
        self._queue.check_room(asking)

    def refusal(self, asking: Asking, entering: int = 0) -> RefusalError | None:
        """Refusal that any request would get now; see ``WorkQueue.refusal``."""
        return self._queue.refusal(asking, entering)

    async def ask(
        self, operation: Operation[ItemT, Any, AnswerT], items: Sequence[ItemT], asking: Asking
    ) -> list[AnswerT]:
        """The answers of ``operation`` to ``items``, in their order.

        Raises:
            OverloadedError: there is no room, or it could not be done in time.
            DeadlinePassedError: it was not done in time.
            AbandonedError: the client has left.
        """
        work = QueuedWork(operation, items, asking, asyncio.get_running_loop())
        if not items:
            return []
        if asking.gone:
            raise _abandoned()
        try:
            self._queue.admit(work)
        finally:
            asking.settle()
        self._start()
        timer = self._timer(work)
        try:
            with asking.telling(lambda: work.refuse(_abandoned())):
                return await work.future
        finally:
            if timer is not None:
                timer.cancel()
            self._queue.leave(work)

    def _timer(self, work: QueuedWork[Any, Any]) -> asyncio.TimerHandle | None:
        if work.asking.deadline is None:
            return None
        late = DeadlinePassedError("the time for this request was over before it was done.")
        return work.loop.call_later(work.asking.deadline - time.monotonic(), work.refuse, late)

    def _start(self) -> None:
        """Have as many threads as there are workers."""
        with self._lock:
            while self._alive < self._workers:
                self._alive += 1
                threading.Thread(target=self._work, name=f"engine of {self._name}").start()

    def _work(self) -> None:
        torch.set_num_threads(self._threads)
        while True:
            call = self._queue.take(IDLE_SECONDS)
            if call is None:
                with self._lock:
                    # Whoever was let in since has not yet looked for threads, or will find one fewer.
                    if self._queue.figures().waiting_items == 0:
                        self._alive -= 1
                        return
                continue
            began = time.monotonic()
            try:
                self._observe(call, began)
                self._compute(call)
            except Exception as error:
                # Not the fault of any request; yet all get an answer, and the thread goes on.
                for part in call.parts:
                    deliver(part.work.loop, [partial(part.work.refuse, error)])
            finally:
                self._queue.done(call, time.monotonic() - began)

    def _observe(self, call: Call, now: float) -> None:
        for observer in self._observers:
            observer.batched(self._name, call.items)
            for part in call.parts:
                if part.first == 0:
                    observer.waited(self._name, now - part.work.asking.began)

    def _compute(self, call: Call) -> None:
        """Answer all parts of ``call``; what is wrong with one of them is told to nobody else."""
        ready = list[Any]()
        sound = list[int]()
        for place, part in enumerate(call.parts):
            prepared = _attempt([part], partial(call.operation.prepare, part.items, part.first + 1))
            if prepared is not None:
                sound.append(place)
                ready.append(prepared)
        together = [call.parts[place] for place in sound]
        if len(sound) > 1 and self._answer(call, sound, ready):
            return
        for place, part, prepared in zip(sound, together, ready, strict=True):
            answers = _attempt(
                [part], partial(call.operation.run, prepared, _wanted(call, [place], [prepared]))
            )
            if answers is not None:
                deliver(part.work.loop, [partial(part.work.accept, part.first, answers)])

    def _answer(self, call: Call, sound: Sequence[int], ready: Sequence[Sequence[Any]]) -> bool:
        """Answer the ``sound`` parts together; False if that cannot be done."""
        try:
            answers = call.operation.run(
                [each for some in ready for each in some], _wanted(call, sound, ready)
            )
        except Exception:
            # It is for one of them, and will be told to that one alone.
            return False
        deliveries: dict[asyncio.AbstractEventLoop, list[partial[None]]] = {}
        begins = 0
        for place, prepared in zip(sound, ready, strict=True):
            part = call.parts[place]
            own = answers[begins : begins + len(prepared)]
            begins += len(prepared)
            deliveries.setdefault(part.work.loop, []).append(partial(part.work.accept, part.first, own))
        for loop, each in deliveries.items():
            deliver(loop, each)
        return True


def _wanted(call: Call, sound: Sequence[int], ready: Sequence[Sequence[object]]) -> Wanted:
    """The flags of the items in ``ready``, which are those of the ``sound`` parts of ``call``."""
    counts = torch.tensor([len(prepared) for prepared in ready])
    return Wanted(call.flags, torch.tensor(sound).repeat_interleave(counts))


def _attempt(parts: Sequence[WorkPart], attempt: Callable[[], Sequence[Any]]) -> Sequence[Any] | None:
    """The result of ``attempt``; None if it fails, which the requests of ``parts`` are told."""
    try:
        return attempt()
    except Exception as error:
        for part in parts:
            deliver(part.work.loop, [partial(part.work.refuse, error)])
        return None


def _abandoned() -> AbandonedError:
    return AbandonedError("the client has left.")
