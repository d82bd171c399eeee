"""A client that costs little: requests over HTTP/1.1 on connections that stay, from a process of its own.

It reads a plan in JSON from standard input and writes what happened to standard output:

    {"port": 8000, "bodies": ["{...}"], "seconds": 4, "connections": 32, "rate": null, "seed": 1, "grace": 5}

With a rate, requests begin at random moments (a Poisson process) no matter what is still under way, on as
many connections as that takes, up to `connections`; without one, each connection asks again as soon as it is
answered. It obeys no Retry-After. It shares its processors with the server, so it works on bare sockets with
requests made before, reads of an answer no more than it has to, and tells how late it was itself.
"""

import json
import random
import select
import socket
import sys
import time
from collections import deque
from dataclasses import asdict, dataclass, field
from typing import Any

TICK = 0.002
"""Seconds for which requests that are due are gathered: to wake for each would cost more than the request."""
_READ = select.EPOLLIN
_WRITE = select.EPOLLOUT


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
    """When each was handed to its connection, or that was begun for it."""
    answered: list[float] = field(default_factory=list[float])
    asked: int = 0
    """Requests that were sent."""
    not_sent: int = 0
    """Requests that were due while no connection was free; the service has not seen them."""
    lost: int = 0
    """Requests whose connection ended without an answer."""
    without_hint: int = 0
    """Refusals (429, 503) without Retry-After."""
    opened: int = 0
    """Connections that were opened."""
    processor: float = 0.0
    """Seconds of processor time that this client took."""


