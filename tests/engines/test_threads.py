"""Threads of one thread alone are those that OpenMP and MKL will take, and no other thread's change."""

import ctypes
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from engines.torch_threads import seen_by_a_new_thread, torch_threads
from whyformer.engines import threads
from whyformer.engines.threads import own_setters, set_own_threads


@pytest.fixture(autouse=True)
def three() -> Generator[None]:
    with torch_threads(3):
        yield


@pytest.mark.parametrize("portable", [False, True])
def test_they_are_of_one_thread_alone(portable: bool, monkeypatch: pytest.MonkeyPatch):
    if portable:
        monkeypatch.setattr(threads, "own_setters", tuple)
    for count in (1, 2, 1, 3):
        set_own_threads(count, others=3)
        assert torch.get_num_threads() == count
        assert seen_by_a_new_thread() == 3


def test_a_thread_that_begins_with_them_keeps_them():
    def work() -> list[int]:
        seen = list[int]()
        for count in (1, 2):
            set_own_threads(count, others=3)
            # Whatever torch does at a thread's beginning is done now.
            _ = torch.ones(600, 600) @ torch.ones(600, 600)
            seen.append(torch.get_num_threads())
        return seen

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(work).result() == [1, 2]
    assert torch.get_num_threads() == 3


@pytest.mark.skipif(len(own_setters()) < 2, reason="torch has no MKL here")
def test_mkl_takes_as_many():
    library = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"))
    for count in (1, 2, 3):
        set_own_threads(count, others=3)
        assert library.MKL_Get_Max_Threads() == count
