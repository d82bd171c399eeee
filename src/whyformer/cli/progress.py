"""How work that takes long is shown: a bar on a terminal, now and then a line where there is none."""

import sys
import time
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

from whyformer.cli.console import tell
from whyformer.language import translated
from whyformer.progress import Advance

if TYPE_CHECKING:
    from rich.progress import Progress

# Seconds before the first line, and between two; later a tenth of the time since the start.
PAUSE = 10.0

# The bars on the terminal at the moment: work within work adds a bar to them.
_shown: "list[Progress]" = []


def sentence_bar(label: str, total: int) -> AbstractContextManager[Advance]:
    """Show how many of ``total`` sentences are done, how fast, and how long the rest takes."""
    return progress_bar(label, total, "sentences")


def progress_bar(label: str, total: int, unit: str) -> AbstractContextManager[Advance]:
    """Show how much of ``total`` is done, how fast, and how long the rest takes; a ``Reporter``.

    On a terminal it is a bar, which is gone in the end; elsewhere a line every ten seconds at most.
    """
    if total < 2:
        return _nothing()
    return _bar(label, total, unit) if sys.stderr.isatty() else _lines(label, total, unit)


@contextmanager
def _nothing() -> Generator[Advance]:
    yield lambda _: None


@contextmanager
def _bar(label: str, total: int, unit: str) -> Generator[Advance]:
    with _bars() as bars:
        task = bars.add_task(translated(label), total=total, rate="")
        began = time.perf_counter()

        def advance(done: int) -> None:
            bars.advance(task, done)
            rate = bars.tasks[bars.task_ids.index(task)].completed / (time.perf_counter() - began)
            bars.update(task, rate=f"{rate:,.1f} {translated(unit)}/s")

        try:
            yield advance
        finally:
            # The last bar that is left goes with all of them.
            if len(bars.tasks) > 1:
                bars.remove_task(task)


@contextmanager
def _bars() -> "Generator[Progress]":
    """The bars that are on the terminal already, else new ones."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    if _shown:
        yield _shown[-1]
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        _shown.append(bars)
        try:
            yield bars
        finally:
            _shown.pop()


@contextmanager
def _lines(label: str, total: int, unit: str) -> Generator[Advance]:
    began = last = time.perf_counter()
    completed = 0

    def advance(done: int) -> None:
        nonlocal completed, last
        completed += done
        now = time.perf_counter()
        if now - last < max(PAUSE, (now - began) / 10) or completed >= total:
            return
        last = now
        if completed:
            left = clock((now - began) * (total - completed) / completed)
            tell(f"{label}: {completed:,} of {total:,} {unit}, about {left} left")
        else:
            tell(f"{label}: none of {total:,} {unit} yet, after {clock(now - began)}")

    yield advance


def clock(seconds: float) -> str:
    """A time as clocks show it: minutes and seconds, hours only where there are any."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
