"""Conditions that all experiments are measured under, whatever the machine."""

from collections.abc import Generator
from contextlib import contextmanager

import torch

_SUBNORMAL = 1e-40


@contextmanager
def equal_conditions() -> Generator[None]:
    """One thread, subnormal floats flushed to 0, and a random state that is given back afterwards.

    With one thread numbers do not depend on the cores of a machine, and several seeds can be measured side by
    side. A saturated softmax is full of subnormals, which take the processor many times as long as other
    floats: times would tell of that and not of the formula.
    """
    threads, flushed = torch.get_num_threads(), _flushes()
    with torch.random.fork_rng(devices=[]):
        torch.set_num_threads(1)
        torch.set_flush_denormal(True)
        try:
            yield
        finally:
            torch.set_flush_denormal(flushed)
            torch.set_num_threads(threads)


def _flushes() -> bool:
    """Whether subnormal floats are flushed already, which torch sets but does not tell."""
    return not (torch.full((1,), _SUBNORMAL) * torch.ones(1)).any()
