"""Exchange: a request and its answer on their way, watched."""

import asyncio
import re
import secrets
from contextlib import suppress

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import Message, Receive, Scope, Send

from whyformer.serve.operation.limits import Limits
from whyformer.serve.refusals import InvalidRequestError, RefusalError, RequestTooLargeError
from whyformer.serve.service import Asking

_ID = re.compile("[!-~]{1,128}")
_DIGITS = 19
"""Digits of a length that nobody sends."""
# How long a refused client may go on sending, so that it reads the refusal before the connection ends.
_LINGER_SECONDS = 2.0
SMALL_BODY = 2**16
"""Bytes of a body that is taken whole from a client that is refused."""

CLOSED = 499
"""Status in metrics and logs of a request whose client has left, as nginx writes it."""


class ClientGoneError(Exception):
    """The client has left or takes nothing more."""


def given_id(given: str) -> str | None:
    """The id that a client has ``given`` its request; None if it is not short or no visible ASCII."""
    return given if _ID.fullmatch(given) else None


def new_asking(headers: Headers, patience: float | None) -> Asking:
    """The asking of a request with ``headers``, by the id in them if that can be kept."""
    asking = Asking(given_id(headers.get("x-request-id", "")) or secrets.token_hex(8))
    length = headers.get("content-length", "")
    if length.isascii() and length.isdigit() and len(length) < _DIGITS:
        asking.size = int(length)
    if patience is not None:
        asking.deadline = asking.began + patience
    return asking


async def send_in_time(send: Send, message: Message, seconds: float) -> None:
    """Send ``message``.

    Raises:
        ClientGoneError: the client takes nothing for so many ``seconds``.
    """
    try:
        async with asyncio.timeout(seconds):
            await send(message)
    except TimeoutError:
        raise ClientGoneError from None


class Exchange:
    """A request over HTTP: counts what comes in, notes who leaves, and marks what goes out."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, limits: Limits, asking: Asking) -> None:
        self.asking = asking
        self.status = 0
        """Status of the answer; 0 while there is none."""
        self.refusal: RefusalError | None = None
        """Refusal that came while the body was read; whoever read it may take it for another fault."""
        self.is_last = False
        """Whether the connection ends with the answer."""
        self.is_complete = False
        """Whether the whole answer is sent."""
        self._receive, self._send, self._limits = receive, send, limits
        self._headers = Headers(scope=scope)
        self._received = 0
        self._is_read = False
        length = self._headers.get("content-length", "0")
        self._is_empty = length == "0" and "transfer-encoding" not in self._headers
        self._left = asyncio.Event()
        self._watch: asyncio.Task[None] | None = None

    @property
    def has_more(self) -> bool:
        """Whether the client may still be sending its body."""
        return not self._is_read and not self._is_empty

    def check_length(self) -> None:
        """Refuse a body that says itself that it is too large.

        Raises:
            RequestTooLargeError: it does.
            InvalidRequestError: its length is no number.
        """
        length = self._headers.get("content-length", "0")
        if not length.isascii() or not length.isdigit():
            raise InvalidRequestError("the header Content-Length is no number.")
        if int(length) > self._limits.body:
            raise self._too_large()

    def watch(self) -> None:
        """Notice from now on if the client leaves; of a request with a body, from where that is read."""
        if self._is_empty:
            self._watch = asyncio.get_running_loop().create_task(self._wait_for_leaving())

    async def receive(self) -> Message:
        """The next part of the body, then the client's leaving."""
        if self._is_read:
            await self._left.wait()
            return {"type": "http.disconnect"}
        if self._is_empty:
            self._is_read = True
            return {"type": "http.request", "body": b"", "more_body": False}
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self._leave()
            return message
        self._received += len(message.get("body", b""))
        if self._received > self._limits.body:
            self.refusal = self._too_large()
            raise self.refusal
        if not message.get("more_body", False):
            self._is_read = True
            self._watch = asyncio.get_running_loop().create_task(self._wait_for_leaving())
        return message

    async def send(self, message: Message) -> None:
        """Send a part of the answer, unless a refusal stands in its place."""
        if self.refusal is not None and not self.status:
            return
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["X-Request-Id"] = self.asking.id
            if self.is_last:
                headers["Connection"] = "close"
            self.status = message["status"]
        elif not message.get("more_body", False):
            self.is_complete = True
        try:
            await send_in_time(self._send, message, self._limits.seconds)
        except ClientGoneError:
            self._leave()
            raise

    async def linger(self) -> None:
        """Take a little more of what a refused client sends, and forget it.

        A connection that is closed on unread bytes is reset, and its client never reads why.
        """
        if "expect" in self._headers:
            # It waits for a word of ours before it sends any.
            return
        taken = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(_LINGER_SECONDS):
                while taken <= self._limits.body:
                    message = await self._receive()
                    taken += len(message.get("body", b""))
                    if not message.get("more_body", False):
                        break

    async def forget_body(self) -> None:
        """Take a small body and forget it, so that the connection can stay after a refusal."""
        length = self._headers.get("content-length", "")
        if "expect" in self._headers or not length or int(length) > SMALL_BODY:
            return
        while self.has_more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self._leave()
                return
            self._is_read = not message.get("more_body", False)

    def close(self) -> None:
        """Stop watching."""
        if self._watch is not None:
            self._watch.cancel()

    @property
    def outcome(self) -> int:
        """Status of the answer, or ``CLOSED``."""
        return self.status if self.is_complete and not self.asking.gone else CLOSED

    async def _wait_for_leaving(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        if not self.is_complete:
            self._leave()

    def _leave(self) -> None:
        self.asking.gone = True
        self._left.set()

    def _too_large(self) -> RequestTooLargeError:
        return RequestTooLargeError(
            f"the body is larger than {self._limits.body:,} bytes, which are the most."
        )
