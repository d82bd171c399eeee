"""Report of a training: to the terminal, to metrics.jsonl, to TensorBoard, to curves.png."""

import sys
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text
from typing_extensions import override

from whyformer.errors import TrainingError
from whyformer.language import current_language, padded, translated
from whyformer.plots.panels import Curves
from whyformer.progress import Advance, reported_by
from whyformer.training.storage.events import Events
from whyformer.training.storage.run import RunFolder

_NO_FIGURES = ("step", "event", "epoch")
_FAULTS = ("impossible",)
"""Figures that are worth telling where they are not 0."""
_REDRAW = 60.0
"""Seconds between two pictures of a running training: one takes half a second."""


class _TimeLeft(TimeRemainingColumn):
    """The time left, which is never more than ``bound`` seconds."""

    def __init__(self, bound: Callable[[], float | None]) -> None:
        super().__init__()
        self._bound_of = bound

    @override
    def render(self, task: Task) -> Text:
        bound = self._bound_of()
        remaining = task.time_remaining
        if bound is None or task.finished or (remaining is not None and remaining <= bound):
            return super().render(task)
        return Text(str(timedelta(seconds=round(bound))), style="progress.remaining")


class SilentReport:
    """Report of a rank that only computes: another one tells."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def say(self, line: str) -> None:
        """Take a line that another tells."""

    def entry(self, record: Mapping[str, Any]) -> None:
        """Take an entry that another logs."""


class Report:
    """Passes every log entry and validation on.

    On a terminal a bar shows loss, tokens per second and the time left; piped, plain lines come instead.
    """

    def __init__(
        self,
        run: RunFolder,
        total_steps: int | None,
        step: int,
        curves: Curves,
        seconds: float | None = None,
    ) -> None:
        self.run = run
        self._curves = curves
        self.console = Console(stderr=True, markup=False, emoji=False, highlight=False, soft_wrap=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeElapsedColumn(),
            _TimeLeft(lambda: self._bound),
            console=self.console,
            # Ten minutes, so that a validation does not upset the time left.
            speed_estimate_period=600.0,
            refresh_per_second=2.0,
            disable=not sys.stderr.isatty() or self.console.is_dumb_terminal,
        )
        self._task: TaskID = self._bar.add_task(
            translated("training"), total=total_steps, completed=step, figures=""
        )
        self._below = ExitStack()
        self._total = total_steps
        self._first = step
        self._began = time.monotonic()
        self._seconds = seconds
        self._events = Events(run.tensorboard, step)
        self._drawn = time.monotonic()

    def __enter__(self) -> Self:
        self._bar.start()
        if not self._bar.disable:
            # A validation's progress stands below the training's.
            self._below.enter_context(reported_by(self._shown_below))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._below.close()
        self._bar.stop()
        self._events.close()
        # A full disk or a bug is reported at once; a training that ended or was stopped is worth a picture.
        if error is None or isinstance(error, TrainingError):
            self._draw()

    @contextmanager
    def _shown_below(self, label: str, total: int, unit: str) -> Generator[Advance]:
        task = self._bar.add_task(translated(label), total=total, figures=f"{total:,} {translated(unit)}")
        try:
            yield lambda done: self._bar.advance(task, done)
        finally:
            self._bar.remove_task(task)

    def say(self, line: str) -> None:
        """A line for the reader, above the bar."""
        self.console.print(translated(line))

    def entry(self, record: Mapping[str, Any]) -> None:
        """A log entry; its ``event`` is "train", "valid" or "average"."""
        self.run.log(record)
        event, step = record["event"], int(record["step"])
        figures = {name: float(value) for name, value in record.items() if name not in _NO_FIGURES}
        self._events.scalars({f"{event}/{name}": value for name, value in figures.items()}, step)
        if event == "train":
            short = f"loss {figures['loss']:.3f}  {figures['tokens_per_second']:,.0f} {self._curves.per}s/s"
            self._bar.update(self._task, completed=step, figures=short)
        if event != "train" or self._bar.disable:
            shown = [f"{name} {value:.4g}" for name, value in figures.items() if value or name not in _FAULTS]
            place = f"step {step}/{self._total}" if self._total else f"step {step}"
            # The figures go by the names that they have in the records, where a token is any unit of losses.
            head = [padded(translated(event), 7), translated(place)]
            self.console.print("  ".join([*head, *shown, *map(translated, self._time_left(step))]))
        if time.monotonic() - self._drawn > _REDRAW:
            self._draw()

    def _time_left(self, step: int) -> list[str]:
        """How long the rest takes, at the rate since the start; nothing where that cannot be told."""
        bounds = [] if self._bound is None else [self._bound]
        if self._total is not None and self._first < step < self._total:
            took = time.monotonic() - self._began
            bounds.append(took / (step - self._first) * (self._total - step))
        ends = self._total is not None and step >= self._total
        return [f"time_left {timedelta(seconds=round(min(bounds)))}"] if bounds and not ends else []

    @property
    def _bound(self) -> float | None:
        """Seconds that are left of those that the training may take."""
        return None if self._seconds is None else max(0.0, self._seconds - (time.monotonic() - self._began))

    def _draw(self) -> None:
        """Bring curves.png up to date."""
        # Altair takes a second to import.
        from whyformer.plots.curves import save_curves

        save_curves(self.run.records(), self._curves, self.run.curves, current_language())
        self._drawn = time.monotonic()
