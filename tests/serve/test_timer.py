"""A timer that is started and stopped all the time, by a clock that is moved by hand."""

import asyncio
from collections.abc import Callable

import pytest

from whyformer.serve.gate.timer import LazyTimer


class HandMoved(asyncio.SelectorEventLoop):
    """A loop whose time stands still until it is moved; it counts what it was asked to call."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.asked = 0

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[..., object], *args: object, **_: object):
        self.asked += 1
        return super().call_at(when, callback, *args)

    def move(self, seconds: float) -> None:
        self.now += seconds
        self.call_soon(self.stop)
        self.run_forever()


@pytest.fixture
def loop():
    made = HandMoved()
    yield made
    made.close()


def timed(loop: HandMoved) -> tuple[LazyTimer, list[float]]:
    """A timer, and the moments at which it has called."""
    called: list[float] = []
    return LazyTimer(loop, lambda: called.append(loop.now)), called


def test_it_calls_once_when_its_time_is_over(loop: HandMoved):
    timer, called = timed(loop)
    timer.start(3)
    loop.move(2.9)
    assert called == []
    assert timer.runs
    loop.move(0.2)
    assert called == [pytest.approx(3.1)]
    assert not timer.runs
    loop.move(10)
    assert len(called) == 1


def test_starts_and_stops_ask_nothing_of_the_loop(loop: HandMoved):
    timer, called = timed(loop)
    for _ in range(100):  # a request each tenth of a second
        timer.start(3)
        loop.move(0.05)
        timer.stop()
        loop.move(0.05)
    assert called == []
    assert loop.asked <= 5  # ten seconds
    timer.start(3)  # the last one is never sent
    loop.move(2.9)
    assert called == []
    loop.move(0.2)
    assert len(called) == 1


def test_a_later_start_counts_from_itself(loop: HandMoved):
    timer, called = timed(loop)
    timer.start(3)
    loop.move(2)
    timer.start(3)
    loop.move(2)
    assert called == []
    loop.move(1)
    assert called == [5.0]


def test_a_shorter_time_is_kept(loop: HandMoved):
    timer, called = timed(loop)
    timer.start(30)
    timer.start(1)
    loop.move(1)
    assert called == [1.0]


def test_what_is_called_may_start_it_again(loop: HandMoved):
    called: list[float] = []

    def again() -> None:
        called.append(loop.now)
        timer.start(2)

    timer = LazyTimer(loop, again)
    timer.start(1)
    for _ in range(5):
        loop.move(1)
    assert called == [1.0, 3.0, 5.0]


def test_closed_it_leaves_nothing_in_the_loop(loop: HandMoved):
    timer, called = timed(loop)
    timer.start(1)
    timer.close()
    loop.move(5)
    assert called == []
    timer.close()
