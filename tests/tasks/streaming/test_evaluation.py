"""The cost of streams: what the figures count, by a clock that only the fakes move."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from whyformer.tasks.streaming.evaluation import Cost, Fed, Reference, feed_side_by_side
from whyformer.tasks.streaming.pool import SessionPool
from whyformer.tasks.streaming.session import Session
from whyformer.tasks.streaming.transcript import Transcript

FRONT, NETWORK, PIECE = 0.002, 0.03, 0.32
"""Seconds that a push and a step take, and that a piece lasts."""


class Fake:
    """A pool and its sessions, to which each piece is a number of waiting bytes."""

    def __init__(self) -> None:
        self.now = 0.0
        self.sessions: list[SimpleNamespace] = []

    def clock(self) -> float:
        return self.now

    def open(self, _: str) -> Session:
        session = SimpleNamespace(heard=0.0, closing=False, ended=False, finals=[])
        session.stream = SimpleNamespace(bytes=0, waiting=0, caches=0)

        def push(size: int) -> None:
            self.now += FRONT
            session.heard += PIECE
            session.stream.waiting += size
            session.stream.bytes = session.stream.caches + session.stream.waiting

        def end() -> None:
            self.now += FRONT
            session.closing = True

        session.push, session.end = push, end
        self.sessions.append(session)
        return cast("Session", session)

    def drain(self) -> Any:
        self.now += NETWORK
        for session in self.sessions:
            stream = session.stream
            stream.caches, stream.waiting = min(stream.caches + stream.waiting, 100), 0
            stream.bytes = stream.caches
            if session.closing and not session.ended:
                session.ended = True
                session.finals.append(Transcript(heard=session.heard, final=True))
        return iter(())


def fed(*pieces: int) -> Fed:
    return Fed("a sound", pieces, Reference((), None))


def cost_of(signals: list[Fed], rows: int) -> tuple[list[Transcript], Cost]:
    fake = Fake()
    pool = cast("SessionPool[Session]", cast("Any", fake))
    return feed_side_by_side(pool, fake.open, signals, rows, clock=fake.clock)


def test_computing_is_that_of_the_front_end_and_of_all_that_follows() -> None:
    _, cost = cost_of([fed(60, 60), fed(60, 60)], rows=2)
    each = 2 * FRONT + NETWORK
    assert cost.rounds == pytest.approx((each, each, each))
    assert cost.computing == pytest.approx(3 * each)
    assert cost.audio == pytest.approx(4 * PIECE)
    assert cost.real_time_factor == pytest.approx(3 * each / (4 * PIECE))
    assert cost.side_by_side == 2


def test_signals_that_wait_for_a_place_are_heard_in_their_order() -> None:
    transcripts, cost = cost_of([fed(60), fed(60, 60), fed(60, 60, 60)], rows=2)
    assert [found.heard for found in transcripts] == pytest.approx([PIECE, 2 * PIECE, 3 * PIECE])
    assert cost.audio == pytest.approx(6 * PIECE)
    assert cost.side_by_side == 2
    assert len(cost.rounds) == 6
    assert cost.rounds[-1] == pytest.approx(FRONT + NETWORK)


@pytest.mark.parametrize(("pieces", "most"), [((60,), 60), ((60, 60), 120), ((60, 60, 60), 160)])
def test_memory_is_that_of_a_stream_at_its_fullest(pieces: tuple[int, ...], most: int) -> None:
    _, cost = cost_of([fed(*pieces)], rows=1)
    assert cost.bytes == most


@pytest.mark.parametrize(("threads", "streams"), [(1, 500.0), (2, 250.0)])
def test_streams_a_core_are_those_of_each_of_the_cores_that_computed(threads: int, streams: float) -> None:
    cost = Cost(audio=100.0, computing=0.2, threads=threads, rounds=(), bytes=0, side_by_side=8)
    assert cost.streams_per_core == pytest.approx(streams)
    assert cost.real_time_factor == pytest.approx(0.002)


def test_without_sound_there_is_no_factor() -> None:
    cost = Cost(audio=0.0, computing=0.0, threads=1, rounds=(), bytes=0, side_by_side=0)
    assert (cost.real_time_factor, cost.streams_per_core) == (0.0, 0.0)
