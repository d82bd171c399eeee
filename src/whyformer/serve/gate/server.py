"""Server: uvicorn's, with an orderly end and without patience for clients that send too slowly."""

import asyncio
import contextlib
import gc
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Generator
from types import FrameType

import uvicorn
from starlette.types import ASGIApp
from typing_extensions import override

from whyformer.serve.gate.connection import ServedConnection
from whyformer.serve.gate.shedding import LoadShedder
from whyformer.serve.operation.lifecycle import Lifecycle
from whyformer.serve.operation.limits import Limits
from whyformer.serve.operation.logs import log

INTERRUPTED = 130
"""Status of a process that was ended by Ctrl-C at once."""
_BACKLOG = 2_048
_GARBAGE = 2_000, 20, 50
"""Young objects that are looked through at a time, and how many such times make one of the older ones."""
_TURN_SECONDS = 0.0005


def server_config(application: ASGIApp, limits: Limits, shedder: LoadShedder) -> uvicorn.Config:
    """The configuration of a ``Server`` that keeps ``limits`` and asks ``shedder`` first."""

    class Connection(ServedConnection):
        seconds = limits.seconds
        shedding = shedder

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
    # Engines' threads compute in Python, too: the loop has its turn after this time, not after 5 ms.
    sys.setswitchinterval(_TURN_SECONDS)
    # What is there now stays, and is not looked through; the garbage of requests, in small portions: of a
    # hundred thousand objects at a time everybody waited for a tenth of a second.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GARBAGE)

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
