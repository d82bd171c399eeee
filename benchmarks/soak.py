"""Keep a service busy for long, as unkind clients and operators do, and count what goes wrong.

    python benchmarks/soak.py RUN --lines sentences.txt --requests 100000

Clients leave in the middle of answers, send and read slowly, and come all at once; the server is killed and
started again, and loads its run anew while it answers. Each answer is compared with the run's own, without a
service.
"""

import argparse
import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import IO, Any

import whyformer
from whyformer.tasks.translation.translator import Translator

NAME = "soaked"
LEAVES, SLOW, STREAMS, LISTS = 0.12, 0.06, 0.15, 0.2
"""Shares of requests whose client leaves, is slow, has its answer streamed, or sends several sentences."""
REFUSALS = (429, 503, 504)
PATIENCE = 90.0
"""Seconds after which a request that has heard nothing is lost; the service's own deadline is sooner."""
LAST = 0.4
"""Share of requests behind the last kill, over which memory is watched."""


@dataclass
class Report:
    """What became of all requests."""

    outcomes: Counter[str] = field(default_factory=Counter[str])
    """Numbers of requests that were answered, refused, left, or cut off by a kill."""
    lost: list[str] = field(default_factory=list[str])
    """Requests that ended in nothing, though the server lived."""
    crossed: list[str] = field(default_factory=list[str])
    """Answers that bear another request's id."""
    wrong: list[str] = field(default_factory=list[str])
    """Answers that are not those of the run by itself."""
    kills: int = 0
    reloads: int = 0
    handles: list[int] = field(default_factory=list[int])
    """File handles of the last server, at moments of rest."""
    memory: list[int] = field(default_factory=list[int])
    """Its resident memory then, in bytes."""
    seconds: float = 0.0

    def told(self) -> dict[str, Any]:
        """All of it as one line of JSON."""
        faults = {"lost": len(self.lost), "crossed": len(self.crossed), "wrong": len(self.wrong)}
        examples = [*self.lost[:3], *self.crossed[:3], *self.wrong[:3]]
        events = {"kills": self.kills, "reloads": self.reloads, "seconds": round(self.seconds, 1)}
        megabytes = [round(each / 2**20, 1) for each in self.memory]
        rest = {"handles": self.handles, "memory_mib": megabytes, "examples": examples}
        return {**self.outcomes, **faults, **events, **rest}


