"""A server with a tiny dialect, in a process of its own."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="needs the extra `serve`")
pytest.importorskip("httpx2", reason="needs the extra `clients`")

from servers import Running, Start, starting

PROGRAM = Path(__file__).with_name("tiny.py")


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Starter of servers; those that still run at the end are killed."""
    with starting(tmp_path_factory.mktemp) as start:
        yield lambda *arguments: start([sys.executable, str(PROGRAM), *map(str, arguments)], "")


@pytest.fixture(scope="module")
def server(start: Start) -> Running:
    """One server for many requests."""
    return start()
