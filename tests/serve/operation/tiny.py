"""A service with a tiny dialect of its own; as a program it serves it, as `whyformer serve` does its runs."""

import argparse
import asyncio
import sys
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import ClassVar, cast

from fastapi import APIRouter, WebSocket
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.websockets import WebSocketDisconnect
from typing_extensions import override

from whyformer.decoding.search import SearchSpec
from whyformer.errors import CheckpointError
from whyformer.serve.asking import NOBODY, Asking, Entering
from whyformer.serve.gate.dialect import Dialect
from whyformer.serve.gate.server import open_listener
from whyformer.serve.key_file import read_keys
from whyformer.serve.operation.hosts import Hosts
from whyformer.serve.operation.keys import check_key
from whyformer.serve.operation.lifecycle import Lifecycle
from whyformer.serve.operation.limits import Limits
from whyformer.serve.operation.logs import start_logging
from whyformer.serve.operation.settings import Settings
from whyformer.serve.protocols.asking import noted_asking
from whyformer.serve.refusals import OverloadedError, RefusalError
from whyformer.serve.service import HostedRun, Service
from whyformer.serve.start import serve_at
from whyformer.tasks.output import TextOutput
from whyformer.tasks.task import Runner

RUN = HostedRun("tiny", "translation", cast(Runner, object()), "ab" * 32, 1_000)
LIMITS = Limits(body=100_000, items=3, characters=50, sessions=2, seconds=1.0)


class TinyService(Service):
    """Turns texts around."""

    gone: ClassVar = list[str]()
    is_full: ClassVar[bool] = False

    @override
    def refusal(self, asking: Asking, entering: Entering = NOBODY) -> RefusalError | None:
        return OverloadedError("too much.", retry_after=3) if TinyService.is_full else None

    @override
    async def translate(
        self, run: HostedRun, texts: Sequence[str], settings: SearchSpec | None, asking: Asking
    ) -> list[list[TextOutput]]:
        return [[TextOutput(text[::-1], 0.0, (5,) * len(text), [*text], True)] for text in texts]


class Question(BaseModel):
    texts: list[str]
    number: float = Field(default=1.0, allow_inf_nan=False)
    api_key: str | None = None


class Answer(BaseModel):
    texts: list[str]
    id: str


def router(service: Service) -> APIRouter:
    made = APIRouter()

    @made.post("/tiny/turn")
    async def turn(question: Question, request: Request) -> Answer:
        found = await service.translate(
            service.find(None, "translation"), question.texts, None, noted_asking(request)
        )
        return Answer(texts=[outputs[0].text for outputs in found], id=noted_asking(request).id)

    @made.post("/asks/turn")
    async def asks(question: Question, request: Request) -> Answer:
        check_key(request, question.api_key)
        return await turn(question, request)

    @made.get("/tiny/slow")
    async def slow(seconds: float) -> Answer:
        await asyncio.sleep(seconds)
        return Answer(texts=["slow"], id="")

    @made.get("/tiny/blocked")
    async def blocked(seconds: float) -> Answer:
        await asyncio.to_thread(time.sleep, seconds)
        return Answer(texts=["blocked"], id="")

    @made.get("/tiny/wait")
    async def wait(request: Request) -> Answer:
        asking: Asking = noted_asking(request)
        while not asking.gone:
            await asyncio.sleep(0.01)
        TinyService.gone.append(asking.id)
        return Answer(texts=[], id=asking.id)

    @made.get("/tiny/gone")
    async def gone() -> list[str]:
        return TinyService.gone

    @made.get("/tiny/stream")
    async def stream(pieces: int, pause: float = 0.0) -> StreamingResponse:
        async def write() -> AsyncIterator[bytes]:
            for number in range(pieces):
                yield b"%d\n" % number * (1 if pause else 10_000)
                await asyncio.sleep(pause)

        return StreamingResponse(write())

    @made.get("/tiny/fault")
    async def fault(text: str) -> Answer:
        raise ValueError(f"could not do {text}")

    @made.get("/tiny/fill")
    async def fill(full: bool) -> Answer:
        TinyService.is_full = full
        return Answer(texts=[], id="")

    @made.get("/tiny/full")
    async def full() -> Answer:
        raise OverloadedError("the queue is full.", retry_after=3)

    @made.websocket("/tiny/session")
    async def session(websocket: WebSocket) -> None:
        await websocket.accept()
        try:
            while True:
                text = await websocket.receive_text()
                if text == "fault":
                    raise ValueError("secret")
                if text == "refuse":
                    raise OverloadedError("too much.")
                await websocket.send_text(text[::-1])
        except WebSocketDisconnect as end:
            if end.code == 1012:
                await websocket.send_text("the last")

    return made


def shout(refusal: RefusalError) -> dict[str, object]:
    return {"no": str(refusal), "why": refusal.reason}


class No(BaseModel):
    no: str
    why: str


def dialects(service: Service, settings: Settings, lifecycle: Lifecycle) -> Sequence[Dialect]:
    return [
        Dialect("tiny", ("/tiny",), router, shout, No),
        Dialect("asks", ("/asks",), lambda _: APIRouter(), key="router"),
        Dialect("tiny", ("/tiny",), lambda _: APIRouter(), kind="websocket"),
    ]


def reopened(weights: Path) -> HostedRun:
    """The run whose weights' hash stands in a file, which may be written anew."""
    time.sleep(0.2)
    if not weights.exists():
        raise CheckpointError(f"{weights} is missing.")
    return replace(RUN, weights=weights.read_text(encoding="utf-8"), reopen=partial(reopened, weights))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--grace", type=float, default=5.0)
    parser.add_argument("--keys", type=Path)
    parser.add_argument("--log", default="json")
    parser.add_argument("--log-texts", action="store_true")
    parser.add_argument("--allow-origin", action="append", default=[])
    parser.add_argument("--weights", type=Path)
    given = parser.parse_args()
    keys = None if given.keys is None else read_keys(given.keys)
    settings = Settings(Hosts("127.0.0.1", (), given.allow_origin), LIMITS, keys, 60.0, given.log_texts)
    start_logging(given.log, sys.stderr)
    with open_listener("127.0.0.1", 0) as listener:
        serve_at(
            listener,
            TinyService([RUN if given.weights is None else reopened(given.weights)]),
            dialects,
            settings,
            given.grace,
            lambda address, _: print(address, flush=True),
        )


if __name__ == "__main__":
    main()
