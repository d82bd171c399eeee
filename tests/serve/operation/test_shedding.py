"""Requests that a full service refuses at their heads: nothing crosses, nothing is taken for another."""

import json
import signal
import socket
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from servers import Running, Start


@contextmanager
def full(server: Running) -> Generator[None]:
    """The server without room for any work."""
    with server.client() as client:
        client.get("/tiny/fill", params={"full": True}).raise_for_status()
        try:
            yield
        finally:
            client.get("/tiny/fill", params={"full": False}).raise_for_status()


def post(request: str, body: bytes, *lines: str) -> bytes:
    head = [
        "POST /tiny/turn HTTP/1.1",
        "Host: localhost",
        "Content-Type: application/json",
        f"X-Request-Id: {request}",
        *(lines or [f"Content-Length: {len(body)}"]),
    ]
    return "\r\n".join([*head, "", ""]).encode() + body


def get(request: str, path: str = "/ready") -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: {request}\r\n\r\n".encode()


def turn(text: str) -> bytes:
    return json.dumps({"texts": [text]}).encode()


class Answers:
    """Answers as they come on a connection."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._read = b""

    def next(self) -> tuple[int, dict[str, str], bytes]:
        while b"\r\n\r\n" not in self._read:
            self._more()
        head, _, self._read = self._read.partition(b"\r\n\r\n")
        status, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        length = int(headers["content-length"])
        while len(self._read) < length:
            self._more()
        body, self._read = self._read[:length], self._read[length:]
        return int(status.split()[1]), headers, body

    def ends(self) -> bool:
        """Whether nothing more comes."""
        return not self._read and not self._connection.recv(1)

    def _more(self) -> None:
        data = self._connection.recv(65536)
        assert data, self._read
        self._read += data


def counted(server: Running, name: str, **labels: str) -> float:
    with server.client() as client:
        families = text_string_to_metric_families(client.get("/metrics").text)
        samples = [each for family in families for each in family.samples]
    return sum(each.value for each in samples if each.name == name and each.labels == labels)


# Bodies that look like requests, or like nothing.
_BODIES = st.sampled_from([b"", b"{", get("wrong"), post("wrong", turn("x")), b"\0" * 40]) | st.text(
    max_size=20
).map(turn)


@settings(max_examples=25, deadline=None)
@given(data=st.data(), bodies=st.lists(st.none() | _BODIES, min_size=1, max_size=6))
def test_refused_bodies_never_desynchronise(server: Running, data: st.DataObject, bodies: list[bytes | None]):
    """Whatever pieces requests come in, each has the answer of its own id, in their order."""
    sent = b"".join(
        get(f"id-{number}") if body is None else post(f"id-{number}", body)
        for number, body in enumerate(bodies)
    )
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=5)))
    with server.connect() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        answers = Answers(connection)
        with full(server):
            for begin, end in zip([0, *cuts], [*cuts, len(sent)], strict=True):
                connection.sendall(sent[begin:end])
            for number, body in enumerate(bodies):
                status, headers, said = answers.next()
                assert headers["x-request-id"] == f"id-{number}"
                assert status == (200 if body is None else 429)
                if body is not None:
                    assert headers["retry-after"] == "3"
                    assert json.loads(said) == {"no": "too much.", "why": "overload"}
        connection.sendall(post("last", turn("abc")))
        status, headers, said = answers.next()
    assert (status, headers["x-request-id"]) == (200, "last")
    assert json.loads(said)["texts"] == ["cba"]


@pytest.mark.parametrize(
    ("lines", "body"),
    [
        (["Transfer-Encoding: chunked"], b"2\r\n{}\r\n0\r\n\r\n"),
        (["Content-Length: 2", "Expect: 100-continue"], b""),
        (["Content-Length: 90000"], b" " * 90_000),
        (["Content-Length: 2", "Connection: close"], b"{}"),
    ],
    ids=["chunked", "expect", "large", "last"],
)
def test_connections_that_cannot_stay_end_with_the_refusal(server: Running, lines: list[str], body: bytes):
    with full(server), server.connect() as connection:
        connection.sendall(post("odd", body, *lines))
        answers = Answers(connection)
        status, headers, _ = answers.next()
        assert (status, headers["x-request-id"], headers["connection"]) == (429, "odd", "close")
        assert answers.ends()


def test_a_slow_body_is_waited_for_and_one_without_an_end_is_cut_off(server: Running):
    with full(server), server.connect() as connection:
        answers = Answers(connection)
        for request in ("slow-1", "slow-2"):
            sent = post(request, turn("abc"))
            for begin in range(0, len(sent), len(sent) // 4):
                connection.sendall(sent[begin : begin + len(sent) // 4])
                time.sleep(0.05)
            status, headers, _ = answers.next()
            assert (status, headers["x-request-id"]) == (429, request)
        connection.sendall(post("never", b"{", "Content-Length: 50"))
        status, headers, _ = answers.next()
        assert (status, headers["x-request-id"], headers["connection"]) == (429, "never", "close")
        assert answers.ends()


def test_an_answer_that_is_under_way_comes_before_a_refusal(server: Running):
    with server.connect() as connection:
        connection.sendall(get("first", "/tiny/slow?seconds=0.5"))
        time.sleep(0.1)
        with full(server):
            connection.sendall(post("second", turn("a")))
            answers = Answers(connection)
            assert [answers.next()[1]["x-request-id"] for _ in range(2)] == ["first", "second"]


def test_who_reads_no_refusals_gets_no_endless_store_of_them(server: Running):
    """A client that only writes is stopped by its own unread answers."""
    with full(server), server.connect() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(1.0)
        sent = 0
        with pytest.raises(OSError):  # noqa: PT012 - it waits, or is cut off
            while sent < 200_000_000:
                connection.sendall(post("greedy", b"{}") * 500)
                sent += 1
    with server.client() as client:
        assert client.get("/health").status_code == 200


def test_refusals_are_counted_and_logged_together(server: Running):
    labels = {"protocol": "tiny", "reason": "overload"}
    before = counted(server, "whyformer_refused_total", **labels)
    answered = counted(server, "whyformer_requests_total", protocol="tiny", status="4xx")
    told = sum(each["requests"] for each in server.logs("refused"))
    with full(server), server.client() as client:
        for number in range(40):
            refused = client.post(
                "/tiny/turn", json={"texts": ["a"]}, headers={"X-Request-Id": f"many-{number}"}
            )
            assert refused.status_code == 429
    assert counted(server, "whyformer_refused_total", **labels) == before + 40
    assert counted(server, "whyformer_requests_total", protocol="tiny", status="4xx") == answered + 40
    until = time.monotonic() + 20
    while sum(each["requests"] for each in server.logs("refused")) < told + 40:
        assert time.monotonic() < until
        time.sleep(0.05)
    assert not any(each["id"].startswith("many-") for each in server.logs("request"))
    assert {(each["protocol"], each["refused"]) for each in server.logs("refused")} == {("tiny", "overload")}


def test_only_who_may_ask_hears_that_it_is_full(start: Start, tmp_path: Path):
    keys = tmp_path / "keys.txt"
    keys.write_text("k" * 20 + "\n", encoding="utf-8")
    server = start("--keys", keys)
    held = {"Authorization": "Bearer " + "k" * 20}
    with server.client() as client:
        client.get("/tiny/fill", params={"full": True}, headers=held).raise_for_status()
        for headers, status in (({}, 401), ({"Authorization": "Bearer x"}, 401), (held, 429)):
            answer = client.post("/tiny/turn", json={"texts": ["a"]}, headers=headers)
            assert answer.status_code == status
        foreign = client.post("/tiny/turn", json={"texts": ["a"]}, headers=held | {"Host": "evil.example"})
        assert foreign.status_code == 403
        # A router that looks for keys itself does so in the body, which a full service does not read.
        assert client.post("/asks/turn", json={"texts": ["a"]}).status_code == 429
        assert client.post("/nowhere", json={"texts": ["a"]}).status_code == 404


def test_an_ending_service_still_says_its_refusals(start: Start):
    server = start()
    with server.client() as client, server.connect() as connection:
        client.get("/tiny/fill", params={"full": True}).raise_for_status()
        connection.sendall(post("ending", b"{", "Content-Length: 2"))
        time.sleep(0.3)
        server.signal(signal.SIGTERM)
        answers = Answers(connection)
        status, headers, _ = answers.next()
        assert (status, headers["x-request-id"]) == (429, "ending")
        assert answers.ends()
    assert server.process.wait(timeout=30) == 0
    assert sum(each["requests"] for each in server.logs("refused")) == 1
