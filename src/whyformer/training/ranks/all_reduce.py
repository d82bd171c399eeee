"""Sums over ranks of numbers that each has: over the network, or in memory that ranks of one machine share.

R ranks · n numbers
"""

import mmap
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import torch
import torch.distributed as dist
from torch import Tensor

from whyformer.training.ranks.group import RankGroup

_MOST_NEIGHBOURS = 8
"""Ranks that share memory at most: each reads what all have."""
_NAME = "whyformer-ranks"


class AllReduce(Protocol):
    """A way to sum numbers over ranks."""

    def room(self, size: int) -> Tensor:
        """Room (n,) for the ``size`` numbers of this rank."""
        ...

    def sum(self, numbers: Tensor) -> Tensor:
        """The sum of all ranks' ``numbers`` (n,), each in its room; it lasts until the next is asked for."""
        ...


class NetworkAllReduce:
    """Sums by the all-reduce of torch's process group, on whatever machines the ranks are."""

    def __init__(self, group: RankGroup, dtype: torch.dtype, device: torch.device) -> None:
        self._group = group
        self._room = torch.empty(0, dtype=dtype, device=device)

    def room(self, size: int) -> Tensor:
        """Room for numbers; the same each time, as fresh memory costs more than what is copied."""
        if len(self._room) < size:
            self._room = self._room.new_empty(size)
        return self._room[:size]

    def sum(self, numbers: Tensor) -> Tensor:
        """Sum of all ranks' ``numbers``."""
        with self._group.waiting():
            dist.all_reduce(numbers)
        return numbers


class SharedAllReduce:
    """Sums of ranks that see each other's rooms; each adds them up in the order of ranks."""

    def __init__(self, group: RankGroup, rooms: list[Tensor]) -> None:
        self._group = group
        self._rooms = rooms
        self._sum = torch.empty_like(rooms[0])

    @staticmethod
    def opened(group: RankGroup, size: int, dtype: torch.dtype) -> "SharedAllReduce | None":
        """Rooms for ``size`` numbers at most; None if not all ranks see each other's. All ranks call it.

        The memory has no name in any file system: a rank finds that of another by process and descriptor,
        and a number drawn at random tells that it is what it should be. It is gone with its processes.
        """
        if not 1 < group.ranks.count <= _MOST_NEIGHBOURS:
            return None
        length = size * dtype.itemsize
        secret, own = secrets.randbits(62), -1
        with suppress(OSError, AttributeError):
            own = _new_memory(length, secret)
        try:
            told = group.gathered(torch.tensor([os.getpid(), own, secret]))
            places = [place.tolist() for place in told]
            found = [_mapped(process, memory, drawn, length) for process, memory, drawn in places]
            seen = group.gathered(torch.tensor([None not in found]))
        finally:
            if own >= 0:
                os.close(own)
        if not all(seen):
            return None
        rooms = [torch.frombuffer(memory, dtype=dtype, count=size) for memory in found if memory is not None]
        return SharedAllReduce(group, rooms)

    def room(self, size: int) -> Tensor:
        """Room for numbers, which the others see."""
        return self._rooms[self._group.ranks.rank][:size]

    def sum(self, numbers: Tensor) -> Tensor:
        """Sum of all ranks' ``numbers``."""
        first, second, *others = [room[: len(numbers)] for room in self._rooms]
        self._group.meet()
        total = torch.add(first, second, out=self._sum[: len(numbers)])
        for other in others:
            total += other
        # Nobody changes what others still read.
        self._group.meet()
        return total


def _new_memory(length: int, secret: int) -> int:
    """A descriptor of new memory, with ``secret`` behind its ``length``.

    Raises:
        OSError: there is not so much.
        AttributeError: the system is not Linux.
    """
    descriptor = os.memfd_create(_NAME, os.MFD_CLOEXEC)
    try:
        # So that a lack of memory shows here, not in the midst of a step.
        os.posix_fallocate(descriptor, 0, length + 8)
        os.pwrite(descriptor, secret.to_bytes(8, "little"), length)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _mapped(process: int, descriptor: int, secret: int, length: int) -> mmap.mmap | None:
    """The memory of another process, or None if it is not seen here: on another machine it is another's."""
    path = Path(f"/proc/{process}/fd/{descriptor}")
    try:
        # What else there may be under that number may not even be safe to open.
        if not str(path.readlink()).startswith(f"/memfd:{_NAME}"):
            return None
        opened = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        if os.fstat(opened).st_size != length + 8:
            return None
        memory = mmap.mmap(opened, length + 8)
    except OSError:
        return None
    finally:
        os.close(opened)
    return memory if memory[length:] == secret.to_bytes(8, "little") else None
