"""Lifecycle of a service: what it is busy with, and an end at which nobody loses an answer."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager, suppress

from whyformer.serve.refusals import DrainingError

RETRY_SECONDS = 2
"""Seconds after which a client of a service that ends may find the next."""


def ending() -> DrainingError:
    """The refusal of whatever comes while the service ends."""
    return DrainingError("the service is ending and takes nothing new.", retry_after=RETRY_SECONDS)


class Lifecycle:
    """Requests that are running, whether new ones are taken, and the way from there to the end."""

    def __init__(self) -> None:
        self.sessions = 0
        """Number of WebSockets that are open."""
        self.draining = asyncio.Event()
        """Event after which nothing new is taken."""
        self.is_over = False
        """Whether the time for running requests is over."""
        self._tasks = set[asyncio.Task[object]]()
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def is_ready(self) -> bool:
        """Whether new requests are taken."""
        return not self.draining.is_set()

    @property
    def running(self) -> int:
        """Number of requests and sessions that are being answered."""
        return len(self._tasks)

    def check_ready(self) -> None:
        """Refuse what is new while the service ends.

        Raises:
            DrainingError: it does.
        """
        if not self.is_ready:
            raise ending()

    @contextmanager
    def busy(self) -> Generator[None]:
        """Count the current task as one that has to be finished before the end."""
        task = asyncio.current_task()
        assert task is not None, "requests are answered in tasks"
        self._tasks.add(task)
        self._idle.clear()
        try:
            yield
        finally:
            self._tasks.discard(task)
            if not self._tasks:
                self._idle.set()

    @contextmanager
    def session(self) -> Generator[None]:
        """Count a WebSocket."""
        self.sessions += 1
        try:
            with self.busy():
                yield
        finally:
            self.sessions -= 1

    async def drain(self, grace: float) -> bool:
        """Take nothing new, and wait for what is running, ``grace`` seconds at most; the rest is cancelled.

        Returns:
            Whether all of it was finished in time.
        """
        self.draining.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(grace):
                await self._idle.wait()
            return True
        self.is_over = True
        for task in list(self._tasks):
            task.cancel()
        # What was cancelled still says so to its client.
        with suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await self._idle.wait()
        return False
