"""Transport: a connection that sends together what is said together, and ends when it is closed."""

import asyncio
from typing import Any, cast


class EndingTransport:
    """A transport whose closing does not wait for its client for ever.

    asyncio's own keeps a closed connection, and its file handle, until all that was written is read. What is
    written in one turn of the event loop leaves together: each call of the system costs the loop 30 µs.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        self._transport = transport
        self._loop = loop
        self._seconds = seconds
        self._kept = list[bytes | bytearray | memoryview]()

    @classmethod
    def around(
        cls, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, seconds: float
    ) -> asyncio.Transport:
        """Return ``transport`` as one that ends so many ``seconds`` after its closing at the latest."""
        return cast(asyncio.Transport, cls(transport, loop, seconds))

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send ``data`` before the next turn of the event loop."""
        if not self._kept:
            self._loop.call_soon(self._send)
        self._kept.append(data)

    def get_write_buffer_size(self) -> int:
        """Number of bytes that are not sent yet."""
        return sum(map(len, self._kept)) + self._transport.get_write_buffer_size()

    def abort(self) -> None:
        """End at once."""
        self._kept.clear()
        self._transport.abort()

    def close(self) -> None:
        """Send what is left, for some seconds, and end."""
        self._send()
        self._transport.close()
        if self._transport.get_write_buffer_size():
            self._loop.call_later(self._seconds, self._abort)

    def __getattr__(self, name: str) -> Any:
        """Whatever else a transport does."""
        return getattr(self._transport, name)

    def _send(self) -> None:
        if self._kept:
            kept, self._kept = self._kept, []
            self._transport.write(b"".join(kept))

    def _abort(self) -> None:
        # One that has ended meanwhile holds nothing, and cannot be aborted.
        if self._transport.get_write_buffer_size():
            self._transport.abort()
