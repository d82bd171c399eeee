"""A conversation: the messages of one of Vosk's clients, and the reply to each of them."""

import asyncio
import logging
from dataclasses import dataclass
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from whyformer.errors import WhyformerError
from whyformer.serve.listening.budget import ReadingBudget
from whyformer.serve.listening.hall import ListeningHall
from whyformer.serve.listening.limits import MESSAGE_COST
from whyformer.serve.protocols.vosk.closing import Farewell, farewell_of
from whyformer.serve.protocols.vosk.dialog import Dialog, PendingReply
from whyformer.serve.protocols.vosk.replies import refusal_reply
from whyformer.serve.refusals import RefusalError, RequestTooLargeError

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Queued:
    """A reply and the bytes that its message takes from the budget."""

    reply: PendingReply
    cost: int = 0


class Conversation:
    """One client: messages are read as fast as their replies are taken, and replied to in their order."""

    def __init__(self, websocket: WebSocket, hall: ListeningHall, dialog: Dialog) -> None:
        self._websocket = websocket
        self._limits = hall.limits
        self._dialog = dialog
        self._budget = ReadingBudget(hall.limits.unread)
        self._queue = asyncio.Queue[_Queued | Farewell]()
        self._draining = asyncio.ensure_future(hall.draining.wait())

    async def hold(self) -> None:
        """Talk until the client or the service ends it; whatever happens, the session is freed."""
        reading, writing = asyncio.create_task(self._read()), asyncio.create_task(self._write())
        try:
            await asyncio.wait({reading, writing}, return_when=asyncio.FIRST_COMPLETED)
            if reading.done() and not reading.result():
                await writing
            elif writing.done():
                writing.result()
        except (WebSocketDisconnect, TimeoutError):
            pass  # the client has gone or takes no replies: there is nobody to tell
        finally:
            self._dialog.leave()
            for task in (reading, writing, self._draining):
                task.cancel()
            await asyncio.gather(reading, writing, self._draining, return_exceptions=True)

    async def _read(self) -> bool:
        """Take messages up to the last one; whether the client has left before it."""
        try:
            while not isinstance(message := await self._receive(), Farewell):
                if message["type"] == "websocket.disconnect":
                    return True
                if await self._take(message):
                    self._queue.put_nowait(Farewell.normal())
                    return False
                if self._dialog.seconds > self._dialog.longest:
                    message = Farewell.of_limit(f"more than {self._dialog.longest:g} seconds of sound")
                    break
        except RefusalError as refusal:
            self._queue.put_nowait(farewell_of(refusal))
            return False
        self._queue.put_nowait(_Queued(self._dialog.finish()))
        self._queue.put_nowait(message)
        return False

    async def _take(self, message: dict[str, Any]) -> bool:
        """Take a ``message``; whether the client says that it is the last."""
        data: bytes | str = message["text"] if message.get("bytes") is None else message["bytes"]
        if len(data) > self._limits.message:
            raise RequestTooLargeError(
                f"a message of {len(data):,} bytes; send at most {self._limits.message:,} at once."
            )
        cost = max(len(data), MESSAGE_COST)
        await self._budget.take(cost)
        reply = await self._dialog.take(data)
        if reply is None:
            self._budget.give_back(cost)
            return False
        self._queue.put_nowait(_Queued(reply, cost))
        return reply.last

    async def _receive(self) -> dict[str, Any] | Farewell:
        """The next message, or the reason why no further one is waited for."""
        receiving = asyncio.ensure_future(self._websocket.receive())
        try:
            while not receiving.done():
                unanswered = self._budget.used
                done, _ = await asyncio.wait(
                    {receiving, self._draining},
                    timeout=self._limits.idle,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if self._draining in done:
                    return Farewell.of_draining()
                # Who waits for a reply is not idle.
                if not done and not unanswered:
                    return Farewell.of_limit(f"nothing came for {self._limits.idle:g} seconds")
            return dict(receiving.result())
        finally:
            receiving.cancel()

    async def _write(self) -> None:
        """Send replies up to the farewell."""
        while not isinstance(queued := await self._queue.get(), Farewell):
            try:
                heard = await asyncio.wrap_future(queued.reply.answer)
            except WhyformerError as error:
                return await self._close(Farewell.of_failure(str(error)))
            except Exception:
                _log.exception("listening failed")
                return await self._close(Farewell.of_failure("this service failed at it; try again."))
            await self._send(queued.reply.text(heard))
            self._budget.give_back(queued.cost)
        await self._close(queued)
        return None

    async def _send(self, text: str) -> None:
        async with asyncio.timeout(self._limits.idle):
            await self._websocket.send_text(text)

    async def _close(self, farewell: Farewell) -> None:
        if farewell.error is not None:
            await self._send(refusal_reply(farewell.error))
        async with asyncio.timeout(self._limits.idle):
            await self._websocket.close(farewell.code, farewell.reason)
