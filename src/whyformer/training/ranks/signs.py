"""Signs of life: where each rank stands, in the store that all of them reach.

A collective that fails says neither who is missing nor since when; what stands in the store does.
"""

import json
import threading
import time
from contextlib import suppress
from datetime import datetime
from itertools import count
from typing import NamedTuple

from whyformer.data.batches.ranks import Ranks
from whyformer.training.ranks.store import TimedStore

_BEAT = 1.0
"""Seconds between two signs of life."""
_LAST_WORDS = 10.0
"""Seconds for each call to the store once a fault is to be told: they pass after the time limit."""


class Sign(NamedTuple):
    """The last that was heard of a rank."""

    number: int
    """Signs that it has given; a process that runs gives more and more."""
    clock: str
    """Time of this one, by the rank's own clock."""
    step: int
    """Step that it has come to."""


class Signs:
    """Signs of life of all ranks; this one's are given by a thread, whatever else it does."""

    def __init__(self, store: TimedStore, ranks: Ranks) -> None:
        self._store = store
        self._ranks = ranks
        self._ended = threading.Event()
        self._is_speaker: bool | None = None
        self._numbers = count(1)
        self.step = 0
        """Step that this rank has come to."""

    def begin(self) -> None:
        """Give signs until ``end``."""
        threading.Thread(target=self._beat, name="signs", daemon=True).start()

    def end(self) -> None:
        """Give no more signs."""
        self._ended.set()

    def come_to(self, step: int) -> None:
        """Tell that this rank has come to ``step``."""
        self.step = step
        # That the store is gone shows where ranks wait for one another; nobody waits for it here.
        with suppress(RuntimeError):
            self._give(_BEAT)

    def last(self, rank: int) -> Sign | None:
        """The last sign of ``rank``; None before its first.

        Raises:
            RuntimeError: the store cannot be reached, because the process that keeps it is gone.
        """
        key = f"sign/{rank}"
        return Sign(*json.loads(self._store.get(key))) if self._store.check(key) else None

    def speaks(self) -> bool:
        """Whether this rank is the one to say why the training ends: the first that asks."""
        if self._is_speaker is None:
            self._is_speaker = True
            self._store.seconds = _LAST_WORDS
            with suppress(RuntimeError):
                self._is_speaker = self._store.add("spoken", 1) == 1
        return self._is_speaker

    def missing(self) -> str:
        """The ranks that do not answer, in words; those that are behind, where all show life."""
        others = [rank for rank in range(self._ranks.count) if rank != self._ranks.rank]
        self._store.seconds = _LAST_WORDS
        try:
            before = {rank: self.last(rank) for rank in others}
            time.sleep(2.5 * _BEAT)
            after = {rank: self.last(rank) for rank in others}
        except RuntimeError:
            # Who keeps the store is out of reach, and nobody can be asked; it is with rank 0.
            self._is_speaker = True
            return "0" if 0 in others else ", ".join(map(str, others))
        gone = [rank for rank in others if before[rank] == after[rank]]
        first = min((sign.step for sign in after.values() if sign is not None), default=0)
        behind = [rank for rank, sign in after.items() if sign is None or sign.step == first]
        return ", ".join(_told(rank, after[rank]) for rank in gone or behind)

    def _beat(self) -> None:
        # The store may be gone before this process is.
        with suppress(RuntimeError):
            while not self._ended.is_set():
                self._give()
                self._ended.wait(_BEAT)

    def _give(self, seconds: float | None = None) -> None:
        sign = Sign(next(self._numbers), f"{datetime.now():%H:%M:%S}", self.step)
        self._store.set(f"sign/{self._ranks.rank}", json.dumps(sign), seconds)


def _told(rank: int, sign: Sign | None) -> str:
    return f"{rank} (never)" if sign is None else f"{rank} (at step {sign.step}, {sign.clock})"
