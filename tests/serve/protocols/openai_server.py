"""A real server that speaks OpenAI's protocol, with runs that are small or not trained at all."""

import asyncio
import collections.abc
import http.client
import json
import threading
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import uvicorn
from fastapi import FastAPI, Request, Response
from openai import OpenAI
from torch import Tensor
from typing_extensions import override

from whyformer.data.tokenizers.kinds import Word
from whyformer.decoding.search import SearchSpec
from whyformer.models.bert import BERTSpec
from whyformer.models.bert import presets as bert_presets
from whyformer.nn.vectors.pooling import Pooling
from whyformer.serve.gate.dialect import Dialect
from whyformer.serve.gate.faults import refusal_response
from whyformer.serve.protocols.openai.errors import error_body
from whyformer.serve.protocols.openai.router import openai_router
from whyformer.serve.refusals import RefusalError
from whyformer.serve.service import Asking, HostedRun, Service
from whyformer.tasks.causal_lm.generator import Generator, Prompt
from whyformer.tasks.embedding.embedder import Embedder
from whyformer.tasks.masked_lm.filler import Filler
from whyformer.tasks.output import Piece

POOLING: Pooling = "mean"


class LiveService(Service):
    """A service that streams token by token, and embeds with what it is given."""

    def __init__(self, runs: Sequence[HostedRun], embedders: Mapping[str, Embedder] | None = None) -> None:
        super().__init__(runs)
        self._embedders = embedders or {}
        self.askings: list[Asking] = []
        self.refusals: list[RefusalError] = []
        """Refusals that are said first, one a request."""

    @override
    async def stream(
        self, run: HostedRun, prompt: Prompt, settings: SearchSpec | None, asking: Asking
    ) -> AsyncGenerator[Piece]:
        self.askings.append(asking)
        if self.refusals:
            raise self.refusals.pop()
        generator, loop, pieces = run.runner, asyncio.get_running_loop(), asyncio.Queue[Piece]()
        assert isinstance(generator, Generator)

        def show(piece: Piece) -> None:
            _ = loop.call_soon_threadsafe(pieces.put_nowait, piece)

        work = asyncio.create_task(asyncio.to_thread(generator.follow, prompt, show, settings))
        try:
            while True:
                piece = await pieces.get()
                yield piece
                if piece.finished is not None:
                    return
        finally:
            await work

    @override
    async def embed(self, run: HostedRun, texts: Sequence[str], asking: Asking) -> Tensor:
        return await asyncio.to_thread(self._embedders[run.name].embed, texts)


def hosted(name: str, task: str, runner: Any) -> HostedRun:
    return HostedRun(name, task, runner, "00", 1_700_000_000)


def bert() -> tuple[Filler, Embedder]:
    """A BERT that nobody has trained, as what fills holes and as what makes vectors."""
    torch.manual_seed(1)
    tokenizer = Word(specials=("[MASK]",)).train(["the cat sat on the mat", "一 二 三"])
    spec = BERTSpec.model_validate(bert_presets()["tiny"])
    model = spec.build(tokenizer.size)
    return Filler(model, tokenizer), Embedder(model, spec, tokenizer, pooling=POOLING)


@contextmanager
def serving(service: Service) -> collections.abc.Generator[int]:
    """A server for ``service``, stopped behind the block; its port."""
    app = FastAPI()
    app.include_router(openai_router(service))
    dialect = Dialect(
        "openai", ("/v1",), openai_router, error=lambda refusal: error_body(refusal).model_dump()
    )

    @app.exception_handler(RefusalError)
    async def refuse(_: Request, refusal: RefusalError) -> Response:
        return refusal_response(refusal, dialect)

    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", timeout_graceful_shutdown=5))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        threading.Event().wait(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()


def client(port: int, *, retries: int = 0) -> OpenAI:
    """The client, as its users make it."""
    return OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none", max_retries=retries, timeout=120)


def post(
    port: int, path: str, body: bytes, kind: str = "application/json"
) -> tuple[int, Mapping[str, str], Any]:
    """The status, the head and the JSON that answers a ``body``."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        connection.request("POST", path, body, {"Content-Type": kind})
        answer = connection.getresponse()
        head = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, head, json.loads(answer.read())
    finally:
        connection.close()
