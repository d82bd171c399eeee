"""The program that translates files, in a process of its own, and the processes that it has started."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

WORKERS = {"processes": "spawn_main", "ray": "MapWorker"}
"""What stands in the command line of a worker."""
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
"""Without compiled modules each process of Ray takes half a minute to start."""


def started(run: Path, pattern: Path, to: Path, by: str, log: Path) -> "subprocess.Popen[bytes]":
    """The program with two workers; what it says goes into ``log``."""
    command = [
        *(sys.executable, "-c", "from whyformer.cli.main import main; main()", "translate", str(run)),
        *("--input", str(pattern), "--to", str(to), "--device", "cpu", "--processes", "2", "--by", by),
    ]
    with log.open("ab") as file:
        return subprocess.Popen(command, stdout=file, stderr=file, stdin=subprocess.DEVNULL, env=ENVIRONMENT)


def descendants(process: int) -> list[int]:
    """All processes that one has started, and those that they have."""
    parents = dict[int, list[int]]()
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents.setdefault(int(fields[1]), []).append(int(folder.name))
    found, rest = list[int](), [process]
    while rest:
        children = parents.get(rest.pop(), [])
        found += children
        rest += children
    return found


def workers(process: int, by: str) -> list[int]:
    """The processes that translate for the one that was started."""
    return [each for each in descendants(process) if WORKERS[by] in _command(each)]


def _command(process: int) -> str:
    try:
        return (Path("/proc") / str(process) / "cmdline").read_text()
    except OSError:
        return ""


def wait_until(holds: Callable[[], bool], process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Wait for something that happens while ``process`` runs; at most ten minutes."""
    for _ in range(12_000):
        if holds():
            return
        assert process.poll() is None, log.read_text()
        time.sleep(0.05)
    raise AssertionError(f"nothing happens: {log.read_text()}")


def kill(process: int) -> None:
    """End a process as a lack of memory would."""
    os.kill(process, signal.SIGKILL)