class Served:
    """A server in a process of its own, at one port for all its lives."""

    def __init__(self, run: Path, log: IO[bytes]) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self.life = 0
        """Number of times that it was started or killed."""
        self._run, self._log = run, log
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Begin, and return when it answers."""
        command = [sys.executable, "-m", "whyformer", "serve", f"{NAME}={self._run}"]
        options = ["--port", str(self.port), "--threads", "1", "--log", "json", "--slowest", "10"]
        self._process = subprocess.Popen([*command, *options], stdout=subprocess.DEVNULL, stderr=self._log)
        while True:
            with suppress(OSError):
                status, _, _ = await asked(self.port, "GET", "/ready", b"", "start", Random(0))
                if status == 200:
                    break
            if self._process.poll() is not None:
                raise SystemExit("the server ended while it was starting; see its log.")
            await asyncio.sleep(0.1)
        self.life += 1

    def kill(self) -> None:
        """End it at once."""
        self.life += 1
        self.process.kill()
        self.process.wait()

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        """Its process."""
        assert self._process is not None
        return self._process

    def usage(self) -> tuple[int, int]:
        """The file handles it has open, and its resident memory in bytes."""
        folder = Path(f"/proc/{self.process.pid}")
        pages = int((folder / "statm").read_text().split()[1])
        return len(list((folder / "fd").iterdir())), pages * os.sysconf("SC_PAGE_SIZE")


class ClientLeftError(Exception):
    """The client has left, as it meant to."""


async def asked(
    port: int, method: str, path: str, body: bytes, name: str, random: Random, kind: str = "usual"
) -> tuple[int, str, bytes]:
    """The status, the request's id and the body of an answer.

    Raises:
        OSError: the connection ended before its answer did.
        ClientLeftError: the client, of the ``kind`` that leaves, has left.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nX-Request-Id: {name}\r\n"
        head += f"Connection: close\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        sent = head.encode() + body
        step = max(1, len(sent) // 5) if kind == "slow" else len(sent)
        for start in range(0, len(sent), step):
            writer.write(sent[start : start + step])
            await writer.drain()
            if kind == "slow":
                await asyncio.sleep(0.05)
        if kind == "leaves":
            with suppress(TimeoutError):
                async with asyncio.timeout(random.expovariate(20)):
                    await reader.read(random.choice((1, 200, 400)))
            raise ClientLeftError
        received = b""
        while part := await reader.read(50 if kind == "slow" else 65_536):
            received += part
            if kind == "slow":
                await asyncio.sleep(0.01)
        return parsed(received)
    finally:
        writer.close()


def parsed(received: bytes) -> tuple[int, str, bytes]:
    """The status, the request's id and the body of an answer in bytes, which has to be whole."""
    head, between, body = received.partition(b"\r\n\r\n")
    if not between:
        raise ConnectionResetError("no answer")
    lines = head.decode("latin-1").split("\r\n")
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    if "chunked" in fields.get("transfer-encoding", ""):
        whole, found = body.endswith(b"0\r\n\r\n"), b""
        while body and not body.startswith(b"0\r\n"):
            size, _, rest = body.partition(b"\r\n")
            found, body = found + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
        body = found
    else:
        whole = len(body) == int(fields.get("content-length", len(body)))
    if not whole:
        raise ConnectionResetError("half an answer")
    return int(lines[0].split()[1]), fields.get("x-request-id", ""), body


class Soak:
    """Requests of many clients, and what became of them."""

    def __init__(self, served: Served, answers: dict[str, str], requests: int, clients: int) -> None:
        self.report = Report()
        self._served, self._answers = served, answers
        self._sentences = [*answers]
        self._requests, self._clients = requests, clients
        self._next = 0

    async def run(self, kills: int, reloads: int) -> Report:
        """Send all requests, with so many kills among the first of them, and reloads at any time."""
        began = time.monotonic()
        await self._served.start()
        watched = int(self._requests * (1 - LAST))
        events = [(watched * (each + 1) // (kills + 1), self._kill) for each in range(kills)]
        events += [(self._requests * (each + 1) // (reloads + 1), self._reload) for each in range(reloads)]
        events += [(watched + (self._requests - watched) * each // 4, self._rest) for each in range(1, 4)]
        for place, event in sorted(events, key=lambda each: each[0]):
            if event == self._rest:
                await self._until(place)
                await self._rest()
            else:
                await asyncio.gather(self._until(place), self._soon(event))
        await self._until(self._requests)
        await self._rest()
        self.report.seconds = time.monotonic() - began
        return self.report

    async def _soon(self, event: Any) -> None:
        await asyncio.sleep(0.5)
        await event()

    async def _until(self, last: int) -> None:
        """Send requests up to that of number ``last``, all clients side by side."""
        await asyncio.gather(*(self._client(last) for _ in range(self._clients)))

    async def _client(self, last: int) -> None:
        while self._next < last:
            self._next += 1
            await self._ask(self._next)

    async def _ask(self, number: int) -> None:
        random, report, life = Random(number), self.report, self._served.life
        name, share = f"soak-{number}", random.random()
        kind = "leaves" if share < LEAVES else "slow" if share < LEAVES + SLOW else "usual"
        texts = random.choices(self._sentences, k=random.randint(2, 4) if random.random() < LISTS else 1)
        streams = random.random() < STREAMS
        path = "/v1/completions" if streams else "/translate"
        asks = {"model": NAME, "prompt": texts, "stream": True, "max_tokens": None}
        if not streams:
            asks = {"q": texts, "source": "auto", "target": NAME}
        try:
            async with asyncio.timeout(PATIENCE):
                body = json.dumps(asks).encode()
                status, told, answer = await asked(self._served.port, "POST", path, body, name, random, kind)
        except ClientLeftError:
            report.outcomes["left"] += 1
        except OSError as error:
            if not isinstance(error, TimeoutError) and (life != self._served.life or life % 2 == 0):
                report.outcomes["cut off by a kill"] += 1
                await asyncio.sleep(0.2)
            else:
                report.lost.append(f"{name} ({kind}, {path}): {type(error).__name__} {error}")
        else:
            self._judge(name, told, status, answer, [self._answers[text] for text in texts])

    def _judge(self, name: str, told: str, status: int, answer: bytes, expected: Sequence[str]) -> None:
        report = self.report
        if told != name:
            report.crossed.append(f"{name} has the answer to {told}")
        elif status in REFUSALS:
            report.outcomes["refused"] += 1
        elif status != 200 or (found := texts_of(answer, len(expected))) is None:
            report.lost.append(f"{name}: {status} {answer[-200:]!r}")
        elif found != [*expected]:
            report.wrong.append(f"{name}: {found} and not {[*expected]}")
        else:
            report.outcomes["answered"] += 1

    async def _kill(self) -> None:
        self._served.kill()
        await self._served.start()
        self.report.kills += 1

    async def _reload(self) -> None:
        self._served.process.send_signal(signal.SIGHUP)
        self.report.reloads += 1

    async def _rest(self) -> None:
        """Wait until nothing is on its way, and note what the server holds."""
        await asyncio.sleep(3)
        handles, memory = self._served.usage()
        self.report.handles.append(handles)
        self.report.memory.append(memory)


def texts_of(answer: bytes, count: int) -> list[str] | None:
    """The texts of an answer; None of a stream that says that it has failed."""
    if not answer.startswith(b"data:"):
        return json.loads(answer)["translatedText"]
    texts = [""] * count
    *events, last = [event for event in answer.decode().split("\n\n") if event.startswith("data:")]
    for event in events:
        told = json.loads(event.removeprefix("data:"))
        if "error" in told:
            return None
        for choice in told["choices"]:
            texts[choice["index"]] += choice["text"]
    return texts if last == "data: [DONE]" else None


def soak(
    run: Path, sentences: Sequence[str], requests: int, *, clients: int = 12, kills: int = 2, reloads: int = 4
) -> Report:
    """What became of so many ``requests`` for ``sentences`` to a service of ``run``, of some side by side."""
    translator = whyformer.load(run)
    assert isinstance(translator, Translator), "a run that translates"
    found = translator.translate(sentences, translator.settings)
    answers = {text: outputs[0].text for text, outputs in zip(sentences, found, strict=True)}
    with tempfile.TemporaryFile() as log:
        served = Served(run, log)
        try:
            return asyncio.run(Soak(served, answers, requests, clients).run(kills, reloads))
        finally:
            served.kill()


def main() -> None:
    """Read the command line, soak, and print the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--lines", type=Path, required=True, help="a file of sentences")
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--clients", type=int, default=12)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--reloads", type=int, default=20)
    given = parser.parse_args()
    lines = dict.fromkeys(given.lines.read_text(encoding="utf-8").splitlines())
    sentences = [line for line in lines if line.strip()][:500]
    report = soak(
        given.run,
        sentences,
        given.requests,
        clients=given.clients,
        kills=given.kills,
        reloads=given.reloads,
    )
    print(json.dumps(report.told(), ensure_ascii=False))
    if report.lost or report.crossed or report.wrong:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
