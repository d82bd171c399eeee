"""Where tensors lie, as far as the code computes otherwise there."""

from collections.abc import Generator
from contextlib import contextmanager

from torch import Tensor

_elsewhere = False


def on_cpu(x: Tensor) -> bool:
    """Whether ``x`` is computed in the ways of a CPU, and not in those of an accelerator."""
    return x.device.type == "cpu" and not _elsewhere


@contextmanager
def as_on_accelerator() -> Generator[None]:
    """Have a CPU's tensors computed in the ways of an accelerator within, for a look at what these take."""
    global _elsewhere
    before, _elsewhere = _elsewhere, True
    try:
        yield
    finally:
        _elsewhere = before
