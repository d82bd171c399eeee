"""What is measured: arms in processes of their own that take turns.

Every such process imports this file and the script, so what is heavy is imported where it is used.
"""

import multiprocessing
import os
import sys
import time
import traceback
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

Run = Callable[[Any], Any]
"""What an arm does when it is asked."""


class ArmError(Exception):
    """An arm could not be made, or failed."""


@dataclass(frozen=True)
class Start:
    """How an arm begins: ``make(*arguments)`` in a process of its own gives what it does."""

    make: Callable[..., Run]
    arguments: tuple[Any, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    processes: int = 1
    """Several share the items of a request, which then has to be a list."""


class Turn(NamedTuple):
    """One turn of an arm."""

    seconds: float
    """From the question to the last answer."""
    answers: list[Any]
    """One from each process."""


class Arm:
    """Something measured, in processes of its own that wait while another has its turn.

    So no arm sees the threads, the settings or the memory of another.
    """

    def __init__(self, start: Start) -> None:
        context = multiprocessing.get_context("spawn")
        before = dict(os.environ)
        os.environ.update(start.environment)
        self._pipes: list[Connection] = []
        self._processes: list[Any] = []
        for _ in range(start.processes):
            here, there = context.Pipe()
            process = context.Process(target=_serve, args=(there, start.make, start.arguments), daemon=True)
            process.start()
            there.close()
            self._pipes.append(here)
            self._processes.append(process)
        os.environ.clear()
        os.environ.update(before)
        for pipe in self._pipes:
            _answer(pipe)

    def __call__(self, request: Any) -> Turn:
        """Have all processes do ``request``, each its part if there are several."""
        count = len(self._pipes)
        parts = [request] if count == 1 else [request[index::count] for index in range(count)]
        began = time.perf_counter()
        for pipe, part in zip(self._pipes, parts, strict=True):
            pipe.send(part)
        answers = [_answer(pipe) for pipe in self._pipes]
        return Turn(time.perf_counter() - began, answers)

    def end(self) -> None:
        """End its processes."""
        for pipe, process in zip(self._pipes, self._processes, strict=True):
            pipe.close()
            process.join(timeout=5)
            if process.is_alive():
                process.kill()


def _answer(pipe: Connection) -> Any:
    try:
        answer = pipe.recv()
    except EOFError:
        raise ArmError("its process ended, as it does when memory runs out") from None
    if isinstance(answer, ArmError):
        raise answer
    return answer


def _serve(pipe: Connection, make: Callable[..., Run], arguments: tuple[Any, ...]) -> None:
    try:
        run = make(*arguments)
        pipe.send(None)
        while True:
            pipe.send(run(pipe.recv()))
    except EOFError:
        return  # nobody asks any more
    except Exception as error:  # whatever a toolkit raises
        place = traceback.extract_tb(error.__traceback__)[-1]
        said = (str(error).strip().splitlines() or [""])[0]
        pipe.send(ArmError(f"{type(error).__name__}: {said} ({Path(place.filename).name}:{place.lineno})"))


@contextmanager
def started(starts: Mapping[str, Start]) -> Generator[dict[str, Arm]]:
    """The arms that can be made here, until the block ends; what cannot is said."""
    arms: dict[str, Arm] = {}
    try:
        for name, start in starts.items():
            try:
                arms[name] = Arm(start)
            except ArmError as error:
                print(f"{name} is left out: {error}", file=sys.stderr)
        yield arms
    finally:
        for arm in arms.values():
            arm.end()


def alternate(arms: dict[str, Arm], requests: Sequence[Any]) -> dict[str, list[Turn]]:
    """A round for each request: all ``arms`` take turns, and every round another one begins.

    One that fails is taken out of ``arms``, and none of its turns count.
    """
    turns: dict[str, list[Turn]] = {name: [] for name in arms}
    for number, request in enumerate(requests):
        names = [*arms]
        first = number % max(1, len(names))
        for name in names[first:] + names[:first]:
            try:
                turns[name].append(arms[name](request))
            except ArmError as error:
                print(f"{name} has failed: {error}", file=sys.stderr)
                arms.pop(name).end()
    return {name: turns[name] for name in arms}


def memory(key: str) -> float:
    """Memory of this process in MB: ``VmRSS`` = now, ``VmHWM`` = its highest so far (Linux)."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{key}:"))


def forget_peak() -> None:
    """Let the highest memory so far be that of now."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
