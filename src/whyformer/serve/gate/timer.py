"""Timer: one for each connection, however many requests it is started and stopped for."""

import asyncio
from collections.abc import Callable


class LazyTimer:
    """A timer that is nearly always stopped before its time.

    To start or stop it is to note a moment. What waits in the event loop looks at that when it wakes, and
    waits on if the moment has moved: once in a timer's time, not twice a request.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, call: Callable[[], object]) -> None:
        """Let ``call`` be called by ``loop`` when the time is over."""
        self._loop = loop
        self._call = call
        self._due: float | None = None
        self._waiting: asyncio.TimerHandle | None = None

    @property
    def runs(self) -> bool:
        """Whether it was started, and neither stopped nor over."""
        return self._due is not None

    def start(self, seconds: float) -> None:
        """Begin to wait ``seconds`` from now."""
        self._due = self._loop.time() + seconds
        if self._waiting is not None and self._waiting.when() > self._due:
            self._forget()
        if self._waiting is None:
            self._waiting = self._loop.call_at(self._due, self._look)

    def stop(self) -> None:
        """Let nothing happen any more, until it is started again."""
        self._due = None

    def close(self) -> None:
        """Stop, and let the loop forget it."""
        self.stop()
        self._forget()

    def _forget(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _look(self) -> None:
        self._waiting = None
        if self._due is None:
            return
        if self._loop.time() < self._due:
            self._waiting = self._loop.call_at(self._due, self._look)
            return
        self._due = None
        self._call()
