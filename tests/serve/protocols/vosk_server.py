"""A real server that speaks Vosk's dialect, clients of it, and the offline listener to compare with."""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Coroutine, Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import pytest
import uvicorn
from fastapi import FastAPI
from numpy.typing import NDArray
from websockets.asyncio.client import ClientConnection, connect

from tasks.speech import listeners
from whyformer.decoding.ctc.endpoint import EndpointSpec
from whyformer.serve.listening.hall import ListeningHall
from whyformer.serve.listening.limits import ListeningLimits
from whyformer.serve.protocols.vosk.router import vosk_router
from whyformer.serve.service import HostedRun, Service
from whyformer.tasks.speech.listener import Listener

ResultT = TypeVar("ResultT")
Reply = dict[str, Any]


@dataclass
class Served:
    """A server that runs."""

    uri: str
    port: int
    hall: ListeningHall
    runs: dict[str, HostedRun]
    loop: asyncio.AbstractEventLoop

    def wait(self, holds: Callable[[], bool]) -> None:
        """Wait until ``holds``, as it must within a minute."""
        for _ in range(6000):
            if holds():
                return
            time.sleep(0.01)
        pytest.fail("it never came to hold")

    def within(self, coroutine: Coroutine[Any, Any, ResultT]) -> ResultT:
        """The result of ``coroutine``, run by the server's loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(60)


def hosted(name: str, listener: Listener) -> HostedRun:
    return HostedRun(name, "speech", listener, "00", 0)


@contextmanager
def served(
    listeners_by_name: dict[str, Listener], limits: ListeningLimits | None = None
) -> Generator[Served]:
    """A server on a free port, stopped behind the block."""
    runs = {name: hosted(name, each) for name, each in listeners_by_name.items()}
    service = Service([*runs.values()])
    service._runs = runs
    hall, app = ListeningHall(limits), FastAPI()
    app.include_router(vosk_router(service, hall))

    @app.get("/ping")
    async def ping() -> str:
        return "pong"

    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        await server.serve()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    while not server.started:
        assert thread.is_alive()
        threading.Event().wait(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield Served(f"ws://127.0.0.1:{port}", port, hall, runs, loops[0])
    finally:
        server.should_exit = True
        thread.join(60)


def pcm(samples: NDArray[np.float32]) -> bytes:
    return (samples * 32767).astype("<i2").tobytes()


def config(**settings: object) -> str:
    return json.dumps({"config": settings})


async def sample_client(uri: str, sound: bytes, rate: int = listeners.RATE) -> list[Reply]:
    """All replies to the messages of the client that Vosk's server comes with: test.py."""
    replies: list[Reply] = []
    async with connect(uri) as websocket:
        await websocket.send(f'{{ "config" : {{ "sample_rate" : {rate} }} }}')
        size = 2 * int(rate * 0.2)
        for start in range(0, len(sound), size):
            await websocket.send(sound[start : start + size])
            replies.append(json.loads(await websocket.recv()))
        await websocket.send('{"eof" : 1}')
        replies.append(json.loads(await websocket.recv()))
        await websocket.wait_closed()
        assert websocket.close_code == 1000
    return replies


async def asked(websocket: ClientConnection, messages: Iterable[bytes | str]) -> list[Reply]:
    """The reply to each of ``messages``, one after another."""
    replies: list[Reply] = []
    for message in messages:
        await websocket.send(message)
        replies.append(json.loads(await websocket.recv()))
    return replies


async def refused(websocket: ClientConnection) -> tuple[str, int | None]:
    """The sentence that is said to a client, and the code that it is closed with."""
    reply = json.loads(await websocket.recv())
    await websocket.wait_closed()
    assert list(reply) == ["error"]
    return reply["error"], websocket.close_code


def offline(
    listener: Listener, pieces: Iterable[bytes], rate: int = listeners.RATE, *, offset: float = 0.0
) -> list[Reply]:
    """What a listener of one's own gives for the same pieces, as replies without confidences."""
    settings = replace(listener.settings, endpoint=listener.settings.endpoint or EndpointSpec())
    session, replies = listener.open(rate, settings=settings, note=lambda _: None), list[Reply]()

    def told(last: bool = False) -> None:
        finals, session.finals = session.finals, []
        if finals or last:
            words = [word for each in finals for word in each.words]
            timed = [
                {"start": round(offset + w.start, 6), "end": round(offset + w.end, 6), "word": w.text}
                for w in words
            ]
            replies.append(
                {**({"result": timed} if timed else {}), "text": " ".join(word.text for word in words)}
            )
        else:
            replies.append({"partial": "" if session.transcript.final else session.transcript.text})

    for piece in pieces:
        session.feed(np.frombuffer(piece, "<i2"))
        told()
    session.finish()
    told(last=True)
    return replies


def without_confidence(replies: Sequence[Reply]) -> list[Reply]:
    """The ``replies`` without the confidences, which are in (0, 1]."""
    found: list[Reply] = []
    for reply in replies:
        for word in reply.get("result", []):
            assert 0 < word["conf"] <= 1
        plain = [{k: v for k, v in word.items() if k != "conf"} for word in reply.get("result", [])]
        found.append({**reply, **({"result": plain} if plain else {})})
    return found


def words_of(replies: Iterable[Reply]) -> list[tuple[str, float, float]]:
    """All words of the results among ``replies``, with their times."""
    return [
        (word["word"], word["start"], word["end"]) for reply in replies for word in reply.get("result", [])
    ]


def cut(sound: bytes, size: int) -> list[bytes]:
    return [sound[start : start + size] for start in range(0, len(sound), size)]


def close_to(replies: Sequence[Reply], others: Sequence[Reply]) -> None:
    """Assert that two clients' replies are the same, confidences up to the rounding of a batch."""
    assert without_confidence(replies) == without_confidence(others)
    for one, other in zip(replies, others, strict=True):
        found = [word["conf"] for word in one.get("result", [])]
        assert found == pytest.approx([word["conf"] for word in other.get("result", [])], abs=1e-4)
