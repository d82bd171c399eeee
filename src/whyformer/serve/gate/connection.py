"""Connection: uvicorn's for HTTP/1.1, without patience for slow senders, which refuses by itself."""

import asyncio
import json
from typing import Any, cast

import uvicorn
from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from whyformer.serve.asking import Asking
from whyformer.serve.gate.shedding import LoadShedder, Shed
from whyformer.serve.gate.timer import LazyTimer
from whyformer.serve.gate.transport import EndingTransport

HEAD_BYTES = 64 * 2**10
"""Maximum size of a request's head."""


def _ending_answer(status: str, sentence: str) -> bytes:
    """An answer to a request that nothing else can be said to, in bytes."""
    body = json.dumps({"error": sentence}).encode()
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


_LATE = _ending_answer("408 Request Timeout", "the request was not sent in its time.")
_LONG = _ending_answer("431 Request Header Fields Too Large", "the head of the request is too long.")
_MALFORMED = _ending_answer("400 Bad Request", "this is not a request of HTTP.")


class ServedConnection(HttpToolsProtocol):
    """A connection whose requests have to be sent whole within some seconds each, and may be shed."""

    seconds: float
    shedding: LoadShedder

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._sending = LazyTimer(self.loop, self._end)
        self._idling = LazyTimer(self.loop, self.timeout_keep_alive_handler)
        self._stalling = LazyTimer(self.loop, lambda: self.transport.abort())
        self._head = 0
        self._is_in_head = True
        self._shed: Shed | None = None
        self._let_in: Asking | None = None

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:
        # A WebSocket takes over what it finds here.
        super().connection_made(EndingTransport.around(transport, self.loop, self.seconds))
        self._sending.start(self.seconds)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._sending.close()
        self._idling.close()
        self._stalling.close()
        super().connection_lost(exc)

    @override
    def pause_writing(self) -> None:
        super().pause_writing()
        # The word of uvicorn's own on an answer that nobody takes would wait for ever to be taken.
        self._stalling.start(self.seconds)

    @override
    def resume_writing(self) -> None:
        self._stalling.stop()
        super().resume_writing()

    @override
    def data_received(self, data: bytes) -> None:
        if self._is_in_head:
            self._head += len(data)
            if not self._sending.runs:
                self._sending.start(self.seconds)
        super().data_received(data)
        if self._is_in_head and self._head > HEAD_BYTES and not self.transport.is_closing():
            self.transport.write(_LONG)
            self.transport.close()

    @override
    def on_message_begin(self) -> None:
        super().on_message_begin()
        # One that came with a refused one before it is not idle.
        self._unset_keepalive_if_required()

    @override
    def on_headers_complete(self) -> None:
        self._is_in_head, self._head = False, 0
        # Answers come in the order of the requests, and no faster than they are read.
        is_first = not self._is_answering and not self.transport.is_closing()
        if is_first and not self.flow.write_paused:
            assert self.parser is not None, "it is what calls this"
            looked = self.shedding.look(self.parser.get_method(), self.url, self.headers)
            if isinstance(looked, Shed):
                self._shed = looked
                return
            if looked is not None:
                self._let_in = looked
                self.scope["state"] = {**self.app_state, "asking": looked}
        super().on_headers_complete()

    @override
    def on_body(self, body: bytes) -> None:
        if self._shed is None:
            super().on_body(body)

    @override
    def on_message_complete(self) -> None:
        self._is_in_head = True
        self._sending.stop()
        if self._shed is not None:
            self._refuse(self._shed, is_last=not self._stays())
            return
        if self._let_in is not None:
            self.shedding.enter(self._let_in)
            self._let_in = None
        super().on_message_complete()

    @override
    def shutdown(self) -> None:
        if self._shed is None:
            super().shutdown()
        else:
            self._refuse(self._shed, is_last=True)

    @override
    def handle_websocket_upgrade(self) -> None:
        self._sending.close()
        self._idling.close()
        super().handle_websocket_upgrade()

    @override
    def send_400_response(self, msg: str) -> None:
        self.transport.write(_MALFORMED)
        self.transport.close()

    @override
    def _unset_keepalive_if_required(self) -> None:
        self._idling.stop()
        super()._unset_keepalive_if_required()

    def _refuse(self, shed: Shed, *, is_last: bool) -> None:
        self._shed = None
        self.transport.write(self.shedding.answer(shed, is_last=is_last))
        self._unset_keepalive_if_required()
        if is_last:
            self.transport.close()
        else:
            self._idling.start(self.timeout_keep_alive)

    def _stays(self) -> bool:
        """Whether the connection is meant to be used again."""
        assert self.parser is not None, "it is what calls this"
        return self.parser.get_http_version() != "1.0" and self.parser.should_keep_alive()

    @property
    def _is_answering(self) -> bool:
        cycle = cast(RequestResponseCycle | None, self.cycle)
        return cycle is not None and not cycle.response_complete

    @property
    def _waits_for_body(self) -> bool:
        """Whether a request is taken whose body is not whole, and nothing was said to it or one before."""
        cycle = cast(RequestResponseCycle | None, self.cycle)
        is_alone = cycle is not None and not cycle.response_started and not self.pipeline
        return is_alone and not self._is_in_head

    def _end(self) -> None:
        if self.transport.is_closing():
            return
        if self._shed is not None:
            self._refuse(self._shed, is_last=True)
            return
        if self._is_in_head and self._is_answering:
            # The answer to the request before comes first.
            self._sending.start(self.seconds)
            return
        if self._head or self._waits_for_body:
            self.transport.write(_LATE)
        self.transport.close()
