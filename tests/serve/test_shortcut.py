"""The shortcut answers what FastAPI would, by the same endpoints, and leaves it all else."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from whyformer.serve.gate.shortcut import Shortcut


def application(calls: list[str]) -> tuple[FastAPI, APIRouter]:
    """An application whose every answer by FastAPI's own way is noted in ``calls``."""
    router = APIRouter()

    @router.post("/plain")
    async def plain(request: Request) -> Response:
        """Echo the body."""
        return JSONResponse({"body": (await request.body()).decode(), "app": request.app is fastapi})

    @router.post("/asks")
    async def asks(request: Request, wanted: str) -> Response:
        """Echo a parameter, which FastAPI reads."""
        return JSONResponse({"wanted": wanted})

    @router.post("/things/{name}")
    async def named(request: Request) -> Response:
        """Echo a part of the path, which FastAPI reads."""
        return JSONResponse(request.path_params)

    @router.post("/slow")
    def slow(request: Request) -> Response:
        """Take one's time, in a thread of FastAPI's."""
        return JSONResponse({"path": request.url.path})

    @router.get("/listed")
    async def listed(request: Request) -> list[int]:
        """List numbers, which FastAPI writes."""
        return [1, 2]

    fastapi = FastAPI()
    fastapi.include_router(router)

    @fastapi.middleware("http")
    async def note(request: Request, call_next: Any) -> Response:
        calls.append(request.url.path)
        return await call_next(request)

    return fastapi, router


def ask(app: Any, method: str, path: str, body: bytes = b"", query: bytes = b"") -> tuple[int, bytes]:
    """Status and body of the answer."""
    sent = list[Mapping[str, Any]]()

    async def receive() -> Mapping[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Mapping[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "query_string": query, "headers": []}
    asyncio.run(app({**scope, "http_version": "1.1", "root_path": "", "scheme": "http"}, receive, send))
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent)


@pytest.mark.parametrize(
    ("method", "path", "query", "is_short"),
    [
        ("POST", "/plain", b"", True),
        ("GET", "/plain", b"", False),
        ("POST", "/plain/", b"", False),
        ("POST", "/asks", b"wanted=x", False),
        ("POST", "/asks", b"", False),
        ("POST", "/things/one", b"", False),
        ("GET", "/listed", b"", False),
        ("POST", "/slow", b"", False),
        ("POST", "/nowhere", b"", False),
    ],
)
def test_answers_are_those_of_fastapi_and_plain_ones_pass_it_by(
    method: str, path: str, query: bytes, is_short: bool
):
    calls = list[str]()
    fastapi, router = application(calls)
    shortcut = Shortcut(fastapi)
    shortcut.include(router)
    expected = ask(fastapi, method, path, b"hello", query)
    assert calls == [path]
    assert ask(shortcut, method, path, b"hello", query) == expected
    assert calls == ([path] if is_short else [path, path])
