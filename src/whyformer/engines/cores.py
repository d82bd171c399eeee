"""Cores of this machine, shared by the threads of a program that search at the same time.

A web handler that calls a translator runs in dozens of threads. Each would ask for all cores, and threads
that wait for one another take many times as long as the work (docs/log.md). So each has its turn: alone it
gets all the threads that it wants, and where others wait, one core.
"""

import os
import threading
from collections import deque
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import nn

from whyformer.engines.threads import set_own_threads
from whyformer.machine import usable_cores

AskedT = TypeVar("AskedT")
ResultT = TypeVar("ResultT")


class Cores:
    """A number of cores, given to threads in the order in which these ask."""

    def __init__(self, count: int) -> None:
        self._count = self._free = count
        self._lock = threading.Lock()
        self._asking = deque[threading.Condition]()
        """A ticket of each thread that waits, in their order."""
        self._own = threading.local()

    @contextmanager
    def turn(self) -> Generator["Turn"]:
        """A turn of this thread, which may call on torch's threads within, as many as there is room for.

        A turn within a turn is the same one.
        """
        if (turn := getattr(self._own, "turn", None)) is not None:
            yield turn
            return
        turn = Turn(self, torch.get_num_threads())
        turn.begin()
        self._own.turn = turn
        try:
            yield turn
        finally:
            self._own.turn = None
            turn.end()

    def take(self, wanted: int) -> int:
        """Wait until some are free, and take as many of them as are ``wanted``; one where others wait."""
        with self._lock:
            ticket = threading.Condition(self._lock)
            self._asking.append(ticket)
            taken = 0
            try:
                _ = ticket.wait_for(lambda: self._asking[0] is ticket and self._free > 0)
                taken = 1 if len(self._asking) > 1 else min(wanted, self._free)
            finally:
                # Ctrl-C ends a wait, too, and nobody shall wait for whoever has gone.
                self._asking.remove(ticket)
                self._free -= taken
                self._wake_first()
        return taken

    def give_back(self, taken: int) -> None:
        """Let others have so many."""
        with self._lock:
            # What was taken before a fork is given back after it, too.
            self._free = min(self._count, self._free + taken)
            self._wake_first()

    def _wake_first(self) -> None:
        """Wake whoever is first, and nobody else, if there is a core; the lock has to be held."""
        if self._asking and self._free > 0:
            self._asking[0].notify()

    def forget(self) -> None:
        """Take all cores for free, as they are in the child of a fork, which has but one thread."""
        self._free = self._count
        self._lock = threading.Lock()
        self._asking.clear()
        self._own = threading.local()


class Turn:
    """Cores that one thread has at the moment."""

    def __init__(self, cores: Cores, wanted: int) -> None:
        self._cores = cores
        self._wanted = wanted
        """Number of torch's threads outside of the turn."""
        self._taken = 0

    def begin(self) -> None:
        """Wait for cores, and let torch compute with as many threads."""
        self._taken = self._cores.take(self._wanted)
        set_own_threads(self._taken, others=self._wanted)

    def end(self) -> None:
        """Give the cores back; torch has its threads again."""
        taken, self._taken = self._taken, 0
        self._cores.give_back(taken)
        set_own_threads(self._wanted, others=self._wanted)

    def pass_on(self) -> None:
        """Let whoever waits go first; long work does so now and then."""
        self.end()
        self.begin()


_CORES = Cores(usable_cores())
_ELSEWHERE = Cores(1 << 30)
"""For models on accelerators, which wait for no core of this machine."""
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_CORES.forget)


def cores_for(device: torch.device) -> Cores:
    """The cores that searches of a model on ``device`` share."""
    return _CORES if device.type == "cpu" else _ELSEWHERE


def cores_of(model: nn.Module) -> Cores:
    """The cores that searches of ``model`` share with others."""
    return cores_for(next(model.parameters()).device)


def in_turns(model: nn.Module, work: Callable[[AskedT], ResultT]) -> Callable[[AskedT], ResultT]:
    """Do the ``work`` of ``model``, such as a batch, each call in a turn of its own."""
    cores = cores_of(model)

    def in_turn(asked: AskedT) -> ResultT:
        with cores.turn():
            return work(asked)

    return in_turn
