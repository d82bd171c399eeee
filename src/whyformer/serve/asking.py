"""Who asks: a request on its way, until when, and whether anybody still waits for its answer."""

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple


class Entering(NamedTuple):
    """Requests that have been let in, but wait in no queue yet."""

    requests: int = 0
    size: int = 0
    """Bytes of their bodies."""


NOBODY = Entering()
"""No request is on its way."""


@dataclass(eq=False)
class Asking:
    """A request on its way: who asks, until when, and whether anybody still waits."""

    id: str
    """Id of the request, echoed to the client and written to logs."""
    deadline: float | None = None
    """Time (``time.monotonic()``) at which the answer is worth nothing any more."""
    began: float = field(default_factory=time.monotonic)
    """Time at which the request came."""
    size: int = 0
    """Bytes of its body, by which what it costs is foretold; 0 where its head does not say."""
    texts: int | None = None
    """Number of texts that the client has sent, where they are asked for in more pieces."""
    is_settled: bool = field(default=False, init=False)
    """Whether it is in a queue, or will never be in one."""
    when_settled: Callable[[], None] | None = field(default=None, init=False, repr=False)
    """Called as soon as it is settled."""
    _gone: bool = field(default=False, init=False)
    _told: dict[object, Callable[[], None]] = field(
        default_factory=dict[object, Callable[[], None]], init=False, repr=False
    )

    @property
    def gone(self) -> bool:
        """Whether the client has left: work for it is dropped, and a running search of it is stopped."""
        return self._gone

    @gone.setter
    def gone(self, gone: bool) -> None:
        self._gone = gone
        if gone:
            for tell in [*self._told.values()]:
                tell()

    def settle(self) -> None:
        """Say that it is in a queue now, or will never be in one."""
        settled, self.when_settled = self.when_settled, None
        self.is_settled = True
        if settled is not None:
            settled()

    @contextmanager
    def telling(self, leave: Callable[[], None]) -> Generator[None]:
        """Call ``leave`` as soon as the client leaves while the block runs."""
        key = object()
        self._told[key] = leave
        try:
            yield
        finally:
            del self._told[key]
