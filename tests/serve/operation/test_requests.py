"""Requests that are odd, large, slow, or too many, against a process."""

import json
import socket
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from servers import Running


def head(path: str, *lines: str, method: str = "POST") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *lines, "", ""]).encode()


def read_all(connection: socket.socket) -> bytes:
    """What comes until the other side closes."""
    parts = list[bytes]()
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


def test_a_request_is_answered_and_its_id_is_echoed(server: Running):
    with server.client() as client:
        given_id = client.post("/tiny/turn", json={"texts": ["ab"]}, headers={"X-Request-Id": "mine-7"})
        made_id = client.post("/tiny/turn", json={"texts": ["ab"]})
    assert given_id.json() == {"texts": ["ba"], "id": "mine-7"}
    assert given_id.headers["X-Request-Id"] == "mine-7"
    assert made_id.headers["X-Request-Id"] == made_id.json()["id"] != ""


@pytest.mark.parametrize("sent", ["a" * 129, "a b", "é"])
def test_an_id_that_could_forge_a_log_is_replaced(server: Running, sent: str):
    with server.client() as client:
        answer = client.get("/health", headers=[(b"X-Request-Id", sent.encode())])
    assert answer.status_code == 200
    assert answer.headers["X-Request-Id"] != sent
    assert answer.headers["X-Request-Id"].isalnum()


def test_errors_carry_the_id_and_the_shape_of_their_protocol(server: Running):
    with server.client() as client:
        for path, body in [
            ("/tiny/nowhere", None),
            ("/tiny/turn", {"texts": 3}),
            ("/tiny/turn", {"texts": ["a"] * 4}),
        ]:
            answer = client.post(path, json=body, headers={"X-Request-Id": "e-1"})
            assert answer.headers["X-Request-Id"] == "e-1"
            assert set(answer.json()) == {"no", "why"}
            assert 400 <= answer.status_code < 500
        assert set(client.get("/elsewhere").json()) == {"error"}


def test_a_fault_is_one_sentence_to_the_client_and_a_line_without_texts_in_the_log(server: Running):
    with server.client() as client:
        answer = client.get("/tiny/fault", params={"text": "geheim"}, headers={"X-Request-Id": "f-1"})
    assert answer.status_code == 500
    assert answer.json()["why"] == "fault"
    assert "Traceback" not in answer.text
    assert "geheim" not in answer.text
    assert server.log_of("f-1")["status"] == 500
    [fault] = [each for each in server.logs("fault") if each["id"] == "f-1"]
    assert fault["kind"] == "ValueError"
    assert any("tiny.py" in str(place) for place in fault["at"])
    assert "geheim" not in server.errors.read_text()


def test_a_refusal_says_when_to_come_again(server: Running):
    with server.client() as client:
        answer = client.get("/tiny/full")
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "3")


