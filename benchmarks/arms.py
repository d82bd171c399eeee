"""What is measured: arms in processes of their own that take turns.

Every such process imports this file and the script, so what is heavy is imported where it is used.
"""

import multiprocessing
import os
import signal
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


class Arms(dict[str, Arm]):
    """Those that can be measured, by name."""

    def __init__(self) -> None:
        super().__init__()
        self.left_out: dict[str, str] = {}
        """Those that could not be made, have failed or do other work, and why."""
        self.cut_short: str | None = None
        """Why fewer rounds were taken than were asked for."""

    def leave_out(self, name: str, reason: str) -> None:
        """Measure one no more."""
        print(f"{name} is left out: {reason}", file=sys.stderr, flush=True)
        self.left_out[name] = reason
        if name in self:
            self.pop(name).end()

    def told(self) -> dict[str, str]:
        """What a table has to say of those that are not in it."""
        about: dict[str, str] = {}
        if self.left_out:
            about["left out"] = "; ".join(f"{name}: {reason}" for name, reason in self.left_out.items())
        if self.cut_short:
            about["cut short"] = self.cut_short
        return about


def _answer(pipe: Connection) -> Any:
    try:
        answer = pipe.recv()
    except EOFError:
        raise ArmError("its process ended, as it does when memory runs out") from None
    if isinstance(answer, ArmError):
        raise answer
    return answer


def _serve(pipe: Connection, make: Callable[..., Run], arguments: tuple[Any, ...]) -> None:
    # Ctrl-C goes to all processes of a terminal; only the one that asks is to decide what follows.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
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
def started(starts: Mapping[str, Start]) -> Generator[Arms]:
    """The arms that can be made here, until the block ends; what cannot is said."""
    arms = Arms()
    try:
        for name, start in starts.items():
            try:
                arms[name] = Arm(start)
            except ArmError as error:
                arms.leave_out(name, str(error))
        yield arms
    finally:
        for arm in arms.values():
            arm.end()


def alternate(
    arms: Arms,
    requests: Sequence[Any],
    *,
    until: float | None = None,
    told: Callable[[dict[str, list[Turn]]], None] | None = None,
) -> dict[str, list[Turn]]:
    """A round for each request: all ``arms`` take turns, and every round another one begins.

    One that fails is taken out of ``arms``, and none of its turns count. After the first round none begins
    that would likely end later than ``until`` (of ``time.perf_counter``), nor any after Ctrl-C; then
    ``cut_short`` of ``arms`` says so. ``told`` hears of all turns so far after each round.
    """
    turns: dict[str, list[Turn]] = {name: [] for name in arms}
    rounds, began = 0, time.perf_counter()
    try:
        for number, request in enumerate(requests):
            now = time.perf_counter()
            if until is not None and number and now + (now - began) / number > until:
                arms.cut_short = f"time was up after {number} of {len(requests)} rounds"
                break
            names = [*arms]
            first = number % max(1, len(names))
            for name in names[first:] + names[:first]:
                try:
                    turns[name].append(arms[name](request))
                except ArmError as error:
                    arms.leave_out(name, str(error))
            rounds += 1
            if told is not None:
                told({name: [*turns[name]] for name in arms})
    except KeyboardInterrupt:
        if not rounds:
            raise
        arms.cut_short = f"interrupted after {rounds} of {len(requests)} rounds"
    return {name: turns[name][:rounds] for name in arms}


def memory(key: str) -> float:
    """Memory of this process in MB: ``VmRSS`` = now, ``VmHWM`` = its highest so far (Linux)."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{key}:"))


def forget_peak() -> None:
    """Let the highest memory so far be that of now."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
