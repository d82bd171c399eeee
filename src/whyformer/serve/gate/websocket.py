"""Session: a WebSocket, which hears of the service's end and is told why it ends."""

import asyncio

from starlette.responses import Response
from starlette.types import Message, Receive, Send

from whyformer.serve.gate.exchange import ClientGoneError, send_in_time
from whyformer.serve.operation.limits import Limits
from whyformer.serve.refusals import RefusalError

RESTART = 1012
"""Code that closes a WebSocket because its server ends (IANA's registry of close codes)."""
POLICY = 1008
"""Code that closes a WebSocket because of what its client has sent (RFC 6455, section 7.4.1)."""
FAULT = 1011
"""Code that closes a WebSocket because its server has failed (RFC 6455, section 7.4.1)."""
_ENDING = "the service is ending"
_REASON_BYTES = 123


class WebSocketSession:
    """A WebSocket on its way, watched."""

    def __init__(self, receive: Receive, send: Send, limits: Limits, draining: asyncio.Event | None) -> None:
        """Watch over messages until ``draining``; None for one that is ended by whoever holds it."""
        self.code: int | None = None
        """Code that it was closed with; None while it is open."""
        self._receive, self._send, self._limits, self._draining = receive, send, limits, draining
        self._next: asyncio.Task[Message] | None = None
        self._end: asyncio.Task[bool] | None = None
        self._is_accepted = False
        self._is_told = False

    async def receive(self) -> Message:
        """The client's next message; once the service ends, a disconnection by ``RESTART``.

        What is sent after that still reaches the client, such as the result of what it has said so far.
        """
        if self._draining is None:
            message = await self._receive()
        else:
            if self._next is None:
                self._next = asyncio.ensure_future(self._receive())
            if self._end is None:
                self._end = asyncio.ensure_future(self._draining.wait())
            await asyncio.wait({self._next, self._end}, return_when=asyncio.FIRST_COMPLETED)
            if not self._next.done():
                self._is_told = True
                return {"type": "websocket.disconnect", "code": RESTART, "reason": _ENDING}
            message, self._next = self._next.result(), None
        if message["type"] == "websocket.disconnect":
            self.code = message.get("code", 1005)
        return message

    async def send(self, message: Message) -> None:
        """Send ``message``; a session that the service ends is closed by ``RESTART``.

        Raises:
            ClientGoneError: the client takes nothing more.
        """
        is_open = self.code is None
        if message["type"] == "websocket.accept":
            self._is_accepted = True
        elif message["type"] == "websocket.close":
            if self._is_told:
                message = {**message, "code": RESTART, "reason": _ENDING}
            self.code = message.get("code", 1000)
        try:
            await send_in_time(self._send, message, self._limits.seconds)
        except RuntimeError:
            if not is_open:
                raise
            # uvicorn has closed it because no ping was answered, and takes that for a mistake of ours.
            raise ClientGoneError from None

    async def finish(self, refusal: RefusalError | None, response: Response | None) -> None:
        """Close what is open, by ``refusal`` if there is one; what was not accepted yet, by ``response``."""
        for task in (self._next, self._end):
            if task is not None:
                task.cancel()
        if self.code is not None:
            return
        if response is not None and not self._is_accepted:
            self.code = response.status_code
            head = {"status": response.status_code, "headers": response.raw_headers}
            await self._send({"type": "websocket.http.response.start", **head})
            await self._send({"type": "websocket.http.response.body", "body": response.body})
        elif refusal is not None:
            code = FAULT if refusal.status >= 500 else POLICY
            reason = str(refusal).encode("ascii", "replace")[:_REASON_BYTES].decode()
            await self.send({"type": "websocket.close", "code": code, "reason": reason})
        else:
            await self.send({"type": "websocket.close", "code": RESTART if self._is_told else 1000})