# What JSON can hold and Python cannot write again, and bytes that are none.
BODIES = [
    b'{"texts": ["a"], "number": 1e400}',
    b'{"texts": ["a"], "number": NaN}',
    b'{"texts": ["a"], "number": ' + b"1" * 5_000 + b"}",
    b'{"texts": ["\\ud800"]}',
    b'{"\\ud800": 1e400}',
    b"[" * 50_000,
    b"\xff\xfe\x00",
    b"",
    b"null",
    b'"' + b"a" * 1000,
]


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_bad_bodies_are_refused_in_one_sentence(server: Running, body: bytes):
    with server.client() as client:
        answer = client.post("/tiny/turn", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["no"].endswith(".")
    assert len(answer.json()["no"]) < 600


@settings(max_examples=40)
@given(body=st.binary(max_size=60) | st.text(max_size=30).map(lambda text: json.dumps(text).encode()))
def test_no_bytes_are_a_fault_of_ours(server: Running, body: bytes):
    with server.client() as client:
        answer = client.post("/tiny/turn", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    answer.json()


@pytest.mark.parametrize(
    ("texts", "status"), [(["a"] * 3, 200), (["a"] * 4, 413), (["a" * 50], 200), (["a" * 26] * 2, 413)]
)
def test_texts_are_limited_in_number_and_length(server: Running, texts: list[str], status: int):
    with server.client() as client:
        assert client.post("/tiny/turn", json={"texts": texts}).status_code == status


def test_a_body_that_says_it_is_too_large_is_refused_before_it_is_sent(server: Running):
    with server.connect() as connection:
        connection.sendall(head("/tiny/turn", "Content-Length: 10000000", "Expect: 100-continue"))
        answer = read_all(connection)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"100 Continue" not in answer


def test_a_body_of_10_mb_is_refused_and_its_sender_reads_why(server: Running):
    with server.client() as client:
        answer = client.post("/tiny/turn", content=b"a" * 10_000_000)
        assert answer.status_code == 413
        assert "100,000 bytes" in answer.json()["no"]
        assert client.get("/health").status_code == 200


def test_a_body_in_chunks_without_an_end_is_cut_off(server: Running):
    with server.connect() as connection:
        connection.sendall(head("/tiny/turn", "Transfer-Encoding: chunked", "Content-Type: application/json"))
        sent = 0
        try:
            while sent < 50_000_000:
                connection.sendall(b"10000\r\n" + b"a" * 65536 + b"\r\n")
                sent += 65536
        except OSError:
            pass
        assert sent < 50_000_000
    with server.client() as client:
        assert client.get("/health").status_code == 200


def test_a_body_in_chunks_below_the_limit_is_read(server: Running):
    pieces = iter((b'{"te', b'xts": [', b'"ab"]}'))
    with server.client() as client:
        answer = client.post("/tiny/turn", content=pieces, headers={"Content-Type": "application/json"})
    assert answer.json()["texts"] == ["ba"]


@pytest.mark.parametrize(
    "begun",
    [
        b"POST /tiny/turn HT",
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-A",
        head("/tiny/turn", "Content-Length: 100") + b"{",
        head("/tiny/turn", "Transfer-Encoding: chunked") + b"5\r\n{",
        b"",
    ],
    ids=["line", "head", "body", "chunk", "nothing"],
)
def test_who_sends_too_slowly_is_cut_off_though_never_silent(server: Running, begun: bytes):
    with server.connect() as connection:
        connection.sendall(begun)
        began = time.monotonic()
        with pytest.raises(OSError):  # noqa: PT012 - any of them meets the closed connection
            while time.monotonic() - began < 15:
                time.sleep(0.1)
                connection.sendall(b"a")
    with server.client() as client:
        assert client.get("/health").status_code == 200


def test_a_head_without_an_end_is_cut_off(server: Running):
    with server.connect() as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\n")
        with pytest.raises(OSError):  # noqa: PT012
            for number in range(1_000_000):
                connection.sendall(b"X-%d: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n" % number * 20)


@pytest.mark.parametrize(
    "bytes_sent",
    [
        b"\x00\x01\x02\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        head("/tiny/turn", "Content-Length: x"),
        head("/tiny/turn", "Transfer-Encoding: chunked") + b"zz\r\nabc\r\n",
    ],
)
def test_what_is_no_http_is_refused(server: Running, bytes_sent: bytes):
    with server.connect() as connection:
        connection.sendall(bytes_sent)
        assert b"400" in read_all(connection).partition(b"\r\n")[0]


def test_slow_requests_are_no_slow_senders(server: Running):
    """Only sending is limited in time, and an idle connection may be used again."""
    with server.client() as client:
        assert client.get("/tiny/slow", params={"seconds": 1.5}).status_code == 200
        assert client.get("/health").status_code == 200


def test_work_learns_that_its_client_has_left(server: Running):
    with server.connect() as connection:
        connection.sendall(head("/tiny/wait", "X-Request-Id: left-1", method="GET"))
        time.sleep(0.3)
    assert server.log_of("left-1")["status"] == 499
    with server.client() as client:
        assert "left-1" in client.get("/tiny/gone").json()


def test_a_reader_that_takes_nothing_is_left(server: Running):
    with server.connect() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(head("/tiny/stream?pieces=2000", "X-Request-Id: lazy-1", method="GET"))
        assert server.log_of("lazy-1")["status"] == 499


def test_a_name_that_is_not_ours_is_refused(server: Running):
    with server.client() as client:
        for name in ("evil.example", "127.0.0.1.evil.example", "", "[::1", "localhost.evil.example:80"):
            assert client.get("/health", headers={"Host": name}).status_code in (400, 403), name
        for name in ("localhost", "LOCALHOST:99", "127.0.0.1", "[::1]:8000"):
            assert client.get("/health", headers={"Host": name}).status_code == 200, name


def test_no_page_of_elsewhere_is_let_in(server: Running):
    with server.client() as client:
        answer = client.post("/tiny/turn", json={"texts": []}, headers={"Origin": "https://example.org"})
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_no_address_shows_a_page_that_loads_from_elsewhere(server: Running):
    with server.client() as client:
        assert client.get("/docs").status_code == 404
        assert client.get("/redoc").status_code == 404
        described = client.get("/openapi.json").json()
    responses = described["paths"]["/tiny/turn"]["post"]["responses"]
    assert set(responses) == {"200", "4XX", "5XX"}
    assert responses["4XX"]["content"]["application/json"]["schema"]["$ref"].endswith("/No")


def test_metrics_are_prometheus_and_hold_nothing_of_clients(server: Running):
    with server.client() as client:
        client.post("/tiny/turn", json={"texts": ["abc", "de"]})
        client.get("/tiny/full")
        client.get("/bogus-path", headers={"X-Request-Id": "bogus-id"}, params={"q": "bogus-text"})
        text = client.get("/metrics").text
    assert text.isascii()
    assert "bogus" not in text
    samples = {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }

    def value(name: str, **labels: str) -> float:
        return samples[name, frozenset(labels.items())]

    assert value("whyformer_run", run="tiny", task="translation", weights="ab" * 32) == 1
    assert value("whyformer_ready") == 1
    assert value("whyformer_running") == 0
    assert value("whyformer_tokens_total", run="tiny") >= 5
    assert value("whyformer_texts_total", run="tiny") >= 2
    assert value("whyformer_refused_total", protocol="tiny", reason="overload") >= 1
    assert value("whyformer_requests_total", protocol="tiny", status="2xx") >= 1
    assert value("whyformer_request_seconds_bucket", protocol="tiny", le="+Inf") >= 1
    assert {label for _, labels in samples for label, _ in labels} <= {
        "run",
        "task",
        "weights",
        "protocol",
        "status",
        "reason",
        "le",
    }


def test_logs_say_who_asked_and_not_what(server: Running):
    with server.client() as client:
        client.post(
            "/tiny/turn?q=vertraulich", json={"texts": ["vertraulich"]}, headers={"X-Request-Id": "log-1"}
        )
        client.get("/vertraulich")
    record = server.log_of("log-1")
    assert (record["protocol"], record["route"], record["status"]) == ("tiny", "/tiny/turn", 200)
    assert "vertraulich" not in server.errors.read_text(encoding="utf-8")


def test_health_names_runs_by_their_weights(server: Running):
    with server.client() as client:
        health = client.get("/health").json()
        assert client.get("/ready").json() == {"status": "ready"}
    assert health["status"] == "ok"
    assert health["runs"] == [{"name": "tiny", "task": "translation", "weights": "ab" * 32, "created": 1_000}]
