"""A client that costs little: requests over HTTP/1.1 on connections that stay, from a process of its own.

It reads a plan in JSON from standard input and writes what happened to standard output:

    {"port": 8000, "bodies": ["{...}"], "seconds": 4, "connections": 32, "rate": null, "seed": 1, "grace": 5}

With a rate, requests begin at random moments (a Poisson process) no matter what is still under way, on as
many connections as that takes, up to `connections`; without one, each connection asks again as soon as it is
answered. It imports little, so that it starts at once.
"""

import asyncio
import json
import random
import socket
import sys
import time
from collections import deque
from dataclasses import asdict, dataclass, field
from typing import Any

from typing_extensions import override

TICK = 0.002
"""Seconds for which requests that are due are gathered: a timer for each would cost more than the request."""


@dataclass(frozen=True)
class Plan:
    """What to ask, how often, and for how long."""

    port: int
    bodies: list[str]
    seconds: float
    connections: int
    rate: float | None = None
    """Requests a second, whatever becomes of them; None where each connection asks again when answered."""
    seed: int = 1
    grace: float = 5.0
    """Seconds after the last request in which answers still count."""


@dataclass
class Told:
    """What happened."""

    status: list[int] = field(default_factory=list[int])
    body: list[int] = field(default_factory=list[int])
    """Number of the body that each request had, among those of the plan."""
    due: list[float] = field(default_factory=list[float])
    """When each request was to be sent, in seconds from the beginning."""
    sent: list[float] = field(default_factory=list[float])
    answered: list[float] = field(default_factory=list[float])
    asked: int = 0
    """Requests that were sent."""
    not_sent: int = 0
    """Requests that were due while no connection was free; the service has not seen them."""
    lost: int = 0
    """Requests whose connection ended without an answer."""
    without_hint: int = 0
    """Refusals (429, 503) without Retry-After."""
    processor: float = 0.0
    """Seconds of processor time that this client took."""


class Connection(asyncio.Protocol):
    """One request at a time."""

    def __init__(self, client: "Client") -> None:
        self._client = client
        self._transport: asyncio.WriteTransport | None = None
        self._read = bytearray()
        self._ends = 0
        self._status = 0
        self._is_last = False
        self.asked: tuple[int, float, float] | None = None
        """Body, moment it was due and moment it was sent of the request under way."""

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport
        self._client.is_free(self)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._client.has_ended(self)

    @property
    def is_open(self) -> bool:
        """Whether a request can be sent."""
        return self._transport is not None and not self._transport.is_closing()

    def ask(self, body: int, due: float) -> None:
        """Send a request."""
        assert self._transport is not None
        self.asked = body, due, time.perf_counter()
        self._transport.write(self._client.requests[body])

    def close(self) -> None:
        """Leave."""
        if self._transport is not None:
            self._transport.abort()

    @override
    def data_received(self, data: bytes) -> None:
        self._read += data
        if not self._ends and not self._read_head():
            return
        if len(self._read) < self._ends or self.asked is None:
            return
        asked, self.asked = self.asked, None
        self._read.clear()
        self._ends = 0
        self._client.is_answered(*asked, self._status)
        if self._is_last:
            self.close()
        else:
            self._client.is_free(self)

    def _read_head(self) -> bool:
        end = self._read.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = bytes(self._read[:end]).lower()
        self._status = int(head[9:12])
        self._is_last = b"\r\nconnection: close" in head
        length = head.find(b"\r\ncontent-length:")
        if length >= 0:
            self._ends = end + 4 + int(head[length + 17 :].split(b"\r\n", 1)[0])
        if self._status in (429, 503) and b"\r\nretry-after:" not in head:
            self._client.told.without_hint += 1
        return length >= 0


class Client:
    """All connections of a plan."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.told = Told()
        head = (
            f"POST /translate HTTP/1.1\r\nHost: 127.0.0.1:{plan.port}\r\nContent-Type: application/json\r\n"
        )
        bodies = [body.encode() for body in plan.bodies]
        self.requests = [f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body for body in bodies]
        self._free = deque[Connection]()
        self._all = set[Connection]()
        self._opening = set[asyncio.Task[None]]()
        self._next = 0
        self._began = 0.0
        self._is_over = True

    async def run(self) -> Told:
        """Carry out the plan."""
        # All that are needed at once are there at once; a burst of new ones would be measured with the rest.
        some = self.plan.connections if self.plan.rate is None else min(64, self.plan.connections)
        await asyncio.gather(*(self._open() for _ in range(some)))
        processor = time.process_time()
        self._began, self._is_over = time.perf_counter(), False
        if self.plan.rate is None:
            for connection in [*self._free]:
                self._ask(connection, time.perf_counter())
            await asyncio.sleep(self.plan.seconds)
        else:
            await self._arrive(self.plan.rate)
        self._is_over = True
        until = time.perf_counter() + self.plan.grace
        while any(each.asked for each in self._all) and time.perf_counter() < until:
            await asyncio.sleep(0.01)
        self.told.processor = time.process_time() - processor
        for connection in [*self._all]:
            connection.close()
        return self.told

    async def _arrive(self, rate: float) -> None:
        draw = random.Random(self.plan.seed)
        due = self._began + draw.expovariate(rate)
        while (now := time.perf_counter()) < self._began + self.plan.seconds:
            while due <= now:
                self._request(due)
                due += draw.expovariate(rate)
            await asyncio.sleep(TICK)

    def _request(self, due: float) -> None:
        while self._free:
            connection = self._free.pop()
            if connection.is_open:
                self._ask(connection, due)
                return
        self.told.not_sent += 1
        if len(self._all) + len(self._opening) < self.plan.connections:
            self._opening.add(task := asyncio.get_running_loop().create_task(self._open()))
            task.add_done_callback(self._opening.discard)

    def _ask(self, connection: Connection, due: float) -> None:
        self._next += 1
        self.told.asked += 1
        connection.ask(self._next % len(self.requests), due)

    async def _open(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            transport, _ = await loop.create_connection(lambda: Connection(self), "127.0.0.1", self.plan.port)
        except OSError:
            self.told.lost += 1
            return
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def is_free(self, connection: Connection) -> None:
        """Let ``connection`` take the next request."""
        self._all.add(connection)
        if self.plan.rate is None and not self._is_over:
            self._ask(connection, time.perf_counter())
        else:
            self._free.append(connection)

    def is_answered(self, body: int, due: float, sent: float, status: int) -> None:
        """Take note of an answer."""
        told, now = self.told, time.perf_counter()
        told.status.append(status)
        told.body.append(body)
        told.due.append(due - self._began)
        told.sent.append(sent - self._began)
        told.answered.append(now - self._began)

    def has_ended(self, connection: Connection) -> None:
        """Take note that ``connection`` is no more; another takes its place while the plan goes on."""
        self._all.discard(connection)
        self.told.lost += connection.asked is not None
        if not self._is_over and self.plan.rate is None:
            self._opening.add(task := asyncio.get_running_loop().create_task(self._open()))
            task.add_done_callback(self._opening.discard)


def main() -> None:
    """Read the plan, carry it out, tell."""
    given: dict[str, Any] = json.load(sys.stdin)
    print(json.dumps(asdict(asyncio.run(Client(Plan(**given)).run()))))


if __name__ == "__main__":
    main()
