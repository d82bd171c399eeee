"""Server: uvicorn's, with an orderly end and without patience for clients that send too slowly."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import threading
from collections.abc import Callable, Generator
from types import FrameType
from typing import Any, cast

import uvicorn
from starlette.types import ASGIApp
from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from whyformer.serve.gate.transport import EndingTransport
from whyformer.serve.operation.lifecycle import Lifecycle
from whyformer.serve.operation.limits import Limits
from whyformer.serve.operation.logs import log

INTERRUPTED = 130
"""Status of a process that was ended by Ctrl-C at once."""
_BACKLOG = 2_048
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


def server_config(application: ASGIApp, limits: Limits) -> uvicorn.Config:
    """The configuration of a ``Server`` that keeps ``limits``."""

    class Connection(_Connection):
        seconds = limits.seconds

    return uvicorn.Config(
        application,
        # Named, lest another installed package change the server.
        http=Connection,
        ws="websockets-sansio",
        loop="asyncio",
        ws_max_size=limits.body,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="on",
        timeout_keep_alive=15,
    )


class _Connection(HttpToolsProtocol):
    """A connection whose requests have to be sent whole within some seconds each."""

    seconds: float

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._timer: asyncio.TimerHandle | None = None
        self._head = 0
        self._is_in_head = True

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:
        # A WebSocket takes over what it finds here.
        super().connection_made(EndingTransport.around(transport, self.loop, self.seconds))
        self._start_timer()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    @override
    def data_received(self, data: bytes) -> None:
        if self._is_in_head:
            self._head += len(data)
            if self._timer is None:
                self._start_timer()
        super().data_received(data)
        if self._is_in_head and self._head > HEAD_BYTES and not self.transport.is_closing():
            self.transport.write(_LONG)
            self.transport.close()

    @override
    def on_headers_complete(self) -> None:
        self._is_in_head, self._head = False, 0
        super().on_headers_complete()

    @override
    def on_message_complete(self) -> None:
        self._is_in_head = True
        self._stop_timer()
        super().on_message_complete()

    @override
    def handle_websocket_upgrade(self) -> None:
        self._stop_timer()
        super().handle_websocket_upgrade()

    @override
    def send_400_response(self, msg: str) -> None:
        self.transport.write(_MALFORMED)
        self.transport.close()

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

    def _start_timer(self) -> None:
        self._timer = self.loop.call_later(self.seconds, self._end)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end(self) -> None:
        if self.transport.is_closing():
            return
        if self._is_in_head and self._is_answering:
            # The answer to the request before comes first.
            self._start_timer()
            return
        if self._head or self._waits_for_body:
            self.transport.write(_LATE)
        self.transport.close()


class Server(uvicorn.Server):
    """A server that, asked to end, first answers what it has taken.

    SIGTERM and Ctrl-C let it drain, for some seconds at most; Ctrl-C again ends the process at once. SIGHUP
    reloads.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        lifecycle: Lifecycle,
        grace: float,
        on_start: Callable[[], None],
        on_reload: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._lifecycle = lifecycle
        self._grace = grace
        self._on_start = on_start
        self._on_reload = on_reload
        self._end: asyncio.Task[None] | None = None

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_start()

    @contextlib.contextmanager
    @override
    def capture_signals(self) -> Generator[None]:
        """Listen to signals; unlike uvicorn's own way, they are not raised once more at the end."""
        loop = asyncio.get_running_loop()

        def interrupt(number: int, _frame: FrameType | None) -> None:
            if number == signal.SIGINT and not self._lifecycle.is_ready:
                os._exit(INTERRUPTED)
            loop.call_soon_threadsafe(self._begin_end)

        def reload(_number: int, _frame: FrameType | None) -> None:
            loop.call_soon_threadsafe(self._on_reload)

        handlers = {signal.SIGINT: interrupt, signal.SIGTERM: interrupt, signal.SIGHUP: reload}
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _begin_end(self) -> None:
        if self._end is None:
            self._end = asyncio.get_running_loop().create_task(self._drain())

    async def _drain(self) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + self._grace
        log("draining", {"running": self._lifecycle.running, "sessions": self._lifecycle.sessions})
        is_whole = await self._lifecycle.drain(self._grace)
        log("drained", {"whole": is_whole})
        # What is answered may still be on its way to a slow reader.
        self.config.timeout_graceful_shutdown = max(1, round(until - loop.time()))
        self.should_exit = True


def run_server(server: Server, listener: socket.socket) -> None:
    """Serve at ``listener`` until asked to end; the process ends soon after."""

    async def serve() -> None:
        await server.serve([listener])
        # A thread that still computes what nobody waits for any more would keep the process.
        late = threading.Timer(1.0, os._exit, (0,))
        late.daemon = True
        late.start()

    asyncio.run(serve())


def open_listener(host: str, port: int) -> socket.socket:
    """A socket bound to ``host`` and ``port``, any free one if 0; who connects waits until it is served.

    Raises:
        OSError: the port is taken, or the host is none of this machine.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener
