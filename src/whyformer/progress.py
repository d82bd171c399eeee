"""Progress of work that takes long.

Lower rooms tell how far it is; whoever runs them decides how that is shown.
"""

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import TypeVar

ItemT = TypeVar("ItemT")

Advance = Callable[[int], None]
"""Told how many more are done; 0 only says that work goes on."""
Reporter = Callable[[str, int, str], AbstractContextManager[Advance]]
"""Shows a piece of work for as long as it is open: its name, how many there are, and of what."""


@contextmanager
def _silent(_label: str, _total: int, _unit: str) -> Generator[Advance]:
    yield lambda _: None


_reporter: ContextVar[Reporter] = ContextVar("reporter", default=_silent)


@contextmanager
def reported_by(reporter: Reporter) -> Generator[None]:
    """Have ``reporter`` show all work inside the block; without one, work is silent."""
    token = _reporter.set(reporter)
    try:
        yield
    finally:
        _reporter.reset(token)


def progress(label: str, total: int, unit: str) -> AbstractContextManager[Advance]:
    """A piece of work: open it, and call what it gives with the number of ``unit`` that are newly done."""
    return _reporter.get()(label, total, unit)


def counted(items: Iterable[ItemT], label: str, total: int, unit: str) -> Iterator[ItemT]:
    """The ``items``, each reported as soon as the next is asked for."""
    with progress(label, total, unit) as advance:
        for item in items:
            yield item
            advance(1)
