"""A bar for work that takes long."""

import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager


@contextmanager
def sentence_bar(label: str, total: int) -> Generator[Callable[[int], None]]:
    """Show on a terminal how many of ``total`` sentences are done, how fast, and how long the rest takes.

    Yields a function to report every few sentences that are done. The bar is gone in the end; in a pipe it
    never comes.
    """
    if total < 2 or not sys.stderr.isatty():
        yield lambda _: None
        return

    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    began = time.perf_counter()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=total, rate="")

        def advance(sentences: int) -> None:
            bar.advance(task, sentences)
            rate = bar.tasks[task].completed / (time.perf_counter() - began)
            bar.update(task, rate=f"{rate:,.1f} sentences/s")

        yield advance
