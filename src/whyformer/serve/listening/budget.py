"""Back-pressure: how much of a client's is read before its answers are out."""

import asyncio


class ReadingBudget:
    """Bytes that may wait at once; what is larger than all of them waits alone."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._used = 0
        self._freed = asyncio.Event()

    @property
    def used(self) -> int:
        """Bytes that wait."""
        return self._used

    async def take(self, size: int) -> None:
        """Wait until there is room for ``size`` bytes, and take it."""
        while self._used and self._used + size > self._capacity:
            self._freed.clear()
            await self._freed.wait()
        self._used += size

    def give_back(self, size: int) -> None:
        """Free ``size`` bytes."""
        self._used -= size
        self._freed.set()
