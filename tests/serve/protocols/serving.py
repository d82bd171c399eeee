"""A real server on a free port, for the time of some tests."""

import socket
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager

import uvicorn
from fastapi import APIRouter, FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from whyformer.serve.refusals import RefusalError


def small_application(*routers: APIRouter) -> FastAPI:
    """An application of ``routers`` that says refusals as the whole service does."""
    application = FastAPI()

    async def refuse(_request: Request, error: Exception) -> Response:
        assert isinstance(error, RefusalError)
        headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
        return JSONResponse({"error": str(error)}, error.status, headers)

    application.exception_handler(RefusalError)(refuse)
    for router in routers:
        application.include_router(router)
    return application


@contextmanager
def running(application: FastAPI) -> Generator[str]:
    """The address of a server that answers by ``application``."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        server = uvicorn.Server(uvicorn.Config(application, log_level="warning", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [taken]})
        thread.start()
        try:
            for _ in range(200):
                if server.started:
                    break
                time.sleep(0.05)
            assert server.started
            yield f"http://127.0.0.1:{port}"
        finally:
            server.should_exit = True
            thread.join(20)
