"""Load shedding: requests that no queue would take are refused at their heads, below ASGI, for little."""

import asyncio
import json
import logging
import secrets
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from http import HTTPStatus
from typing import NamedTuple

from starlette.datastructures import Headers

from whyformer.serve.asking import NOBODY, Asking, Entering
from whyformer.serve.batching.queue import overloaded
from whyformer.serve.gate.dialect import Dialect, Dialects
from whyformer.serve.gate.doorway import Doorway
from whyformer.serve.gate.exchange import SMALL_BODY, given_id
from whyformer.serve.operation.keys import bearer
from whyformer.serve.operation.lifecycle import Lifecycle
from whyformer.serve.operation.logs import log
from whyformer.serve.operation.metrics import ServiceMetrics
from whyformer.serve.operation.settings import Settings
from whyformer.serve.refusals import RefusalError

RawHeaders = Sequence[tuple[bytes, bytes]]
"""Headers as they came, their names in small letters."""
RoomCheck = Callable[[Asking, Entering], RefusalError | None]
"""Teller of why a request would be refused now, where others have been let in and wait nowhere yet."""

_TOLD_SECONDS = 1.0
_DOORWAY_SECONDS = 0.5
"""Time in the doorway from which on nobody else is let in: who waits there keeps no engine busy."""
# With one of these a refusal has more to do than to be said.
_UNUSUAL = (b"expect", b"upgrade", b"transfer-encoding")


class Shed(NamedTuple):
    """A request that is refused at its head."""

    dialect: Dialect
    refusal: RefusalError
    request: str
    """Its id."""


class LoadShedder:
    """Decides by a request's head whether any queue may take it, and counts those that none does.

    A refusal by way of ASGI costs many times as much processor time, which the engine lacks then. Requests
    that have been let in, but wait in no queue yet, are taken to cost what bytes cost of late: of a burst no
    more pass than have room.
    """

    def __init__(
        self,
        dialects: Dialects,
        settings: Settings,
        lifecycle: Lifecycle,
        metrics: ServiceMetrics,
        refusal: RoomCheck,
    ) -> None:
        """Shed what ``refusal`` has a reason for."""
        self._settings = settings
        self._lifecycle = lifecycle
        self._metrics = metrics
        self._refusal = refusal
        self._doorway = Doorway()
        self._entering = NOBODY
        self._untold = Counter[tuple[str, str]]()
        self._answers = dict[tuple[str, str, int | None], tuple[bytes, bytes]]()
        # The names are clients', so what is remembered of them is bounded.
        self._knows_host = lru_cache(64)(self._is_known)
        self._dialect_of = lru_cache(256)(dialects.of_path)
        self._plain = dialects.plain

    def refusal(self, asking: Asking) -> RefusalError | None:
        """Refusal that ``asking`` gets now; None if there may be room."""
        way, deadline = self._doorway.seconds, asking.deadline
        if way > _DOORWAY_SECONDS:
            return overloaded(way)
        if deadline is not None and way:
            # Less is left of its time then; but it is not over.
            asking = replace(
                asking, deadline=max(deadline - way, min(deadline, asking.began + _DOORWAY_SECONDS))
            )
        return self._refusal(asking, self._entering)

    def enter(self, asking: Asking) -> None:
        """Count ``asking``, whose body is there, as on its way to a queue, until it is settled."""
        if not asking.is_settled:
            self._enter(1, asking.size)
            asking.when_settled = partial(self._enter, -1, -asking.size)

    async def pass_doorway(self, asking: Asking) -> None:
        """Wait until ``asking`` may do what comes before the queue, if its body is there.

        Whoever is still sending is waited for outside, and keeps nobody from entering.
        """
        if asking.when_settled is not None:
            await self._doorway.enter()

    def look(self, method: bytes, url: bytes, headers: RawHeaders) -> Asking | Shed | None:
        """A request by its head: let in, refused, or None if that takes a longer look.

        Only who may ask hears whether there is room. A refusal may be said as soon as the body is there.
        """
        if method != b"POST" or not self._lifecycle.is_ready:
            return None
        path = url.partition(b"?")[0]
        if not path.isascii() or b"%" in path or path[:1] != b"/":
            return None
        dialect, values = self._dialect_of(path.decode()), dict(headers)
        if dialect is self._plain or not self._is_usual(values) or not self._may_ask(dialect, values):
            return None
        patience = self._settings.patience
        now = time.monotonic()
        asking = Asking(
            given_id(values.get(b"x-request-id", b"").decode("latin-1")) or secrets.token_hex(8),
            None if patience is None else now + patience,
            now,
            int(values.get(b"content-length", b"0")),
        )
        refusal = self.refusal(asking)
        return asking if refusal is None else Shed(dialect, refusal, asking.id)

    def answer(self, shed: Shed, *, is_last: bool) -> bytes:
        """The whole answer to a refused request, which is counted by that."""
        dialect, refusal, request = shed
        self._metrics.shed(dialect.name, refusal.status, refusal.reason)
        if not self._untold:
            asyncio.get_running_loop().call_later(_TOLD_SECONDS, self.tell)
        self._untold[dialect.name, refusal.reason] += 1
        key = dialect.name, refusal.reason, refusal.retry_after
        if key not in self._answers:
            self._answers[key] = _around_id(dialect, refusal)
        begin, end = self._answers[key]
        last = b"\r\nconnection: close" if is_last else b""
        return b"%b%b%b%b" % (begin, request.encode(), last, end)

    def tell(self) -> None:
        """Log how many were refused since the last time; a line for each would cost more than the refusal."""
        for (protocol, reason), count in self._untold.items():
            log("refused", {"protocol": protocol, "refused": reason, "requests": count}, logging.INFO)
        self._untold.clear()

    def _enter(self, requests: int, size: int) -> None:
        self._entering = Entering(self._entering.requests + requests, self._entering.size + size)

    def _is_usual(self, values: dict[bytes, bytes]) -> bool:
        length = values.get(b"content-length", b"0")
        return (
            not any(name in values for name in _UNUSUAL)
            and length.isdigit()
            and int(length) <= min(SMALL_BODY, self._settings.limits.body)
            # Pages of other origins need more headers.
            and not (self._settings.hosts.origins and b"origin" in values)
        )

    def _may_ask(self, dialect: Dialect, values: dict[bytes, bytes]) -> bool:
        if not self._knows_host(values.get(b"host", b"")):
            return False
        keys = self._settings.keys
        if keys is None or dialect.key != "header":
            return True
        return keys.knows(bearer(Headers(raw=[(b"authorization", values.get(b"authorization", b""))])))

    def _is_known(self, host: bytes) -> bool:
        try:
            self._settings.hosts.check(Headers(raw=[(b"host", host)]))
        except RefusalError:
            return False
        return True


def _around_id(dialect: Dialect, refusal: RefusalError) -> tuple[bytes, bytes]:
    """The bytes before and behind the request's id in the answer that says ``refusal``."""
    body = json.dumps(dialect.error(refusal)).encode()
    wait = "" if refusal.retry_after is None else f"retry-after: {max(1, refusal.retry_after)}\r\n"
    begin = (
        f"HTTP/1.1 {refusal.status} {HTTPStatus(refusal.status).phrase}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n{wait}x-request-id: "
    )
    return begin.encode(), b"\r\n\r\n" + body
