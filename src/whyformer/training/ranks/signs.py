"""Signs of life: where each rank stands, in the store that all of them reach.

A collective that fails says neither who is missing nor since when; what stands in the store does.
"""

import json
import threading
import time
from contextlib import suppress
from datetime import datetime
from typing import NamedTuple

from torch.distributed import PrefixStore  # pyright: ignore[reportPrivateImportUsage]

from whyformer.data.batches.ranks import Ranks

_BEAT = 1.0
"""Seconds between two signs of life."""


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

    def __init__(self, store: PrefixStore, ranks: Ranks) -> None:
        self._store = store
        self._ranks = ranks
        self._ended = threading.Event()
        self._is_speaker: bool | None = None
        self._lock = threading.Lock()
        self._number = 0
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
        # That the store is gone shows where ranks wait for one another.
        with suppress(RuntimeError):
            self._give()

    def last(self, rank: int) -> Sign | None:
        """The last sign of ``rank``; None before its first.

        Raises:
            RuntimeError: the store cannot be reached, because the process that keeps it is gone.
        """
        key = f"sign/{rank}"
        return Sign(*json.loads(self._store.get(key))) if self._store.check([key]) else None

    def speaks(self) -> bool:
        """Whether this rank is the one to say why the training ends: the first that asks."""
        if self._is_speaker is None:
            self._is_speaker = True
            with suppress(RuntimeError):
                self._is_speaker = self._store.add("spoken", 1) == 1
        return self._is_speaker

    def missing(self) -> str:
        """The ranks that do not answer, in words; those that are behind, where all show life.

        Raises:
            RuntimeError: the store cannot be reached.
        """
        others = [rank for rank in range(self._ranks.count) if rank != self._ranks.rank]
        before = {rank: self.last(rank) for rank in others}
        time.sleep(2.5 * _BEAT)
        after = {rank: self.last(rank) for rank in others}
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

    def _give(self) -> None:
        with self._lock:
            self._number += 1
            sign = Sign(self._number, f"{datetime.now():%H:%M:%S}", self.step)
            self._store.set(f"sign/{self._ranks.rank}", json.dumps(sign))


def _told(rank: int, sign: Sign | None) -> str:
    return f"{rank} (never)" if sign is None else f"{rank} (at step {sign.step}, {sign.clock})"
