"""Doorway: of all requests that were let in, few at a time do what comes before a queue."""

import asyncio
import time
from collections import deque

from whyformer.serve.batching.pace import Pace


class Doorway:
    """Lets requests through in their order, some in each turn of the event loop.

    To read a request and to take it apart costs the loop many times as much as to refuse it. If hundreds did
    so in one turn, nobody else would be answered meanwhile, and refusals are due within milliseconds.
    """

    def __init__(self, width: int = 8) -> None:
        """Let ``width`` through in each turn."""
        self._width = width
        self._waiting = deque[asyncio.Future[None]]()
        self._is_open = False
        self._turned = 0.0
        self._pace = Pace()

    @property
    def seconds(self) -> float:
        """Time that it takes to get through, by what it took of late."""
        return len(self._waiting) * self._pace.each

    async def enter(self) -> None:
        """Wait for one's turn."""
        loop = asyncio.get_running_loop()
        if not self._is_open:
            self._is_open = True
            loop.call_soon(self._let_through, loop, 0)
        turn = loop.create_future()
        self._waiting.append(turn)
        await turn

    def _let_through(self, loop: asyncio.AbstractEventLoop, before: int) -> None:
        """Let the next ones through; so many were in the turn before, which is over now."""
        now = time.monotonic()
        # Of a turn with room for more, others may have taken most.
        if before == self._width:
            self._pace.learn(before, now - self._turned)
        self._turned = now
        count = min(self._width, len(self._waiting))
        for _ in range(count):
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
        self._is_open = count > 0
        if self._is_open:
            loop.call_soon(self._let_through, loop, count)
