"""Measuring of many questions: seeds side by side, each in a fresh process with one thread."""

import os
import signal
import threading
import traceback
import warnings
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, Pipe, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import NamedTuple, cast

from whyformer.errors import WhyformerError
from whyformer.files import write_text
from whyformer.progress import progress
from whyformer.why.question import Experiment, Findings, Question
from whyformer.why.results import Provenance, SeedResult, SeedResults, concluded, measure_seed

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")
# Seconds between two signs of life.
_PULSE = 0.5

Done = Callable[[Question, "Findings | str", int], None]
"""Told of each question when it is finished: its findings, or why there are none, and how many of its seeds
were measured now."""


class _Unit(NamedTuple):
    """A question and a seed."""

    plan: "_Plan"
    seed: int


@dataclass(eq=False)
class _Plan:
    """Seeds of a question: those that are to be measured, and the results of the others."""

    results: SeedResults
    seeds: Sequence[int]
    known: dict[int, SeedResult]
    measured: int = 0
    fault: str | None = None
    waiting: set[int] = field(init=False)

    def __post_init__(self) -> None:
        self.waiting = {seed for seed in self.seeds if seed not in self.known}

    def outcome(self) -> Findings | str:
        """Findings over all seeds, or why there are none."""
        if self.fault is not None:
            return self.fault
        try:
            return concluded(self.results.question, {seed: self.known[seed] for seed in self.seeds})
        except (ArithmeticError, LookupError, ValueError, TypeError) as error:
            return f"its claims cannot be judged by what was measured ({type(error).__name__}: {error})."


def measure_all(
    questions: Sequence[Question],
    folder: Path,
    seeds: int | None = None,
    *,
    jobs: int = 1,
    again: bool = False,
    done: Done = lambda _question, _outcome, _measured: None,
) -> Mapping[int, Findings | str]:
    """Findings of ``questions`` by number, or a sentence on why there are none; what is there is read back.

    Question after question its seeds are measured, ``jobs`` at a time, each in a process of its own, so that
    no number depends on what was measured before it or beside it. One that fails does not stop the others.
    Whoever is killed goes on after the last finished seed; no process outlives this one.

    Args:
        questions: all that shall be answered.
        folder: where results lie, a folder for each question.
        seeds: how many; as many as each question wants if left out.
        jobs: number of processes.
        again: measure anew what is there.
        done: told of each question.
    """
    plans: list[_Plan] = []
    for question in questions:
        results, wanted = SeedResults(question, folder), question.wanted(seeds)
        plans.append(_Plan(results, wanted, {} if again else results.read(wanted)))
    outcomes: dict[int, Findings | str] = {}

    def finish(plan: _Plan) -> None:
        question = plan.results.question
        outcomes[question.number] = plan.outcome()
        done(question, outcomes[question.number], plan.measured)

    for plan in plans:
        if not plan.waiting:
            finish(plan)
    _measure([plan for plan in plans if plan.waiting], jobs, finish)
    return {question.number: outcomes[question.number] for question in questions}


def _measure(plans: Sequence[_Plan], jobs: int, finish: Callable[[_Plan], None]) -> None:
    """Measure the seeds that wait, and ``finish`` each plan with its last one."""
    waiting = deque(_Unit(plan, seed) for plan in plans for seed in sorted(plan.waiting))
    working: dict[Connection, tuple[_Unit, SpawnProcess]] = {}
    try:
        with progress("measuring", len(waiting), "seeds") as advance:
            while waiting or working:
                while waiting and len(working) < jobs:
                    unit = waiting.popleft()
                    if unit.plan.fault is None:
                        connection, process = _start(unit)
                        working[connection] = unit, process
                    else:
                        advance(1)
                for connection in wait([*working], timeout=_PULSE):
                    assert isinstance(connection, Connection)
                    (plan, seed), process = working.pop(connection)
                    _take_in(plan, seed, connection, process)
                    plan.waiting.discard(seed)
                    advance(1)
                    busy = any(unit.plan is plan for unit, _ in working.values())
                    if not busy and (plan.fault is not None or not plan.waiting):
                        finish(plan)
                advance(0)
    finally:
        for _, process in working.values():
            process.terminate()
        for _, process in working.values():
            process.join()


def _start(unit: _Unit) -> tuple[Connection, SpawnProcess]:
    receiving, sending = cast(tuple[Connection, Connection], Pipe(duplex=False))
    results = unit.plan.results
    task = (results.question.experiment, results.provenance, unit.seed, results.path(unit.seed))
    process = get_context("spawn").Process(target=_work, args=(sending, *task))
    with _one_thread():
        process.start()
    # So that the pipe ends when the process does, however that comes about.
    sending.close()
    return receiving, process


@contextmanager
def _one_thread() -> Generator[None]:
    """Have processes that begin inside the block compute with one thread, in all libraries."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _take_in(plan: _Plan, seed: int, connection: Connection, process: SpawnProcess) -> None:
    """Note what a process has measured, or why it has not."""
    log = plan.results.folder / f"seed-{seed}.log"
    try:
        said = connection.recv()
    except EOFError:
        process.join()
        said = f"its process ended with status {process.exitcode}, perhaps because memory ran out."
    connection.close()
    process.join()
    match said:
        case SeedResult() as result:
            plan.known[seed] = result
            plan.measured += 1
        case _Bug(summary, trace):
            with suppress(WhyformerError):
                write_text(log, trace)
            plan.fault = plan.fault or f"seed {seed}: it met a bug ({summary}), whose traceback is in {log}."
        case _:
            plan.fault = plan.fault or f"seed {seed}: {said}"


class _Bug(NamedTuple):
    """An error that is no sentence for users."""

    summary: str
    trace: str


def _work(
    connection: Connection, experiment: Experiment, provenance: Provenance, seed: int, path: Path
) -> None:
    """Measure a seed in this process, and send the result, or what went wrong."""
    # Ctrl-C reaches all; the process that began this one ends it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    warnings.simplefilter("ignore")
    try:
        connection.send(measure_seed(experiment, provenance, seed, path))
    except WhyformerError as error:
        connection.send(str(error))
    except KeyboardInterrupt:
        raise SystemExit(1) from None
    except Exception as error:  # whatever it is, the others go on
        connection.send(_Bug(f"{type(error).__name__}: {error}", traceback.format_exc()))


def _end_with_parent() -> None:
    """End this process when the one that began it has been killed."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
