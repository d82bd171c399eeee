"""Start of a service: from loaded runs to a server, and its end."""

import asyncio
import logging
import socket
from collections.abc import Callable, Mapping, Sequence

from whyformer.errors import WhyformerError
from whyformer.serve.application import make_application
from whyformer.serve.gate.dialect import Dialect
from whyformer.serve.gate.server import Server, run_server, server_config
from whyformer.serve.operation.lifecycle import Lifecycle
from whyformer.serve.operation.logs import log, log_fault
from whyformer.serve.operation.settings import Settings
from whyformer.serve.service import HostedRun, Service

Announce = Callable[[str, Mapping[str, HostedRun]], None]
"""Teller of the address at which runs are served."""
DialectTable = Callable[[Service, Settings, Lifecycle], Sequence[Dialect]]
"""Maker of a service's dialects."""


def serve_at(
    listener: socket.socket,
    service: Service,
    dialects_of: DialectTable,
    settings: Settings,
    grace: float,
    announce: Announce,
) -> None:
    """Serve at ``listener`` until a signal ends it.

    Args:
        listener: a socket that listens.
        service: the runs.
        dialects_of: maker of the dialects they are asked in.
        settings: the rules.
        grace: seconds that running requests have after the signal.
        announce: told the address and the runs once they can be asked.
    """
    lifecycle = Lifecycle()
    dialects = dialects_of(service, settings, lifecycle)
    application = make_application(service, dialects, settings, lifecycle)
    reloads = set[asyncio.Task[None]]()

    def reload() -> None:
        # A task that nobody holds may be collected.
        reloads.add(task := asyncio.get_running_loop().create_task(_reload(service, settings)))
        task.add_done_callback(reloads.discard)

    server = Server(
        server_config(application.asgi, settings.limits, application.shedder),
        lifecycle,
        grace,
        lambda: announce(_address(listener), service.runs),
        reload,
    )
    run_server(server, listener)
    application.shedder.tell()


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def _reload(service: Service, settings: Settings) -> None:
    """Load the runs anew; those that cannot be loaded stay as they are, and the log says why."""
    try:
        await service.reload()
    except WhyformerError as error:
        log("reload", {"done": False, "reason": str(error)}, logging.ERROR)
    except Exception as fault:
        log_fault("reload", fault, settings.log_texts)
    else:
        log("reload", {"done": True})
