"""Streams whose client stays, leaves, or hears of an error, without any model."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import pytest

pytest.importorskip("openai", reason="the extra clients is not installed")

from openai import APIError, AsyncOpenAI
from pydantic import BaseModel
from starlette.types import Message
from typing_extensions import override

from serve.protocols.openai_server import hosted, serving
from whyformer.decoding.search import SearchSpec
from whyformer.runs.load import load
from whyformer.serve.protocols.openai.events import EventStream
from whyformer.serve.refusals import DrainingError
from whyformer.serve.service import Asking, HostedRun, Service
from whyformer.tasks.causal_lm.generator import Prompt
from whyformer.tasks.output import Piece


class Told(BaseModel):
    """An event."""

    text: str


async def sent(events: AsyncGenerator[BaseModel], receive: Callable[[], object] | None = None) -> list[str]:
    """The parts of a stream's body."""
    bodies: list[str] = []

    async def stay() -> Message:
        await asyncio.sleep(60)
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body" and message["body"]:
            bodies.append(message["body"].decode())

    stream = EventStream(None, events, Asking("1"), beat=0.05)
    stream._first = await anext(events, None)
    await stream({"type": "http"}, stay, send)
    return bodies


def test_a_silence_is_a_comment_and_every_event_ends_with_a_blank_line() -> None:
    async def events() -> AsyncGenerator[BaseModel]:
        yield Told(text="a\n\nb")
        await asyncio.sleep(0.3)
        yield Told(text="c")

    parts = asyncio.run(sent(events()))
    assert all(part.endswith("\n\n") and part.count("\n") == 2 for part in parts)
    assert [part for part in parts if part.startswith(":")]
    data = [part.removeprefix("data: ").strip() for part in parts if not part.startswith(":")]
    assert data[-1] == "[DONE]"
    assert [json.loads(each)["text"] for each in data[:-1]] == ["a\n\nb", "c"]


@pytest.mark.parametrize(
    ("error", "told"), [(DrainingError("the service ends."), "ends"), (ZeroDivisionError("x"), "wrong here")]
)
def test_an_error_in_the_middle_is_the_last_event(error: Exception, told: str) -> None:
    async def events() -> AsyncGenerator[BaseModel]:
        yield Told(text="a")
        raise error

    last = asyncio.run(sent(events()))[-1]
    body = json.loads(last.removeprefix("data: "))
    assert told in body["error"]["message"]
    assert body["error"]["type"] == "server_error"


class ScriptedService(Service):
    """A service that streams without end, or fails behind the third piece."""

    def __init__(self, run: HostedRun) -> None:
        super().__init__([run])
        self.fails = False
        self.ended = asyncio.Event()
        self.askings: list[Asking] = []

    @override
    async def stream(
        self, run: HostedRun, prompt: Prompt, settings: SearchSpec | None, asking: Asking
    ) -> AsyncGenerator[Piece]:
        self.askings.append(asking)
        try:
            for count in range(100_000):
                if self.fails and count == 3:
                    raise DrainingError("the service ends.")
                # Awaiting nothing: the answer itself has to let others in.
                yield Piece("one ", count + 1)
        finally:
            self.ended.set()


@pytest.fixture
def service(counting_run: Path) -> ScriptedService:
    return ScriptedService(hosted("counting", "causal_lm", load(counting_run, device="cpu")))


def test_work_ends_when_its_client_leaves_and_others_are_served_meanwhile(service: ScriptedService) -> None:
    async def visit(port: int) -> None:
        api = AsyncOpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none", timeout=60)
        stream = await api.completions.create(model="counting", prompt="one", temperature=0, stream=True)
        count = 0
        async for _ in stream:
            count += 1
            if count == 3:
                assert [each.id async for each in await api.models.list()] == ["counting"]
                break
        await stream.close()
        await api.close()

    with serving(service) as port:
        asyncio.run(visit(port))
        for _ in range(600):
            if service.askings[0].gone and service.ended.is_set():
                break
            asyncio.run(asyncio.sleep(0.05))
    assert service.askings[0].gone
    assert service.ended.is_set()


def test_the_client_hears_of_an_error_in_the_middle(service: ScriptedService) -> None:
    service.fails = True

    async def visit(port: int) -> None:
        api = AsyncOpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none", timeout=60)
        stream = await api.completions.create(model="counting", prompt="one", temperature=0, stream=True)
        for _ in range(3):
            assert (await anext(stream)).choices[0].text == "one "
        with pytest.raises(APIError, match="the service ends"):
            _ = await anext(stream)
        await api.close()

    with serving(service) as port:
        asyncio.run(visit(port))
