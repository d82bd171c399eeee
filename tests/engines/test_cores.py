"""Cores are shared by threads in their order: all of them for one alone, one each where others wait."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from engines.torch_threads import seen_by_a_new_thread, torch_threads
from whyformer.engines import cores as shared
from whyformer.engines.cores import Cores, cores_for, in_turns


@pytest.fixture(autouse=True, params=["as here", "where torch has other threads"])
def threads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    """Three threads of torch's for this one, as long as a test takes."""
    if request.param != "as here":
        monkeypatch.setattr("whyformer.engines.threads.own_setters", tuple)
    with torch_threads(3):
        yield


def until(holds: Callable[[], bool]) -> None:
    """Wait for what other threads do."""
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.001)


def waiting(cores: Cores) -> int:
    """Number of threads that wait for ``cores``."""
    return len(cores._asking)


@pytest.mark.parametrize(("count", "had"), [(1, 1), (2, 2), (3, 3), (8, 3)])
def test_one_alone_has_what_it_wants(count: int, had: int):
    cores = Cores(count)
    for _ in range(2):
        with cores.turn() as turn:
            assert torch.get_num_threads() == had
            turn.pass_on()
            assert torch.get_num_threads() == had
        assert torch.get_num_threads() == 3


def test_a_turn_within_a_turn_is_the_same():
    cores = Cores(1)
    with cores.turn() as outer, cores.turn() as inner:
        assert outer is inner
    with cores.turn():
        pass


def test_many_have_a_core_each_and_never_more_than_there_are():
    cores, lock = Cores(3), threading.Lock()
    now, most, shares = 0, 0, list[int]()

    def work(_: int) -> None:
        nonlocal now, most
        torch.set_num_threads(3)
        with cores.turn() as turn:
            for _ in range(3):
                with lock:
                    now += torch.get_num_threads()
                    most = max(most, now)
                    shares.append(torch.get_num_threads())
                time.sleep(0.002)
                with lock:
                    now -= torch.get_num_threads()
                turn.pass_on()
        assert torch.get_num_threads() == 3

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(16)))
    assert len(shares) == 48
    assert most <= 3
    assert shares.count(1) > 24
    with cores.turn():
        assert torch.get_num_threads() == 3


def test_whoever_came_first_goes_first_and_long_work_lets_others_in():
    cores, order = Cores(1), list[str]()

    def ask(name: str) -> threading.Thread:
        def work() -> None:
            with cores.turn():
                order.append(name)

        thread = threading.Thread(target=work)
        before = waiting(cores)
        thread.start()
        until(lambda: waiting(cores) == before + 1)
        return thread

    with cores.turn() as turn:
        others = [ask(name) for name in "abc"]
        order.append("long, begun")
        turn.pass_on()
        order.append("long, ended")
    for other in others:
        other.join()
    assert order == ["long, begun", "a", "b", "c", "long, ended"]


def test_a_share_is_of_one_thread_alone():
    cores = Cores(2)
    assert seen_by_a_new_thread() == 3
    with cores.turn():
        assert torch.get_num_threads() == 2
        assert seen_by_a_new_thread() == 3
    assert seen_by_a_new_thread() == 3
    assert torch.get_num_threads() == 3


def test_an_error_gives_the_cores_back():
    cores = Cores(2)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), cores.turn():
            raise ZeroDivisionError
        assert torch.get_num_threads() == 3
    with cores.turn():
        assert torch.get_num_threads() == 2


def test_nobody_waits_for_whoever_was_interrupted(monkeypatch: pytest.MonkeyPatch):
    cores = Cores(1)
    with cores.turn(), ThreadPoolExecutor(1) as pool:

        def interrupted(_: object) -> bool:
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(threading.Condition, "wait_for", lambda _, ready: interrupted(ready))
            with pytest.raises(KeyboardInterrupt):
                pool.submit(lambda: cores.take(1)).result()
        assert waiting(cores) == 0
    with cores.turn():
        pass


def test_who_is_not_first_sleeps_on(monkeypatch: pytest.MonkeyPatch):
    cores, looks, wait_for = Cores(2), list[bool](), threading.Condition.wait_for

    def watched(condition: threading.Condition, ready: Callable[[], bool]) -> bool:
        def look() -> bool:
            looks.append(ready())
            return looks[-1]

        return wait_for(condition, look)

    monkeypatch.setattr(threading.Condition, "wait_for", watched)

    def work(_: int) -> None:
        taken = cores.take(1)
        time.sleep(0.001)
        cores.give_back(taken)

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(work, range(60)))
    assert looks.count(True) == 60
    # One look before it sleeps, and one when it is its turn.
    assert looks.count(False) <= 60


def test_work_in_turns_has_a_turn_of_its_own_each_time(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shared, "_CORES", cores := Cores(2))
    work = in_turns(torch.nn.Linear(1, 1), lambda asked: (asked, torch.get_num_threads()))
    assert [work(1), work(2)] == [(1, 2), (2, 2)]
    assert cores._free == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_the_child_of_a_fork_waits_for_no_thread_of_its_parent():
    # Of threads of the parent only the one that forks is in the child: here once one in a turn, once another.
    script = """
import os, threading, torch
from whyformer.engines.cores import cores_for
cores = cores_for(torch.device("cpu"))
held, over = threading.Event(), threading.Event()

def hold():
    with cores.turn():
        held.set()
        over.wait()

def child():
    with cores.turn():
        pass
    os._exit(0)

other = threading.Thread(target=hold)
other.start()
held.wait()
if (process := os.fork()) == 0:
    child()
print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))
over.set()
other.join()
process = 0
with cores.turn() as turn:
    turn.pass_on()
    process = os.fork()
if process == 0:
    child()
print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))
"""
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert ran.stdout == "0\n0\n"


def test_a_model_on_an_accelerator_waits_for_no_core():
    here, elsewhere = (cores_for(torch.device(name)) for name in ("cpu", "cuda"))
    with here.turn():
        before = torch.get_num_threads()
        with elsewhere.turn():
            assert torch.get_num_threads() == before
