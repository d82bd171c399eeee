"""A service with the routes that the page asks, whose runs do toy work: words turned round, holes filled.

Texts with certain words are answered as a service in trouble does, and every answer has markup in it.
"""

import asyncio
import base64
import json
import math
import threading
import time
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Request, WebSocket, WebSocketDisconnect
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.requests import HTTPConnection

from whyformer.serve.page.router import page_router

MARKUP = "<img src=x onerror=alert(1)>"
RUNS: list[dict[str, Any]] = [
    {
        "name": "turner",
        "task": "translation",
        "parameters": 21696,
        "languages": {"source": "en", "target": "de"},
        "examples": ["one two three", "A <b>bold</b> one"],
        "decoding": {"kind": "beam", "size": 3},
    },
    {"name": "shouter", "task": "translation"},
    {"name": "filler", "task": "masked_lm", "examples": ["one [MASK] three"]},
    {"name": "writer", "task": "causal_lm"},
    {"name": "writer-2", "task": "causal_lm"},
    {"name": "listener", "task": "speech"},
    {"name": f"{MARKUP}", "task": "embedding"},
]


def toy_service(runs: list[dict[str, Any]] | None = None, key: str = "") -> FastAPI:
    """The service; where there is a ``key``, it wants it."""

    def guard(connection: HTTPConnection) -> None:
        told = connection.headers.get("authorization")
        if key and connection.url.path.startswith("/v1/") and told != f"Bearer {key}":
            raise HTTPException(401, "the key is not known.")

    app = FastAPI(dependencies=[Depends(guard)])
    served = RUNS if runs is None else runs
    app.state.asked = []
    app.state.left = 0
    app.include_router(page_router())

    @app.get("/v1/runs")
    async def list_runs() -> Any:
        return {"runs": served}

    @app.post("/v1/explain")
    async def explain(request: Request) -> Any:
        asked = await request.json()
        app.state.asked.append(asked)
        if "slow" in asked["text"]:
            try:
                while not await request.is_disconnected():
                    await asyncio.sleep(0.05)
            finally:
                app.state.left += 1
        return trouble(asked["text"]) or explained(asked)

    @app.post("/v1/fill")
    async def fill(request: Request) -> Any:
        asked = await request.json()
        holes = asked["text"].count("[MASK]")
        guesses = [
            {"text": f" {word}", "token": f"▁{word}", "probability": chance}
            for word, chance in (("two", 0.6), (MARKUP, 0.3), ("ten", 0.0002))
        ]
        text = asked["text"].replace("[MASK]", "two")
        return trouble(asked["text"]) or {"text": text, "holes": [guesses] * holes}

    @app.post("/v1/completions")
    async def complete(request: Request) -> Any:
        asked = await request.json()
        app.state.asked.append(asked)
        return trouble(asked["prompt"]) or StreamingResponse(
            written(asked, request), media_type="text/event-stream"
        )

    @app.websocket("/vosk/{run}")
    async def listen(websocket: WebSocket, run: str) -> None:
        await websocket.accept()
        await heard(websocket, app)

    return app


def trouble(text: str) -> Response | None:
    """How a service in trouble answers this text."""
    if "busy" in text:
        error = {"message": "the queue is full."}
        return JSONResponse({"error": error}, 429, headers={"Retry-After": "2"})
    if "ending" in text:
        return Response("draining", 503, headers={"Retry-After": "1"})
    if "refused" in text:
        return JSONResponse({"error": {"message": f"text: {MARKUP} is not allowed."}}, 400)
    if "plainly" in text:
        return JSONResponse({"error": "a sentence."}, 400)
    if "failing" in text:
        return Response("<h1>Bad gateway</h1>", 502)
    if "garbled" in text:
        return Response("{", 200, media_type="application/json")
    return None


def explained(asked: dict[str, Any]) -> dict[str, Any]:
    """The look at words that are turned round, or shouted, or given."""
    source = [f"▁{word}" for word in asked["text"].split()]
    given = asked.get("translation", "").split()
    if "ids" in asked:
        given = [source[id].removeprefix("▁") for id in asked["ids"]]
    target = [f"▁{word}" for word in given] or (
        source[::-1] if asked["model"] == "turner" else [word.upper() for word in source]
    )
    ids = [*range(len(target))]
    looked = {
        "source": {"ids": [*range(len(source) + 1)], "tokens": [*source, "</s>"]},
        "target": {"ids": [*ids, -1], "tokens": [*target, "</s>"]},
        "steps": [step(token, place) for place, token in enumerate([*target, "</s>"])],
        "attention": [*attention([*source, "</s>"], [*target, "</s>"])],
    }
    if "ids" in asked or "translation" in asked:
        return {"source": looked["source"], "outputs": [], "tree": [], "look": looked}
    return {
        "source": looked["source"],
        "outputs": [output(ids, target, rank) for rank in range(1, 4)],
        "tree": tree([*target, "</s>"]),
        "look": looked,
        "milliseconds": 12.5,
    }


