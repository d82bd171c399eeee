"""Answers that outlive their client or not: event streams, and work that ends when nobody waits for it."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from fastapi import Request, Response
from pydantic import BaseModel
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send
from typing_extensions import override

from whyformer.serve.protocols.openai.errors import error_body, refusal_of
from whyformer.serve.service import Asking

_BEAT = 15.0
"""Seconds of silence after which a comment says that the stream is alive."""

AwaitedT = TypeVar("AwaitedT")


async def while_asked(request: Request, work: Coroutine[Any, Any, AwaitedT], asking: Asking) -> AwaitedT:
    """The result of ``work``, which ends when the client leaves.

    Raises:
        ClientDisconnect: it has left.
    """
    task, departure = asyncio.create_task(work), asyncio.create_task(_departure(request.receive))
    try:
        _ = await asyncio.wait((task, departure), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientDisconnect
        return task.result()
    finally:
        _ = departure.cancel()
        if not task.done():
            asking.gone = True
            _ = task.cancel()


async def event_stream(request: Request, events: AsyncGenerator[BaseModel], asking: Asking) -> Response:
    """The answer that sends ``events`` one by one.

    The first is waited for: what cannot be begun is an error by its status, which clients try again.
    """
    first = await while_asked(request, _next(events), asking)
    return EventStream(first, events, asking)


class EventStream(Response):
    """Server-sent events, each a value as JSON, and ``[DONE]``; or an error, which is the last."""

    media_type = "text/event-stream"

    def __init__(
        self,
        first: BaseModel | None,
        events: AsyncGenerator[BaseModel],
        asking: Asking,
        beat: float = _BEAT,
    ) -> None:
        self._first = first
        self._events = events
        self._asking = asking
        self._beat = beat
        super().__init__(headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send all of it, unless the client leaves."""
        departure = asyncio.create_task(_departure(receive))
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        try:
            try:
                event = self._first
                while event is not None:
                    await _tell(send, f"data: {event.model_dump_json()}\n\n")
                    # A generator that awaits nothing would keep everybody else waiting.
                    await asyncio.sleep(0)
                    event = await self._upcoming(departure, send)
                await _tell(send, "data: [DONE]\n\n")
            except ClientDisconnect:
                return
            except Exception as error:
                await _tell(send, f"data: {error_body(refusal_of(error)).model_dump_json()}\n\n")
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            _ = departure.cancel()
            await self._events.aclose()

    async def _upcoming(self, departure: asyncio.Task[None], send: Send) -> BaseModel | None:
        """The next event; None behind the last.

        Raises:
            ClientDisconnect: the client has left.
        """
        task = asyncio.create_task(_next(self._events))
        try:
            while True:
                _ = await asyncio.wait(
                    (task, departure), timeout=self._beat, return_when=asyncio.FIRST_COMPLETED
                )
                if departure.done():
                    self._asking.gone = True
                    raise ClientDisconnect
                if task.done():
                    return task.result()
                await _tell(send, ": still here\n\n")
        finally:
            if not task.done():
                self._asking.gone = True
                _ = task.cancel()
                with suppress(asyncio.CancelledError, Exception):
                    _ = await task


async def _tell(send: Send, text: str) -> None:
    await send({"type": "http.response.body", "body": text.encode(), "more_body": True})


async def _next(events: AsyncGenerator[BaseModel]) -> BaseModel | None:
    return await anext(events, None)


async def _departure(receive: Receive) -> None:
    """Return when the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass
