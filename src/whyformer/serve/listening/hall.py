"""The hall: places for clients that speak, and a room for each run that listens."""

import asyncio
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

from whyformer.decoding.ctc.endpoint import EndpointSpec
from whyformer.serve.listening.limits import ListeningLimits
from whyformer.serve.listening.live import LiveSession
from whyformer.serve.listening.room import ListeningRoom
from whyformer.serve.refusals import DrainingError, InvalidRequestError, OverloadedError
from whyformer.serve.service import HostedRun
from whyformer.tasks.speech.listener import Listener

LOWEST_CLIENT_RATE, HIGHEST_CLIENT_RATE = 8_000, 192_000
"""Sampling rates that clients may send, in Hz."""
_RETRY_SECONDS = 5


class ListeningHall:
    """All clients of a service that speak; it belongs to one event loop.

    Args:
        limits: bounds of what they take up.
        draining: set by whoever ends the service; one of its own if None.
    """

    def __init__(self, limits: ListeningLimits | None = None, draining: asyncio.Event | None = None) -> None:
        self.limits = ListeningLimits() if limits is None else limits
        self.draining = asyncio.Event() if draining is None else draining
        """Event after which everybody has to end."""
        self._empty = asyncio.Event()
        self._empty.set()
        self._places = 0
        self._rooms: dict[str, ListeningRoom] = {}
        # A new sampling rate takes a third of a second: not of the loop, nor of the sessions that go on.
        self._openers = ThreadPoolExecutor(1, "opening")

    @property
    def clients(self) -> int:
        """Number of clients that are connected."""
        return self._places

    @contextmanager
    def place(self) -> Generator[None]:
        """Hold a place for a client inside the block.

        Raises:
            DrainingError: the service is ending.
            OverloadedError: all places are taken.
        """
        if self.draining.is_set():
            raise DrainingError("the service is ending; connect again in a few seconds.")
        if self._places >= self.limits.sessions:
            raise OverloadedError(
                f"all {self.limits.sessions} places for speech are taken; "
                f"try again in {_RETRY_SECONDS} seconds.",
                retry_after=_RETRY_SECONDS,
            )
        self._places += 1
        self._empty.clear()
        try:
            yield
        finally:
            self._places -= 1
            if not self._places:
                self._empty.set()

    def room(self, run: HostedRun) -> ListeningRoom:
        """The room of ``run``; of a run that was loaded anew a new one, while who is in the old one stays."""
        listener = run.runner
        assert isinstance(listener, Listener), "a run of the task speech"
        found = self._rooms.get(run.name)
        if found is None or found.listener is not listener:
            settings = listener.settings
            # Without an end of segments, clients would have no result before they leave.
            settings = replace(settings, endpoint=settings.endpoint or EndpointSpec())
            found = self._rooms[run.name] = ListeningRoom(listener, settings, self.limits.rows)
        return found

    async def open(self, room: ListeningRoom, rate: int) -> LiveSession:
        """A session in ``room`` that is told samples at ``rate`` in Hz.

        Raises:
            InvalidRequestError: the rate is not taken here.
        """
        if not LOWEST_CLIENT_RATE <= rate <= HIGHEST_CLIENT_RATE:
            raise InvalidRequestError(
                f"a sampling rate of {rate} Hz; send sound at {LOWEST_CLIENT_RATE:,} to "
                f"{HIGHEST_CLIENT_RATE:,} Hz.",
                field="sample_rate",
            )
        live = await asyncio.get_running_loop().run_in_executor(self._openers, room.prepare, rate)
        room.enter(live)
        return live

    async def drain(self, seconds: float) -> bool:
        """Let every client end, with its final result and the reason; whether all did within ``seconds``."""
        self.draining.set()
        try:
            async with asyncio.timeout(seconds):
                await self._empty.wait()
        except TimeoutError:
            return False
        return True