class Connection:
    """One request at a time, on a socket that never blocks."""

    __slots__ = ("asked", "ends", "read", "socket", "waits")

    def __init__(self, port: int) -> None:
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.connect_ex(("127.0.0.1", port))
        self.waits: bytes | None = b""
        """What is to be sent as soon as it can be; None where nothing waits."""
        self.asked: tuple[int, float, float] | None = None
        """Body, moment it was due and moment it was sent of the request under way."""
        self.read = b""
        self.ends = 0


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
        self._poll = select.epoll()
        self._free = deque[Connection]()
        self._all = dict[int, Connection]()
        self._next = 0
        self._under_way = 0
        self._began = 0.0
        self._is_over = True

    def run(self) -> Told:
        """Carry out the plan."""
        # All that are needed at once are there at once; a burst of new ones would be measured with the rest.
        some = self.plan.connections if self.plan.rate is None else min(64, self.plan.connections)
        for _ in range(some):
            self._open()
        ready = time.perf_counter() + 5
        while any(each.waits is not None for each in self._all.values()) and time.perf_counter() < ready:
            self._turn(0.01)
        processor = time.process_time()
        self._began, self._is_over = time.perf_counter(), False
        if self.plan.rate is None:
            while self._free:
                self._ask(self._free.popleft(), time.perf_counter())
            while (left := self._began + self.plan.seconds - time.perf_counter()) > 0:
                self._turn(left)
        else:
            self._arrive(self.plan.rate)
        self._is_over = True
        until = time.perf_counter() + self.plan.grace
        while self._under_way and (left := until - time.perf_counter()) > 0:
            self._turn(min(left, 0.05))
        self.told.processor = time.process_time() - processor
        for connection in [*self._all.values()]:
            connection.socket.close()
        self._poll.close()
        return self.told

    def _arrive(self, rate: float) -> None:
        draw = random.Random(self.plan.seed)
        due = self._began + draw.expovariate(rate)
        end = self._began + self.plan.seconds
        while (now := time.perf_counter()) < end:
            while due <= now:
                self._request(due)
                due += draw.expovariate(rate)
            self._turn(max(0.0, min(max(due, now + TICK), end) - time.perf_counter()))

    def _turn(self, seconds: float) -> None:
        """Attend to whatever connections are ready; to wait for one, so many ``seconds`` at most."""
        for number, event in self._poll.poll(seconds):
            connection = self._all.get(number)
            if connection is None:
                continue
            if connection.waits is not None and event & _WRITE:
                self._flush(connection)
            if event & ~_WRITE:
                self._receive(connection)

    def _request(self, due: float) -> None:
        if self._free:
            # The one that was used last: the others may have been closed meanwhile.
            self._ask(self._free.pop(), due)
        elif len(self._all) < self.plan.connections and (connection := self._open()) is not None:
            self._ask(connection, due)
        else:
            self.told.not_sent += 1

    def _ask(self, connection: Connection, due: float) -> None:
        self._next = (self._next + 1) % len(self.requests)
        self.told.asked += 1
        self._under_way += 1
        connection.asked = self._next, due, time.perf_counter()
        request = self.requests[self._next]
        if connection.waits is not None:
            connection.waits = request
            return
        self._send(connection, request)

    def _send(self, connection: Connection, data: bytes) -> None:
        try:
            sent = connection.socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._has_ended(connection)
            return
        if sent < len(data):
            connection.waits = data[sent:]
            self._poll.modify(connection.socket, _READ | _WRITE)

    def _flush(self, connection: Connection) -> None:
        """Send what waits, on a connection that has just been made, or has room again."""
        waits, connection.waits = connection.waits, None
        self._poll.modify(connection.socket, _READ)
        if waits:
            self._send(connection, waits)
        elif connection.asked is None:
            self._is_free(connection)

    def _receive(self, connection: Connection) -> None:
        try:
            data = connection.socket.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._has_ended(connection)
            return
        read = connection.read = connection.read + data if connection.read else data
        if not connection.ends:
            head = read.find(b"\r\n\r\n")
            if head < 0:
                return
            connection.ends = head + 4 + _length(read[: head + 2])
        if len(read) < connection.ends or connection.asked is None:
            return
        self._is_answered(connection, read)

    def _is_answered(self, connection: Connection, answer: bytes) -> None:
        """Take note of an ``answer``."""
        told, now = self.told, time.perf_counter()
        assert connection.asked is not None
        body, due, sent = connection.asked
        status = int(answer[9:12])
        connection.asked, connection.read, connection.ends = None, b"", 0
        self._under_way -= 1
        told.status.append(status)
        told.body.append(body)
        told.due.append(due - self._began)
        told.sent.append(sent - self._began)
        told.answered.append(now - self._began)
        head = answer.partition(b"\r\n\r\n")[0].lower()
        told.without_hint += status in (429, 503) and b"\r\nretry-after:" not in head
        if b"\r\nconnection: close" in head:
            self._has_ended(connection)
        else:
            self._is_free(connection)

    def _open(self) -> Connection | None:
        try:
            connection = Connection(self.plan.port)
        except OSError:
            # There are no more file handles.
            return None
        self.told.opened += 1
        self._all[connection.socket.fileno()] = connection
        self._poll.register(connection.socket, _READ | _WRITE)
        return connection

    def _is_free(self, connection: Connection) -> None:
        """Let ``connection`` take the next request."""
        if self.plan.rate is None and not self._is_over:
            self._ask(connection, time.perf_counter())
        else:
            self._free.append(connection)

    def _has_ended(self, connection: Connection) -> None:
        """Take note that ``connection`` is no more; another takes its place while the plan goes on."""
        if self._all.pop(connection.socket.fileno(), None) is None:
            return
        connection.socket.close()
        if connection.asked is not None:
            self.told.lost += 1
            self._under_way -= 1
            connection.asked = None
        elif connection in self._free:
            self._free.remove(connection)
        if not self._is_over and self.plan.rate is None and (another := self._open()) is not None:
            self._ask(another, time.perf_counter())


def _length(head: bytes) -> int:
    """The length of the body behind ``head``."""
    begin = head.lower().find(b"\r\ncontent-length:")
    return int(head[begin + 17 : head.find(b"\r\n", begin + 2)]) if begin >= 0 else 0


def main() -> None:
    """Read the plan, carry it out, tell."""
    given: dict[str, Any] = json.load(sys.stdin)
    print(json.dumps(asdict(Client(Plan(**given)).run())))


if __name__ == "__main__":
    main()
