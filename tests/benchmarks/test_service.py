"""The load generator counts what a server does, and the benchmark of the service tells of all its arms."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
Script = Callable[[str], ModuleType]
GOOD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
BUSY = b"HTTP/1.1 503 Busy\r\nContent-Length: 2\r\nretry-after: 1\r\n\r\n{}"
UNKIND = b"HTTP/1.1 429 Busy\r\nContent-Length: 2\r\n\r\n{}"
LAST = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}"


async def asked(load_generator: Any, answers: list[bytes], **plan: Any) -> Any:
    """What the client tells of a server that gives ``answers`` in turn; an empty one ends the connection."""
    given = 0
    writers = list[asyncio.StreamWriter]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal given
        writers.append(writer)
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            json.loads(await reader.readexactly(length))
            answer, given = answers[given % len(answers)], given + 1
            # In two pieces, as networks do it.
            writer.write(answer[:20])
            await writer.drain()
            await asyncio.sleep(0.001)
            writer.write(answer[20:])
            if answer in (b"", LAST):
                writer.close()
                return

    def quiet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> asyncio.Task[None]:
        task = asyncio.ensure_future(serve(reader, writer))
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return task

    server = await asyncio.start_server(quiet, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    told = await asyncio.to_thread(load_generator.Client(load_generator.Plan(port=port, **plan)).run)
    server.close()
    for writer in writers:
        writer.close()
    await asyncio.gather(*(writer.wait_closed() for writer in writers), return_exceptions=True)
    return told


@pytest.mark.parametrize("rate", [None, 200.0])
def test_every_answer_is_counted_once(rate: float | None, script: Script):
    plan = {"bodies": ['{"q": "a"}', '{"q": "bb"}'], "seconds": 0.4, "connections": 8, "rate": rate}
    told = asyncio.run(asked(script("load_generator"), [GOOD, BUSY, GOOD, UNKIND, LAST], **plan))
    assert len(told.status) + told.lost == told.asked > 10
    assert {*told.status} == {200, 429, 503}
    assert told.lost == 0
    assert told.without_hint == told.status.count(429)
    assert {*told.body} == {0, 1}
    assert all(due <= sent <= end for due, sent, end in zip(told.due, told.sent, told.answered, strict=True))


def test_requests_without_an_answer_are_lost(script: Script):
    plan = {"bodies": ["{}"], "seconds": 0.2, "connections": 4}
    told = asyncio.run(asked(script("load_generator"), [GOOD, b""], **plan))
    assert told.lost > 0
    assert len(told.status) + told.lost == told.asked


def test_goodput_is_what_came_in_time(script: Script):
    service: Any = script("service")
    told = {
        "status": [200, 200, 503, 200],
        "due": [0.0, 0.1, 0.2, 0.3],
        "sent": [0.0, 0.1, 0.25, 0.3],
        "answered": [0.5, 0.9, 0.26, 2.3],
    }
    phase = service.Phase(32, 1.0, told, 0.1)
    assert (phase.good(), phase.good(0.6), phase.all_good) == (64, 32, 96)
    assert phase.refusals() == [pytest.approx(10.0)]
    assert phase.latencies()[:2] == [pytest.approx(500.0), pytest.approx(800.0)]


@pytest.mark.slow
def test_all_arms_are_measured(reverse_run: Path, tmp_path: Path, script: Script):
    pytest.importorskip("fastapi")
    script("report")
    told = subprocess.run(
        [
            *(
                sys.executable,
                str(BENCHMARKS / "service.py"),
                str(reverse_run),
                "--rounds",
                "1",
                "--phase",
                "1",
            ),
            *("--sentences", "64", "--name", "smoke"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    result = json.loads((tmp_path / "results" / "smoke.json").read_text(encoding="utf-8"))
    arms = [row["arm"] for row in result["table"]]
    assert {"engine alone, batch 64", "service, lists of 32", "service, 10 x, single sentences"} <= {*arms}
    assert any(arm.startswith("FastAPI around load(RUN)") for arm in arms)
    assert all(each["client"]["lost"] == 0 for each in result["figures"] if each["phase"] == "closed")
