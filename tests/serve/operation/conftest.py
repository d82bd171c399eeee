"""A server with a tiny dialect, in a process of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="needs the extra `serve`")
pytest.importorskip("httpx2", reason="needs the extra `clients`")

from servers import Running, Start

PROGRAM = Path(__file__).with_name("tiny.py")


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Starter of servers; those that still run at the end are killed."""
    started = list[Running]()

    def begin(*arguments: object) -> Running:
        errors = tmp_path_factory.mktemp("server") / "errors.txt"
        command = [sys.executable, str(PROGRAM), *map(str, arguments)]
        # Where Python is told to keep nothing, every process would compile torch anew.
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        with errors.open("w", encoding="utf-8") as file:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=file, text=True, env=kept)
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert address, errors.read_text(encoding="utf-8")
        started.append(Running(process, address, errors))
        return started[-1]

    yield begin
    for running in started:
        running.process.kill()
        running.process.wait()
        assert running.process.stdout is not None
        running.process.stdout.close()


@pytest.fixture(scope="module")
def server(start: Start) -> Running:
    """One server for many requests."""
    return start()
