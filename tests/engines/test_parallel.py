"""Jobs come out in order and all threads come back, however the jobs are run."""

import threading
import time
from collections.abc import Callable
from functools import partial

import pytest
import torch

from whyformer.engines import parallel as parallel
from whyformer.engines.parallel import side_by_side


@pytest.fixture(autouse=True)
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def job(number: int) -> tuple[int, str, int]:
    """Later jobs are done earlier."""
    time.sleep(0.004 if number % 2 else 0.008)
    return number, threading.current_thread().name, torch.get_num_threads()


def jobs(count: int) -> list[Callable[[], tuple[int, str, int]]]:
    return [partial(job, number) for number in range(count)]


@pytest.mark.parametrize("count", [0, 1, 3, 4, 11])
@pytest.mark.parametrize("width", [1, 2, 3, None])
def test_results_come_in_order_and_threads_come_back(count: int, width: int | None):
    found = list(side_by_side(jobs(count), width))
    assert [number for number, _, _ in found] == list(range(count))
    assert torch.get_num_threads() == 2


def test_streams_share_the_threads():
    assert {threads for _, _, threads in side_by_side(jobs(6), 2)} == {1}
    assert {threads for _, _, threads in side_by_side(jobs(6), 1)} == {2}


@pytest.mark.parametrize(("seconds", "width"), [([1.0, 0.5], 2), ([0.5, 1.0], 1)])
def test_the_first_jobs_decide(monkeypatch: pytest.MonkeyPatch, seconds: list[float], width: int):
    clock = iter([0.0, seconds[0], 0.0, seconds[1]])
    monkeypatch.setattr(parallel.time, "perf_counter", lambda: next(clock))
    found = list(side_by_side(jobs(12)))
    assert [threads for _, _, threads in found] == [2, 2, 1, 1] + [1 if width == 2 else 2] * 8


def test_one_that_fails_ends_all_of_them():
    done: list[int] = []

    def fail() -> int:
        raise ValueError("no")

    def count(number: int) -> int:
        time.sleep(0.002)
        done.append(number)
        return number

    work = [partial(count, 0), fail, *(partial(count, number) for number in range(1, 200))]
    with pytest.raises(ValueError, match="no"):
        list(side_by_side(work, 2))
    # At most 4 in 40 runs beside others.
    assert len(done) < 100
    assert torch.get_num_threads() == 2
