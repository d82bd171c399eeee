"""Shortcut: endpoints that make their responses themselves, called without what FastAPI does around them."""

from collections.abc import Callable, Coroutine
from inspect import iscoroutinefunction
from typing import Any, get_type_hints

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

_Endpoint = Callable[[Request], Coroutine[Any, Any, Response]]


class Shortcut:
    """An application in front of FastAPI's, which still documents every route and answers all others.

    Around one short request FastAPI's middleware, routing and injection take two fifths of the event loop's
    time, which an engine lacks. Faults are left to the gate, which words them.
    """

    def __init__(self, application: FastAPI) -> None:
        self._application = application
        self._routes = dict[tuple[str, str], tuple[APIRoute, _Endpoint]]()

    def include(self, router: APIRouter) -> None:
        """Answer by the endpoints of ``router`` that ask FastAPI for nothing but the request."""
        for route in router.routes:
            if isinstance(route, APIRoute) and _is_plain(route):
                for method in route.methods or ():
                    self._routes.setdefault((method, route.path), (route, route.endpoint))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or whatever else a server has to say."""
        found = self._routes.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        if found is None:
            await self._application(scope, receive, send)
            return
        scope["app"] = self._application
        scope["route"], endpoint = found
        response = await endpoint(Request(scope, receive, send))
        await response(scope, receive, send)


def _is_plain(route: APIRoute) -> bool:
    """Whether the endpoint of ``route`` wants the request alone, and makes a response of it by itself.

    One that is no coroutine may take its time: FastAPI calls it in a thread.
    """
    if not iscoroutinefunction(route.endpoint):
        return False
    wanted = get_type_hints(route.endpoint)
    made = wanted.pop("return", None)
    is_response = isinstance(made, type) and issubclass(made, Response)
    return is_response and [*wanted.values()] == [Request] and "{" not in route.path
