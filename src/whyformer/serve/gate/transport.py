"""Transport: a connection that ends when it is closed, also if its client reads nothing any more."""

import asyncio
from typing import Any, cast


class EndingTransport:
    """A transport whose closing does not wait for its client for ever.

    asyncio's own keeps a closed connection, and its file handle, until all that was written is read.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        self._transport = transport
        self._loop = loop
        self._seconds = seconds

    @classmethod
    def around(
        cls, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, seconds: float
    ) -> asyncio.Transport:
        """Return ``transport`` as one that ends so many ``seconds`` after its closing at the latest."""
        return cast(asyncio.Transport, cls(transport, loop, seconds))

    def close(self) -> None:
        """Send what is left, for some seconds, and end."""
        self._transport.close()
        if self._transport.get_write_buffer_size():
            self._loop.call_later(self._seconds, self._abort)

    def __getattr__(self, name: str) -> Any:
        """Whatever else a transport does."""
        return getattr(self._transport, name)

    def _abort(self) -> None:
        # One that has ended meanwhile holds nothing, and cannot be aborted.
        if self._transport.get_write_buffer_size():
            self._transport.abort()
