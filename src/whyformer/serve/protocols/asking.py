"""Who asks: the request behind a protocol's work, and whether its client still waits."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar
from uuid import uuid4

from starlette.requests import Request

from whyformer.serve.service import Asking

Answer = TypeVar("Answer")


def asking_of(request: Request) -> Asking:
    """The asking that is noted on ``request``, or one of its own."""
    noted = getattr(request.state, "asking", None)
    return noted if isinstance(noted, Asking) else Asking(uuid4().hex)


async def attended(request: Request, asking: Asking, work: Awaitable[Answer]) -> Answer:
    """Return what ``work`` comes to; meanwhile notice on ``asking`` if the client of ``request`` leaves.

    The body of ``request`` has to be read before.
    """
    watcher = asyncio.create_task(_notice(request, asking))
    try:
        return await work
    finally:
        watcher.cancel()


async def _notice(request: Request, asking: Asking) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    asking.gone = True
