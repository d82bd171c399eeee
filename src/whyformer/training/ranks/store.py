"""The store that all ranks reach, asked with a time limit: who words a fault waits for nobody who is lost."""

import threading
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import TypeVar

from torch.distributed import PrefixStore  # pyright: ignore[reportPrivateImportUsage]

Result = TypeVar("Result")


class TimedStore:
    """A client of the store that gives up on a call which is not answered.

    Calls are made one after another by a thread of its own, which stays behind where one never ends.
    """

    def __init__(self, store: PrefixStore, seconds: float) -> None:
        self._store = store
        self._calls = SimpleQueue[Callable[[], None]]()
        self.seconds = seconds
        """Time limit of a call."""
        threading.Thread(target=self._work, name="store", daemon=True).start()

    def check(self, key: str) -> bool:
        """Whether there is a value under ``key``.

        Raises:
            RuntimeError: the store has not answered in time, or is gone; so of all calls.
        """
        return self._answer(lambda: self._store.check([key]))

    def get(self, key: str) -> bytes:
        """The value under ``key``, which is there."""
        return self._answer(lambda: self._store.get(key))

    def set(self, key: str, value: str, seconds: float | None = None) -> None:
        """Put ``value`` under ``key``, within ``seconds`` if they are told."""
        self._answer(lambda: self._store.set(key, value), seconds)

    def add(self, key: str, number: int) -> int:
        """The number under ``key``, after ``number`` was added to it."""
        return self._answer(lambda: self._store.add(key, number))

    def _answer(self, call: Callable[[], Result], seconds: float | None = None) -> Result:
        answers = SimpleQueue[Sequence[Result] | RuntimeError]()

        def answer() -> None:
            try:
                answers.put([call()])
            except RuntimeError as error:
                answers.put(error)

        self._calls.put(answer)
        limit = self.seconds if seconds is None else seconds
        try:
            found = answers.get(timeout=limit)
        except Empty:
            raise RuntimeError(f"the store has not answered for {limit:g} seconds") from None
        if isinstance(found, RuntimeError):
            raise found
        return found[0]

    def _work(self) -> None:
        while True:
            self._calls.get()()
