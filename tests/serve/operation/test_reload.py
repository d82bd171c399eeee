"""Reload: a run that is loaded anew while it is asked; what cannot be loaded stays as it was."""

import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

from servers import Running, Start


def wait_for(what: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not what():
        assert time.monotonic() < until
        time.sleep(0.02)


def weights_of(server: Running) -> str:
    with server.client() as client:
        return client.get("/health").json()["runs"][0]["weights"]


def test_a_run_is_loaded_anew_without_a_dropped_request(start: Start, tmp_path: Path):
    weights = tmp_path / "weights"
    weights.write_text("a" * 64, encoding="utf-8")
    server, over, answers = start("--weights", weights), threading.Event(), list[object]()

    def ask() -> None:
        with server.client() as client:
            while not over.is_set():
                answer = client.post("/tiny/turn", json={"texts": ["ab"]})
                answers.append((answer.status_code, answer.json()["texts"]))

    asking = [threading.Thread(target=ask) for _ in range(3)]
    for thread in asking:
        thread.start()
    try:
        for letter in "bc":
            weights.write_text(letter * 64, encoding="utf-8")
            server.signal(signal.SIGHUP)
            wait_for(lambda hash_=letter * 64: weights_of(server) == hash_)
        seen = len(answers)
        wait_for(lambda: len(answers) > seen)
    finally:
        over.set()
        for thread in asking:
            thread.join()
    assert {*map(repr, answers)} == {repr((200, ["ba"]))}
    assert [each["done"] for each in server.logs("reload")] == [True, True]


def test_a_run_that_cannot_be_loaded_stays(start: Start, tmp_path: Path):
    weights = tmp_path / "weights"
    weights.write_text("a" * 64, encoding="utf-8")
    server = start("--weights", weights)
    weights.unlink()
    server.signal(signal.SIGHUP)
    wait_for(lambda: bool(server.logs("reload")))
    (told,) = server.logs("reload")
    assert (told["done"], told["level"], told["reason"]) == (False, "error", f"{weights} is missing.")
    with server.client() as client:
        assert client.post("/tiny/turn", json={"texts": ["ab"]}).status_code == 200
    assert weights_of(server) == "a" * 64
