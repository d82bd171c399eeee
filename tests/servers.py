"""Servers in processes of their own, as tests see them."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2


@dataclass
class Running:
    """A server that runs, and its logs."""

    process: subprocess.Popen[str]
    address: str
    errors: Path

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    def client(self) -> httpx2.Client:
        return httpx2.Client(base_url=self.address, timeout=30)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def logs(self, event: str) -> list[dict[str, Any]]:
        lines = self.errors.read_text(encoding="utf-8").splitlines()
        return [record for line in lines if (record := json.loads(line))["event"] == event]

    def log_of(self, request: str) -> dict[str, Any]:
        """The line on a request, which is written just after its answer."""
        for _ in range(200):
            for record in self.logs("request"):
                if record["id"] == request:
                    return record
            time.sleep(0.02)
        raise AssertionError(self.errors.read_text(encoding="utf-8"))


Start = Callable[..., Running]
"""Starter of servers, by their options."""


@contextmanager
def starting(folder_of: Callable[[str], Path]) -> Generator[Callable[[Sequence[str], str], Running]]:
    """A starter of servers by a command and what it prints before its address; all are killed at the end."""
    started = list[Running]()

    def start(command: Sequence[str], announcement: str) -> Running:
        errors = folder_of("server") / "errors.txt"
        # Where Python is told to keep nothing, every process would compile torch anew.
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        with errors.open("w", encoding="utf-8") as file:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=file, text=True, env=kept)
        assert process.stdout is not None
        line = process.stdout.readline().strip()
        assert line.startswith(announcement), line + errors.read_text(encoding="utf-8")
        address = line.removeprefix(announcement).partition(";")[0]
        assert address, errors.read_text(encoding="utf-8")
        started.append(Running(process, address, errors))
        return started[-1]

    yield start
    for running in started:
        running.process.kill()
        running.process.wait()
        assert running.process.stdout is not None
        running.process.stdout.close()
