"""Threads that torch has for the calling thread alone."""

import ctypes
import functools
import threading
from collections.abc import Callable
from pathlib import Path

import torch


def set_own_threads(count: int, others: int) -> None:
    """Let torch compute with ``count`` threads for the calling thread, and with ``others`` for new ones.

    ``torch.set_num_threads`` also sets what a thread gets that begins to use torch, and keeps; to set that
    back takes longer than a short search (docs/log.md). Beneath it OpenMP and MKL have a number a thread.
    """
    # Whoever asks for the number is no new one any more.
    if torch.get_num_threads() == count:
        return
    setters = own_setters()
    for setter in setters:
        setter(count)
    if not setters:
        torch.set_num_threads(count)
        # Set once more, by a thread that computes nothing.
        other = threading.Thread(target=torch.set_num_threads, args=(others,))
        other.start()
        other.join()


@functools.cache
def own_setters() -> tuple[Callable[[int], object], ...]:
    """Functions that set a number for the calling thread; none where torch has others beneath it."""
    names = ["omp_set_num_threads"]
    if torch.backends.mkl.is_available():
        names.append("MKL_Set_Num_Threads_Local")
    try:
        # They keep Python's lock: it would take longer to get it back.
        library = ctypes.PyDLL(str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"))
        return tuple(getattr(library, name) for name in names)
    except (OSError, AttributeError):
        return ()
