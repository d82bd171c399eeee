"""Sums over ranks: the same over a network and in shared memory, which only ranks of one machine get."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from rank_runs import ENVIRONMENT
from whyformer.training.ranks import all_reduce

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds the memory of processes in /proc")

SUMS = """\
import torch

from whyformer.training.ranks import all_reduce
from whyformer.training.ranks.all_reduce import NetworkAllReduce, SharedAllReduce
from whyformer.training.ranks.group import join_ranks


def refuse(length, secret):
    raise OSError


with join_ranks("cpu", timeout=60.0) as group:
    rank, count = group.ranks.rank, group.ranks.count
    for dtype in (torch.float32, torch.float64):
        shared = SharedAllReduce.opened(group, 1000, dtype)
        assert shared is not None
        for way in (shared, NetworkAllReduce(group, dtype, torch.device("cpu"))):
            for size in (1000, 7, 999):
                parts = [torch.full((size,), 2.0**r, dtype=dtype) + torch.arange(size) for r in range(count)]
                numbers = way.room(size)
                numbers.copy_(parts[rank])
                found = way.sum(numbers)
                assert found.dtype == dtype
                assert torch.equal(found, sum(parts))
    if rank == 1:
        all_reduce._new_memory = refuse
    assert SharedAllReduce.opened(group, 10, torch.float32) is None
print("all is well")
"""


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [2, 3])
def test_every_way_gives_the_sum_and_a_rank_without_memory_is_enough_for_none(ranks: int, tmp_path: Path):
    program = tmp_path / "sums.py"
    program.write_text(SUMS, encoding="utf-8")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)]
    ended = subprocess.run(
        [*torchrun, program], env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=120
    )
    assert ended.stdout.count("all is well") == ranks, ended.stderr


@pytest.fixture
def memory() -> Iterator[int]:
    """A descriptor of memory for 16 bytes, whose secret is 5."""
    descriptor = all_reduce._new_memory(16, 5)
    yield descriptor
    os.close(descriptor)


def test_what_one_writes_the_other_reads(memory: int):
    first, second = (all_reduce._mapped(os.getpid(), memory, 5, 16) for _ in range(2))
    assert first is not None
    assert second is not None
    numbers = torch.frombuffer(first, dtype=torch.float32, count=4)
    numbers.fill_(3.0)
    assert torch.frombuffer(second, dtype=torch.float32, count=4).tolist() == [3.0] * 4


@pytest.mark.parametrize(("secret", "length"), [(6, 16), (5, 8), (5, 24)])
def test_memory_of_another_training_is_not_taken(memory: int, secret: int, length: int):
    assert all_reduce._mapped(os.getpid(), memory, secret, length) is None


def test_what_is_no_such_memory_is_not_opened(tmp_path: Path):
    read, write = os.pipe()
    with (tmp_path / "file").open("wb+") as file:
        file.write((5).to_bytes(24, "big"))
        file.flush()
        for descriptor in (read, write, file.fileno(), 10**6, -1):
            assert all_reduce._mapped(os.getpid(), descriptor, 5, 16) is None
    os.close(read)
    os.close(write)
    assert all_reduce._mapped(2**22 + 1, 0, 5, 16) is None  # above the largest number that a process may have
