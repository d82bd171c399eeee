"""The end of a service: what runs is finished, what comes is sent on, and it takes no longer than it may."""

import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from servers import Running, Start

pytestmark = pytest.mark.slow


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as made:
        yield made


def ask(running: Running, path: str) -> httpx2.Response:
    return httpx2.get(running.address + path, timeout=60)


def begin(pool: ThreadPoolExecutor, running: Running, path: str) -> Future[httpx2.Response]:
    """Ask, and return once the server is busy with it."""
    before = busy(running)
    asked = pool.submit(ask, running, path)
    while busy(running) == before:
        time.sleep(0.02)
    return asked


def busy(running: Running) -> float:
    lines = ask(running, "/metrics").text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("whyformer_running "))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_running_request_is_answered_and_a_new_one_sent_on(
    start: Start, pool: ThreadPoolExecutor, number: signal.Signals
):
    running = start("--grace", 20)
    asked = begin(pool, running, "/tiny/slow?seconds=3")
    streamed = begin(pool, running, "/tiny/stream?pieces=30&pause=0.1")
    running.signal(number)
    while (ready := ask(running, "/ready")).status_code == 200:
        time.sleep(0.01)
    refused = ask(running, "/tiny/slow?seconds=0")
    assert ready.status_code == refused.status_code == 503
    assert int(ready.headers["Retry-After"]) == int(refused.headers["Retry-After"]) > 0
    assert refused.json()["why"] == "draining"
    assert ask(running, "/health").json()["status"] == "ok"
    assert asked.result().json()["texts"] == ["slow"]
    assert streamed.result().text.split() == [str(each) for each in range(30)]
    assert running.process.wait(20) == 0
    assert [record["whole"] for record in running.logs("drained")] == [True]


def test_an_idle_service_ends_at_once_though_connections_are_open(start: Start):
    running = start("--grace", 60)
    with running.client() as client:
        client.get("/health")
        running.signal(signal.SIGTERM)
        began = time.monotonic()
        assert running.process.wait(30) == 0
        assert time.monotonic() - began < 30


@pytest.mark.parametrize("path", ["/tiny/slow?seconds=600", "/tiny/blocked?seconds=600"])
def test_the_end_is_bounded_and_who_waits_still_hears_why(start: Start, pool: ThreadPoolExecutor, path: str):
    running = start("--grace", 0.5)
    asked = begin(pool, running, path)
    running.signal(signal.SIGTERM)
    answer = asked.result()
    assert (answer.status_code, answer.json()["why"]) == (503, "draining")
    assert running.process.wait(20) == 0
    assert [record["whole"] for record in running.logs("drained")] == [False]


def test_ctrl_c_twice_ends_at_once(start: Start, pool: ThreadPoolExecutor):
    running = start("--grace", 600)
    asked = begin(pool, running, "/tiny/blocked?seconds=600")
    running.signal(signal.SIGINT)
    while ask(running, "/ready").status_code == 200:
        time.sleep(0.01)
    running.signal(signal.SIGINT)
    assert running.process.wait(20) == 130
    with pytest.raises(httpx2.HTTPError):
        asked.result()


def test_a_session_has_its_last_word_and_is_told(start: Start):
    running = start("--grace", 10)
    with connect(running.address.replace("http", "ws") + "/tiny/session") as socket:
        socket.send("ab")
        assert socket.recv() == "ba"
        running.signal(signal.SIGTERM)
        assert socket.recv() == "the last"
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012
    assert running.process.wait(20) == 0


def test_sessions_are_limited_refused_by_http_and_ended_by_faults(start: Start):
    running = start()
    address = running.address.replace("http", "ws") + "/tiny/session"
    with connect(address), connect(address):
        with pytest.raises(InvalidStatus) as refused:
            connect(address)
        assert refused.value.response.status_code == 429
        assert "Retry-After" in refused.value.response.headers
    for word, code in (("fault", 1011), ("refuse", 1008)):
        while True:  # until the places of those who left are free
            try:
                socket = connect(address)
                break
            except InvalidStatus:
                time.sleep(0.05)
        with socket:
            socket.send(word)
            with pytest.raises(ConnectionClosed) as closed:
                socket.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == code
            assert "secret" not in closed.value.rcvd.reason
    with pytest.raises(InvalidStatus) as foreign:
        connect(address, origin="https://evil.example")  # pyright: ignore[reportArgumentType]
    assert foreign.value.response.status_code == 403


def test_nothing_of_a_killed_service_is_left(start: Start, pool: ThreadPoolExecutor):
    """A client of a killed server has an error and no half of an answer, and its port is free at once."""
    running = start()
    asked = begin(pool, running, "/tiny/stream?pieces=1000&pause=0.05")
    running.signal(signal.SIGKILL)
    with pytest.raises(httpx2.HTTPError):
        asked.result()
    assert running.process.wait() == -signal.SIGKILL


def test_connections_and_memory_do_not_pile_up(start: Start):
    running = start()

    def files() -> int:
        return len([*Path(f"/proc/{running.process.pid}/fd").iterdir()])

    def leave() -> None:
        for _ in range(40):
            with running.connect() as connection:
                connection.sendall(b"GET /tiny/wait HTTP/1.1\r\nHost: localhost\r\n\r\n")

    ask(running, "/health")
    before = files()
    threads = [threading.Thread(target=leave) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for _ in range(300):
        if files() <= before and busy(running) == 0:
            break
        time.sleep(0.05)
    assert files() <= before + 1
    assert busy(running) == 0
