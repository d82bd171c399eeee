"""The gate that every request passes: who may come in, what is noted of it, and how it is turned away."""

import asyncio
import logging
import time
from collections.abc import Mapping
from contextlib import suppress

from starlette.datastructures import Headers, QueryParams
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from whyformer.serve.gate.dialect import Dialect, Dialects
from whyformer.serve.gate.exchange import ClientGoneError, Exchange, new_asking
from whyformer.serve.gate.faults import as_refusal, refusal_response
from whyformer.serve.gate.shedding import LoadShedder
from whyformer.serve.gate.websocket import WebSocketSession
from whyformer.serve.operation.keys import bearer, unauthorized
from whyformer.serve.operation.lifecycle import RETRY_SECONDS, Lifecycle, ending
from whyformer.serve.operation.logs import log, log_fault
from whyformer.serve.operation.metrics import ServiceMetrics
from whyformer.serve.operation.settings import Settings
from whyformer.serve.refusals import OverloadedError, RefusalError
from whyformer.serve.service import Asking

_REASONS = {kind.status: kind.reason for kind in RefusalError.__subclasses__()} | {403: "key"}
# What operators ask, also of a service that is ending.
_OPERATION = ("/health", "/ready", "/metrics")


class Gate:
    """An ASGI application around another."""

    def __init__(
        self,
        application: ASGIApp,
        dialects: Dialects,
        settings: Settings,
        lifecycle: Lifecycle,
        metrics: ServiceMetrics,
        shedder: LoadShedder,
    ) -> None:
        """Stand before ``application``; ``shedder`` has let in some of the requests already."""
        self._application = application
        self._dialects = dialects
        self._settings = settings
        self._lifecycle = lifecycle
        self._metrics = metrics
        self._shedder = shedder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, one WebSocket, or the server's own messages."""
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        else:
            await self._application(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        dialect = self._dialects.of(scope)
        let_in: Asking | None = scope.setdefault("state", {}).get("asking")
        asking = let_in or new_asking(Headers(scope=scope), self._settings.patience)
        scope["state"]["asking"] = asking
        exchange = Exchange(scope, receive, send, self._settings.limits, asking)
        is_operation = scope["path"] in _OPERATION
        refusal: RefusalError | None = None
        try:
            if let_in is None:
                # Else that was seen to at its head.
                self._check(scope, dialect)
                exchange.check_length()
            if is_operation:
                refusal = await self._answer(scope, exchange)
            else:
                self._lifecycle.check_ready()
                with self._lifecycle.busy():
                    is_work = scope["method"] == "POST" and dialect is not self._dialects.plain
                    if is_work and let_in is None:
                        await self._check_room(exchange)
                    await self._shedder.pass_doorway(asking)
                    refusal = await self._answer(scope, exchange)
        except RefusalError as early:
            refusal = early
        asking.settle()
        with suppress(ClientGoneError):
            if refusal is not None and not exchange.status:
                exchange.is_last |= not self._lifecycle.is_ready
                await self._refuse(exchange, refusal, dialect)
        exchange.close()
        self._metrics.answered(dialect.name, exchange.outcome, time.monotonic() - asking.began)
        told = {"method": scope["method"], "route": _route(scope), "status": exchange.outcome}
        self._note(dialect, asking, told, refusal, logging.DEBUG if is_operation else logging.INFO)

    async def _answer(self, scope: Scope, exchange: Exchange) -> RefusalError | None:
        """Let the application answer; returns the refusal that is left to be sent, or that it has sent."""
        exchange.watch()
        try:
            await self._application(scope, exchange.receive, exchange.send)
        except ClientGoneError:
            return None
        except asyncio.CancelledError:
            self._end_of_cancelling()
            exchange.asking.gone = True
            return ending()
        except Exception as fault:
            if exchange.refusal is None and not exchange.asking.gone:
                return self._fault(exchange.asking.id, fault)
        return exchange.refusal or scope["state"].get("refusal")

    async def _check_room(self, exchange: Exchange) -> None:
        """Refuse work that no queue would take, before it costs the engine any time.

        Raises:
            RefusalError: none would.
        """
        refusal = self._shedder.refusal(exchange.asking)
        if refusal is not None:
            await exchange.forget_body()
            raise refusal

    def _fault(self, request: str, fault: Exception) -> RefusalError:
        refusal = as_refusal(fault)
        if refusal.status >= 500 and not isinstance(fault, RefusalError):
            log_fault(request, fault, self._settings.log_texts)
        return refusal

    async def _refuse(self, exchange: Exchange, refusal: RefusalError, dialect: Dialect) -> None:
        response = refusal_response(refusal, dialect)
        has_more = exchange.has_more
        exchange.refusal = None
        exchange.is_last |= has_more
        await exchange.send(
            {"type": "http.response.start", "status": refusal.status, "headers": response.raw_headers}
        )
        await exchange.send({"type": "http.response.body", "body": response.body, "more_body": has_more})
        if has_more:
            await exchange.linger()
            await exchange.send({"type": "http.response.body"})

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        dialect = self._dialects.of(scope)
        asking = new_asking(Headers(scope=scope), None)
        scope.setdefault("state", {})["asking"] = asking
        draining = None if dialect.ends_itself else self._lifecycle.draining
        session = WebSocketSession(receive, send, self._settings.limits, draining)
        refusal: RefusalError | None = None
        try:
            self._check(scope, dialect)
            self._settings.hosts.check_origin(Headers(scope=scope))
            self._lifecycle.check_ready()
            if self._lifecycle.sessions >= self._settings.limits.sessions:
                raise OverloadedError("all sessions are taken; come again.", retry_after=RETRY_SECONDS)
            with self._lifecycle.session():
                await self._application(scope, session.receive, session.send)
        except (ClientGoneError, WebSocketDisconnect):
            pass
        except asyncio.CancelledError:
            self._end_of_cancelling()
        except Exception as fault:
            refusal = self._fault(asking.id, fault)
        asking.gone = True
        with suppress(ClientGoneError, WebSocketDisconnect):
            await session.finish(refusal, None if refusal is None else refusal_response(refusal, dialect))
        self._note(dialect, asking, {"route": _route(scope), "code": session.code}, refusal, logging.INFO)

    def _end_of_cancelling(self) -> None:
        """Go on after a wait that the end of the service has cancelled; any other cancelling is passed on."""
        if not self._lifecycle.is_over:
            raise
        task = asyncio.current_task()
        assert task is not None, "requests are answered in tasks"
        task.uncancel()

    def _check(self, scope: Scope, dialect: Dialect) -> None:
        """Refuse a request by its head.

        Raises:
            RefusalError: it names another host, or shows no key.
        """
        headers = Headers(scope=scope)
        self._settings.hosts.check(headers)
        keys = self._settings.keys
        if keys is None or dialect.key != "header" or keys.knows(bearer(headers)):
            return
        # Pages cannot give a WebSocket a header.
        given = QueryParams(scope["query_string"]).get("api_key") if scope["type"] == "websocket" else None
        if given is None or not keys.knows(given):
            raise unauthorized()

    def _note(
        self,
        dialect: Dialect,
        asking: Asking,
        outcome: Mapping[str, object],
        refusal: RefusalError | None,
        level: int,
    ) -> None:
        """Count and log a request that is over."""
        seconds = round(time.monotonic() - asking.began, 4)
        told = {"id": asking.id, "protocol": dialect.name, **outcome, "seconds": seconds}
        status = outcome.get("status")
        reason = _REASONS.get(status) if refusal is None and isinstance(status, int) else None
        if refusal is not None:
            reason = refusal.reason
        if reason is not None:
            self._metrics.refused(dialect.name, reason)
            told["refused"] = reason
        log("request", told, level)


def _route(scope: Scope) -> str | None:
    """The pattern that the path of a request has met; a path itself may hold anything."""
    return getattr(scope.get("route"), "path", None)
