"""Queues: who goes with whom, who is refused and told what, and what clients that leave cost."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random

import pytest

from serve.batching.toys import Gated, asking
from whyformer.serve.asking import Asking, Entering
from whyformer.serve.batching.lane import Lane
from whyformer.serve.batching.queue import LONGEST_RETRY, QueueLimits, WorkQueue
from whyformer.serve.batching.work import AnyWork, Call, QueuedWork
from whyformer.serve.refusals import (
    AbandonedError,
    DeadlinePassedError,
    OverloadedError,
    RequestTooLargeError,
)


def lane(limits: QueueLimits | None = None, workers: int = 1) -> Lane:
    return Lane("run", QueueLimits() if limits is None else limits, workers, 1, [])


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.001)


class Busy:
    """A lane of one worker that is held up by a first request, so that all others wait."""

    def __init__(self, limits: QueueLimits | None = None) -> None:
        self.lane = lane(limits)
        self.first = Gated()

    async def __aenter__(self) -> "Busy":
        self._held = asyncio.ensure_future(self.lane.ask(self.first, ["held"], asking()))
        await asyncio.to_thread(self.first.begun.acquire)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.first.gate.set()
        assert await self._held == ["heldheld"]

    async def waits(
        self, operation: Gated, items: Sequence[str], who: Asking | None = None
    ) -> "asyncio.Future[list[str]]":
        """A request that has come to wait."""
        before = self.lane.figures.waiting_items
        work = asyncio.ensure_future(self.lane.ask(operation, items, who or asking()))
        await until(lambda: work.done() or self.lane.figures.waiting_items == before + len(items))
        return work


def test_what_waits_is_computed_together_and_returns_to_its_own_request() -> None:
    async def main() -> None:
        operation, other = Gated(), Gated()
        operation.gate.set()
        other.gate.set()
        async with Busy() as busy:
            works = [
                await busy.waits(operation, ["a", "b"]),
                await busy.waits(other, ["x"]),
                await busy.waits(operation, ["c"]),
            ]
        assert [await work for work in works] == [["aa", "bb"], ["xx"], ["cc"]]
        assert operation.calls == [["a", "b", "c"]]
        assert other.calls == [["x"]]

    asyncio.run(main())


def test_a_call_has_as_much_as_its_bounds_allow_and_the_oldest_goes_first() -> None:
    async def main() -> None:
        operation = Gated(tokens=10)
        operation.gate.set()
        async with Busy(QueueLimits(call_items=5, call_tokens=40)) as busy:
            works = [await busy.waits(operation, [f"{n}{i}" for i in range(3)]) for n in "abc"]
            assert busy.lane.figures.waiting_tokens == 90
        assert [len(await work) for work in works] == [3, 3, 3]
        assert operation.calls == [["a0", "a1", "a2", "b0"], ["b1", "b2", "c0", "c1"], ["c2"]]
        await until(lambda: busy.lane.figures.calls == 4)
        figures = busy.lane.figures
        assert (figures.waiting_items, figures.waiting_tokens, figures.running_items) == (0, 0, 0)
        assert figures.items == 10

    asyncio.run(main())


def test_an_item_that_is_more_than_a_call_takes_has_one_of_its_own() -> None:
    async def main() -> None:
        operation = Gated(tokens=1000)
        operation.gate.set()
        assert await lane(QueueLimits(call_tokens=10)).ask(operation, ["a", "b"], asking()) == ["aa", "bb"]
        assert operation.calls == [["a"], ["b"]]

    asyncio.run(main())


@pytest.mark.parametrize("bad", ["bad", "worse"])
def test_an_error_is_for_the_request_it_comes_from(bad: str) -> None:
    async def main() -> None:
        operation = Gated()
        operation.gate.set()
        async with Busy() as busy:
            works = [await busy.waits(operation, items) for items in (["a"], ["b", bad], ["c"])]
        found = await asyncio.gather(*works, return_exceptions=True)
        assert found[0::2] == [["aa"], ["cc"]]
        assert isinstance(found[1], ValueError)
        assert str(found[1]) == {"bad": "text 2 is bad", "worse": "this cannot be doubled"}[bad]

    asyncio.run(main())


def leave_by_cancelling(work: "asyncio.Future[list[str]]", _who: Asking) -> None:
    work.cancel()


def leave_by_flag(_work: "asyncio.Future[list[str]]", who: Asking) -> None:
    who.gone = True


@pytest.mark.parametrize("text", ["a", "bad", "worse"])
def test_who_has_an_answer_finds_the_engine_done_with_it(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    done = WorkQueue.done

    def late(queue: WorkQueue, call: Call, seconds: float) -> None:
        time.sleep(0.1)
        done(queue, call, seconds)

    monkeypatch.setattr(WorkQueue, "done", late)

    async def main() -> None:
        served, operation = lane(), Gated(tokens=10)
        operation.gate.set()
        with suppress(ValueError):
            await served.ask(operation, [text], asking())
        assert served.figures.running_tokens == 0

    asyncio.run(main())


@pytest.mark.parametrize("leave", [leave_by_cancelling, leave_by_flag])
def test_what_waits_for_a_client_that_leaves_is_never_computed(
    leave: Callable[["asyncio.Future[list[str]]", Asking], None],
) -> None:
    async def main() -> None:
        operation = Gated()
        operation.gate.set()
        async with Busy() as busy:
            who = asking()
            left, stays = await busy.waits(operation, ["a"], who), await busy.waits(operation, ["b"])
            leave(left, who)
            with pytest.raises((asyncio.CancelledError, AbandonedError)):
                await left
            assert busy.lane.figures.waiting_items == 1
        assert await stays == ["bb"]
        assert operation.calls == [["b"]]

    asyncio.run(main())


@pytest.mark.parametrize("leave", [leave_by_cancelling, leave_by_flag])
def test_a_call_hears_which_of_its_clients_have_left(
    leave: Callable[["asyncio.Future[list[str]]", Asking], None],
) -> None:
    async def main() -> None:
        operation, who = Gated(), asking()
        async with Busy() as busy:
            works = [
                await busy.waits(operation, ["a", "b"]),
                await busy.waits(operation, ["c"], who),
                await busy.waits(operation, ["d"]),
            ]
        await asyncio.to_thread(operation.begun.acquire)
        leave(works[1], who)
        with pytest.raises((asyncio.CancelledError, AbandonedError)):
            await works[1]
        operation.gate.set()
        assert [await works[0], await works[2]] == [["aa", "bb"], ["dd"]]
        assert operation.stopped == [[True, True, False, True]]

    asyncio.run(main())


def test_who_has_left_before_is_not_served() -> None:
    async def main() -> None:
        who = asking()
        who.gone = True
        with pytest.raises(AbandonedError):
            await lane().ask(Gated(), ["a"], who)

    asyncio.run(main())


def test_a_deadline_ends_waiting_and_computing() -> None:
    async def main() -> None:
        with pytest.raises(DeadlinePassedError):
            await lane().ask(Gated(), ["a"], asking(time.monotonic() - 1))
        async with Busy() as busy:
            operation = Gated()
            waiting = await busy.waits(operation, ["a"], asking(time.monotonic() + 0.2))
            with pytest.raises(DeadlinePassedError):
                await waiting
            assert busy.lane.figures.waiting_items == 0
        alone = Gated()
        running = asyncio.ensure_future(busy.lane.ask(alone, ["a"], asking(time.monotonic() + 0.2)))
        with pytest.raises(DeadlinePassedError):
            await running
        alone.gate.set()
        await until(lambda: alone.stopped)
        assert operation.calls == []
        assert alone.stopped == [[False]]

    asyncio.run(main())


def test_a_full_queue_refuses_at_once_and_is_bounded() -> None:
    async def main() -> None:
        for limits in (QueueLimits(requests=3), QueueLimits(tokens=30)):
            operation = Gated(tokens=10)
            operation.gate.set()
            async with Busy(limits) as busy:
                works = [await busy.waits(operation, ["a"]) for _ in range(10)]
                assert busy.lane.figures.waiting_items == 3
                for work in works[3:]:
                    assert isinstance(refusal := work.exception(), OverloadedError)
                    assert refusal.retry_after is not None
                    assert 1 <= refusal.retry_after <= LONGEST_RETRY
                assert busy.lane.figures.refused == {"overload": 7}
                # Somebody leaves: there is room again.
                works[1].cancel()
                await until(lambda: busy.lane.figures.waiting_items == 2)
                works.append(await busy.waits(operation, ["b"]))
            assert [await works[index] for index in (0, 2, 10)] == [["aa"], ["aa"], ["bb"]]

    asyncio.run(main())


def test_what_is_more_than_the_queue_is_refused_for_good() -> None:
    async def main() -> None:
        with pytest.raises(RequestTooLargeError, match="40 tokens"):
            await lane(QueueLimits(tokens=30)).ask(Gated(tokens=10), ["a"] * 4, asking())

    asyncio.run(main())


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator["Clock"]:
    """The time that queues see."""
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", lambda: clock.now)
    yield clock
    clock.loop.close()


@dataclass
class Clock:
    """A time that a test moves."""

    now: float = 1000.0
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)

    def come(self, queue: WorkQueue, items: int, seconds: float | None = None, size: int = 0) -> AnyWork:
        """Let a request of so many ``items``, 100 tokens each, come that has so many ``seconds``."""
        who = Asking("a", None if seconds is None else self.now + seconds, self.now, size)
        work = QueuedWork(OPERATION, ["a"] * items, who, self.loop)
        queue.admit(work)
        return work


OPERATION = Gated(tokens=100)


def end_of(work: AnyWork) -> float:
    """The deadline of ``work``, which has one."""
    assert work.asking.deadline is not None
    return work.asking.deadline


def learnt(clock: Clock, limits: QueueLimits, seconds: float) -> WorkQueue:
    """A queue of one worker that knows how many ``seconds`` it takes for 100 tokens."""
    queue = WorkQueue(limits, 1)
    clock.come(queue, 1)
    call = queue.take(0)
    assert call is not None
    queue.done(call, seconds)
    return queue


@pytest.mark.parametrize(
    ("limits", "fitting"),
    [(QueueLimits(requests=5), 3), (QueueLimits(tokens=700), 5)],
    ids=["count", "cost"],
)
def test_those_on_their_way_need_room_too(clock: Clock, limits: QueueLimits, fitting: int) -> None:
    """Two requests of 100 tokens wait, whose 50 bytes each tell what those of the next ones mean."""
    queue = WorkQueue(limits, 1)
    for _ in range(2):
        clock.come(queue, 1, size=50)
    next_one = Asking("a", size=50)
    has_room = [queue.refusal(next_one, Entering(count, 50 * count)) is None for count in range(7)]
    assert has_room == [count < fitting for count in range(7)]


def test_large_requests_before_do_not_make_small_ones_large(clock: Clock) -> None:
    queue = WorkQueue(QueueLimits(tokens=4000), 1)
    for _ in range(20):
        clock.come(queue, 32, size=3200)
        while (call := queue.take(0)) is not None:
            queue.done(call, 0.0)
    # 64 of 100 tokens on their way have room; as lists of 32 only one would have.
    small = Asking("a", size=100)
    assert queue.refusal(small, Entering(30, 30 * 100)) is None
    assert queue.refusal(small, Entering(40, 40 * 100)) is not None


def test_a_list_that_has_no_room_is_refused_by_its_size(clock: Clock) -> None:
    """Before anybody reads it; what says no size is looked at when it is there."""
    queue = WorkQueue(QueueLimits(tokens=4000), 1)
    clock.come(queue, 32, size=3200)
    assert queue.refusal(Asking("a", size=3200)) is not None
    assert queue.refusal(Asking("a", size=700)) is None
    assert queue.refusal(Asking("a")) is None
    call = queue.take(0)
    assert call is not None
    queue.leave(call.parts[0].work)
    queue.done(call, 0.0)
    # Of an empty queue nobody knows better by a size alone.
    assert queue.refusal(Asking("a", size=1_000_000)) is None


def test_who_could_not_be_done_in_time_is_refused_at_once_and_told_when_to_come(clock: Clock) -> None:
    queue = learnt(clock, QueueLimits(), 0.05)
    for _ in range(40):
        clock.come(queue, 1)
    with pytest.raises(OverloadedError) as refused:
        clock.come(queue, 1, seconds=2.0)
    assert refused.value.retry_after == 2
    clock.come(queue, 1, seconds=10.0)
    # So long a time in the queue is nobody asked to wait, whatever the deadline.
    for _ in range(160):
        clock.come(queue, 1)
    with pytest.raises(OverloadedError) as refused:
        clock.come(queue, 1, seconds=1000.0)
    assert refused.value.retry_after == 11
    assert queue.figures().refused == {"overload": 2}


@pytest.mark.parametrize("seconds", [0.001, 0.05, 1000.0])
def test_nobody_is_told_to_come_at_once_or_never(clock: Clock, seconds: float) -> None:
    queue = learnt(clock, QueueLimits(requests=1), seconds)
    clock.come(queue, 1)
    with pytest.raises(OverloadedError) as refused:
        clock.come(queue, 1)
    assert refused.value.retry_after == (LONGEST_RETRY if seconds > 1 else 1)


@pytest.mark.parametrize("load", [0.5, 1.0, 3.0, 10.0, 100.0])
def test_under_overload_as_much_is_done_in_time_as_at_the_peak(clock: Clock, load: float) -> None:
    """Requests come evenly and have 2 s; a call of 4 takes 0.02 s."""
    queue, random = learnt(clock, QueueLimits(call_items=4), 0.005), Random(1)
    works = list[AnyWork]()
    end, free, next_one = clock.now + 20.0, clock.now, clock.now
    late = done = 0
    while clock.now < end:
        if next_one <= free:
            clock.now, next_one = next_one, next_one + 0.005 / load
            with suppress(OverloadedError):
                works.append(clock.come(queue, 1, seconds=2.0))
            continue
        clock.now = max(free, clock.now)
        for work in [each for each in works if end_of(each) <= clock.now]:
            queue.leave(work)
            works.remove(work)
            late += 1
        call = queue.take(0)
        if call is None:
            free = next_one
            continue
        seconds = 0.005 * call.items * random.uniform(0.5, 1.5)
        free = clock.now + seconds
        queue.done(call, seconds)
        for part in call.parts:
            works.remove(part.work)
            on_time = free <= end_of(part.work)
            done, late = done + on_time, late + (not on_time)
    assert late == 0
    assert done >= 0.9 * min(1.0, load) * 20.0 / 0.005


def test_requests_of_several_loops_share_a_lane() -> None:
    engine, operation = lane(), Gated()
    operation.gate.set()
    for _ in range(3):
        assert asyncio.run(engine.ask(operation, ["a"], asking())) == ["aa"]


def test_threads_end_when_there_is_nothing_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    from whyformer.serve.batching import lane as module

    monkeypatch.setattr(module, "IDLE_SECONDS", 0.05)

    async def main() -> None:
        engine = Lane("ends", QueueLimits(), 2, 1, [])
        operation = Gated()
        operation.gate.set()
        for _ in range(3):
            assert await engine.ask(operation, ["a"], asking()) == ["aa"]
            await until(lambda: not [t for t in threading.enumerate() if t.name == "engine of ends"])

    asyncio.run(main())
