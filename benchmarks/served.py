"""Servers in processes of their own, and what a client has seen of them."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass
class Process:
    """A server."""

    process: "subprocess.Popen[str]"
    port: int
    languages: tuple[str, str]
    """What it is asked to translate from and into."""

    @property
    def processor(self) -> float:
        """Seconds of processor time that it took so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def peak(self) -> int:
        """Most memory that it had, in bytes."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return 1024 * int(next(line.split()[1] for line in lines if line.startswith("VmHWM")))


@dataclass
class Phase:
    """What a client has seen of a server for some seconds."""

    width: int
    seconds: float
    told: dict[str, Any]
    processor: float
    """Seconds of processor time that the server took."""

    def good(self, within: float = float("inf")) -> int:
        """Sentences that were answered with 200 within so many seconds, in the phase."""
        moments = zip(self.told["status"], self.told["due"], self.told["answered"], strict=True)
        return self.width * sum(
            status == 200 and end - due <= within and end <= self.seconds for status, due, end in moments
        )

    @property
    def rate(self) -> float:
        """Sentences a second."""
        return self.good() / self.seconds

    @property
    def all_good(self) -> int:
        """Sentences that were answered with 200, also at the end of the phase."""
        return self.width * self.told["status"].count(200)

    def latencies(self) -> list[float]:
        """Milliseconds of each good answer from the moment its request was due."""
        moments = zip(self.told["status"], self.told["due"], self.told["answered"], strict=True)
        return [1000 * (end - due) for status, due, end in moments if status == 200]

    def refusals(self) -> list[float]:
        """Milliseconds until each refusal, from the moment its request was sent."""
        moments = zip(self.told["status"], self.told["sent"], self.told["answered"], strict=True)
        return [1000 * (end - sent) for status, sent, end in moments if status in (429, 503)]

    def lateness(self) -> float:
        """Milliseconds by which the client was late itself with one request of a hundred."""
        late = sorted(sent - due for sent, due in zip(self.told["sent"], self.told["due"], strict=True))
        return 1000 * late[int(0.99 * len(late))] if late else 0.0

    def record(self) -> dict[str, Any]:
        """The figures for the file, without each request's own."""
        kept = ("asked", "not_sent", "lost", "without_hint", "opened", "processor")
        statuses = {str(each): self.told["status"].count(each) for each in sorted({*self.told["status"]})}
        return {
            "width": self.width,
            "seconds": self.seconds,
            "good": self.good(),
            "server_processor": self.processor,
            "client_late": self.lateness(),
            "status": statuses,
            "client": {key: self.told[key] for key in kept},
        }


@contextmanager
def started(
    command: Sequence[str], languages: tuple[str, str], python: str = sys.executable
) -> Generator[Process]:
    """A server whose first line has its address, until it is no longer needed."""
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            [python, *command],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=os.environ | {"WHYFORMER_LANG": "en"},
        )
        assert process.stdout is not None
        line = process.stdout.readline()
        _, found, rest = line.partition("127.0.0.1:")
        if not found:
            process.kill()
            log.seek(0)
            sys.exit(f"a server does not start: {log.read().strip()[-300:]}")
        server = Process(process, int(rest.partition(";")[0]), languages)
        try:
            yield server
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
