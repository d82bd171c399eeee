"""A lane: one run's queue, and the threads that compute what comes out of it."""

import asyncio
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import torch

from whyformer.decoding.stopping import Wanted
from whyformer.serve.asking import NOBODY, Asking, Entering
from whyformer.serve.batching.figures import Observer, QueueFigures
from whyformer.serve.batching.operation import AnswerT, ItemT, Operation
from whyformer.serve.batching.queue import QueueLimits, WorkQueue
from whyformer.serve.batching.work import Call, Delivery, QueuedWork, deliver
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

    def refusal(self, asking: Asking, entering: Entering = NOBODY) -> RefusalError | None:
        """Refusal that ``asking`` would get now; see ``WorkQueue.refusal``."""
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
        except BaseException:
            self._queue.leave(work)
            raise
        finally:
            if timer is not None:
                timer.cancel()

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
            deliver(self._finish(call))

    def _finish(self, call: Call) -> Sequence[Delivery]:
        """Compute ``call``, and return its answers once it counts as done.

        Whoever has an answer may ask again at once, and shall not find the engine busy with that answer.
        """
        began = time.monotonic()
        try:
            self._observe(call, began)
            return self._compute(call)
        except Exception as error:
            # Not the fault of any request; yet all get an answer, and the thread goes on.
            return [(part.work.loop, partial(part.work.refuse, error)) for part in call.parts]
        finally:
            self._queue.done(call, time.monotonic() - began)

    def _observe(self, call: Call, now: float) -> None:
        for observer in self._observers:
            observer.batched(self._name, call.items)
            for part in call.parts:
                if part.first == 0:
                    observer.waited(self._name, now - part.work.asking.began)

    def _compute(self, call: Call) -> Sequence[Delivery]:
        """Answers to all parts of ``call``; what is wrong with one of them is told to nobody else."""
        told = list[Delivery]()
        ready = list[Any]()
        sound = list[int]()
        for place, part in enumerate(call.parts):
            try:
                ready.append(call.operation.prepare(part.items, part.first + 1))
                sound.append(place)
            except Exception as error:
                told.append((part.work.loop, partial(part.work.refuse, error)))
        if len(sound) > 1:
            # What fails is for one of them, and will be told to that one alone.
            with suppress(Exception):
                return [*told, *_answers(call, sound, ready)]
        for place, prepared in zip(sound, ready, strict=True):
            try:
                told += _answers(call, [place], [prepared])
            except Exception as error:
                work = call.parts[place].work
                told.append((work.loop, partial(work.refuse, error)))
        return told


def _answers(call: Call, sound: Sequence[int], ready: Sequence[Sequence[Any]]) -> list[Delivery]:
    """Answers to the ``sound`` parts of ``call``, computed side by side."""
    answers = call.operation.run([each for some in ready for each in some], _wanted(call, sound, ready))
    told = list[Delivery]()
    begins = 0
    for place, prepared in zip(sound, ready, strict=True):
        part = call.parts[place]
        own = answers[begins : begins + len(prepared)]
        begins += len(prepared)
        told.append((part.work.loop, partial(part.work.accept, part.first, own)))
    return told


def _wanted(call: Call, sound: Sequence[int], ready: Sequence[Sequence[object]]) -> Wanted:
    """The flags of the items in ``ready``, which are those of the ``sound`` parts of ``call``."""
    counts = torch.tensor([len(prepared) for prepared in ready])
    return Wanted(call.flags, torch.tensor(sound).repeat_interleave(counts))


def _abandoned() -> AbandonedError:
    return AbandonedError("the client has left.")