def step(token: str, place: int) -> dict[str, Any]:
    others = [{"token": name, "log_probability": math.log(0.2)} for name in (f"▁{MARKUP}", "▁two")]
    return {"token": token, "log_probability": math.log(0.7 if place % 2 else 0.1), "others": others}


def output(ids: list[int], target: list[str], rank: int) -> dict[str, Any]:
    text = " ".join(token.removeprefix("▁") for token in target)
    return {
        "ids": ids,
        "tokens": target,
        "text": text if rank == 1 else f"{text} {MARKUP} {rank}",
        "score": -0.5 * rank,
        "log_probability": -1.5 * rank,
        "finished": rank < 3,
        "node": 2 * len(target) if rank == 1 else None,
    }


def attention(source: list[str], target: list[str]) -> Iterator[dict[str, Any]]:
    fed = ["<s>", *target[:-1]]
    places = {"encoder self": (source, source), "decoder self": (fed, fed), "cross": (fed, source)}
    for place, (queries, keys) in places.items():
        for layer in range(2):
            row = [round(1 / len(keys), 5)] * len(keys)
            one = [
                [float((query + layer) % len(keys) == key) for key in range(len(keys))]
                for query in range(len(queries))
            ]
            yield {
                "place": place,
                "layer": layer,
                "heads": 2,
                "queries": queries,
                "keys": keys,
                "written": None if place == "encoder self" else target,
                "weights": base64.b64encode(np.array([[row] * len(queries), one], "<f4").tobytes()).decode(),
            }


def tree(target: list[str]) -> list[list[dict[str, Any]]]:
    """Two candidates a step: what is written, and one that is dropped."""
    steps = list[list[dict[str, Any]]]()
    parent = None
    for place, token in enumerate(target):
        last = place == len(target) - 1
        steps.append(
            [
                {
                    "id": 2 * place + other,
                    "parent": parent,
                    "token_id": -1 if last and not other else place + 100 * other,
                    "token": MARKUP if other else token,
                    "log_probability": -0.5 - other,
                    "total": -0.5 * place - other,
                    "living": not other and not last,
                    "ended": last and not other,
                }
                for other in (0, 1)
            ]
        )
        parent = 2 * place
    return steps


async def written(asked: dict[str, Any], request: Request) -> AsyncIterator[str]:
    """Words that follow a prompt, one event each; each is broken into two pieces on its way."""
    words = [f" word-{number}" for number in range(asked["max_tokens"])]
    if "markup" in asked["prompt"]:
        words = [f" {MARKUP}", " 你好"]
    if "broken" in asked["prompt"]:
        words = words[:3]
    try:
        for word in words:
            event = f"data: {json.dumps({'choices': [{'text': word}]}, ensure_ascii=False)}\r\n\r\n"
            yield event[:9]
            await asyncio.sleep(0.01)
            yield event[9:]
        if "broken" in asked["prompt"]:
            return
        yield f"data: {json.dumps({'choices': [{'text': '', 'finish_reason': 'length'}]})}\n\n"
        yield "data: [DONE]\n\n"
    finally:
        request.app.state.left += await request.is_disconnected()


async def heard(websocket: WebSocket, app: FastAPI) -> None:
    """A word for each half second of sound, as loud as it was."""
    config = json.loads(await websocket.receive_text())["config"]
    app.state.asked.append(config)
    rate, samples, loudest, count = config["sample_rate"], 0, 0, 0
    try:
        while (message := await websocket.receive())["type"] != "websocket.disconnect":
            if message.get("bytes") is None:
                assert json.loads(message["text"]) == {"eof": 1}
                break
            numbers = memoryview(message["bytes"]).cast("h")
            samples += len(numbers)
            loudest = max(loudest, max(map(abs, numbers)))
            count = 2 * samples // rate
            await websocket.send_json({"partial": " ".join(f"word-{n}" for n in range(count))})
        app.state.asked.append({"seconds": samples / rate, "loudest": loudest})
        text = " ".join([*(f"word-{n}" for n in range(count)), MARKUP])
        words = [
            {"word": f"word-{n}", "start": n / 2, "end": n / 2 + 0.4, "conf": 0.875} for n in range(count)
        ]
        await websocket.send_json({"result": words, "text": text})
        await websocket.close()
    except WebSocketDisconnect:
        app.state.left += 1


@contextmanager
def running(app: FastAPI) -> Generator[str]:
    """The address of the service, which runs meanwhile."""
    config = uvicorn.Config(app, port=0, log_level="error", ws="websockets-sansio", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/"
    server.should_exit = True
    server.force_exit = True
    thread.join(timeout=10)
