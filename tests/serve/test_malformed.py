"""Whatever is sent to the whole service, it is no fault of ours: one sentence, and the next one is served."""

import contextlib
import io
import json
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed, InvalidMessage
from websockets.sync.client import ClientConnection, connect

from servers import Running

PATHS = (
    *("/translate", "/v1/completions", "/v1/embeddings", "/v1/audio/transcriptions"),
    *("/v1/explain", "/v1/fill"),
)
KINDS = (
    *("application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"),
    *("multipart/form-data", "text/plain", "application/json; charset=utf-16", ""),
)
FIELDS = ("q", "source", "target", "model", "prompt", "input", "text", "file", "top", "ids", "stream", "n")
TEXTS = st.sampled_from(("reverse", "counting", "\ud800", "0 1"))
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | TEXTS
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=2)
)
OBJECTS = st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=5), VALUES, max_size=5)
JSON = OBJECTS.map(lambda value: json.dumps(value).encode())
PIECES = (
    *(b"--x", b"\r\n", b"--x--", b"\r\n\r\n", b"0 1", b"\xff", b"=", b"&", b"%ff"),
    *(b'Content-Disposition: form-data; name="q"', b'; filename="a"'),
)
PARTS = st.lists(st.sampled_from(PIECES))
BODIES = st.binary(max_size=60) | JSON | PARTS.map(b"".join) | st.tuples(JSON, st.binary()).map(b"".join)
SLOWEST = 3
"""Seconds of ``--slowest`` of the service."""
PART = "--x\r\nContent-Disposition: form-data; "
MANY = pytest.param(600, marks=pytest.mark.slow)


@pytest.fixture(scope="module")
def client(whole_service: Running) -> Iterator[httpx2.Client]:
    with whole_service.client() as opened:
        yield opened


def lives(service: Running) -> None:
    """Assert that every kind of work is done as ever."""
    with service.client() as client:
        told = client.post("/translate", json={"q": "0 1 2", "source": "auto", "target": "reverse"})
        assert told.status_code == 200, told.text
        told = client.post("/v1/completions", json={"model": "counting", "prompt": "one", "max_tokens": 2})
        assert told.status_code == 200, told.text
        told = client.post("/v1/embeddings", json={"model": "filling", "input": "one"})
        assert told.status_code == 200, told.text
    assert not service.logs("fault")


def refused(answer: httpx2.Response) -> str:
    """The sentence of a refusal, in the shape of its path."""
    error = answer.json()["error"]
    of_openai = answer.request.url.path.startswith(("/v1/c", "/v1/em", "/v1/a"))
    told = error["message"] if of_openai else error
    assert isinstance(told, str)
    assert told.endswith(".")
    assert "\n" not in told
    assert "Traceback" not in told
    return told


@pytest.mark.parametrize("examples", [40, MANY])
def test_no_body_is_a_fault_of_ours(whole_service: Running, client: httpx2.Client, examples: int):
    @settings(max_examples=examples)
    @given(path=st.sampled_from(PATHS), kind=st.sampled_from(KINDS), body=BODIES)
    def send(path: str, kind: str, body: bytes) -> None:
        answer = client.post(path, content=body, headers={"Content-Type": kind} if kind else {})
        if answer.status_code != 200:
            assert 400 <= answer.status_code < 500, answer.text
            refused(answer)

    send()
    lives(whole_service)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("kind", KINDS[:3])
def test_10_mb_of_anything_are_refused_in_one_sentence(client: httpx2.Client, path: str, kind: str):
    large = b"a" * (10 * 2**20)
    bodies = {
        KINDS[0]: b'{"q": "' + large + b'", "model": "reverse", "source": "auto", "target": "reverse"}',
        KINDS[1]: b"q=" + large,
        KINDS[2]: b'--x\r\nContent-Disposition: form-data; name="q"\r\n\r\n' + large + b"\r\n--x--\r\n",
    }
    answer = client.post(path, content=bodies[kind], headers={"Content-Type": kind}, timeout=120)
    assert answer.status_code in (400, 413)
    assert len(refused(answer)) < 1_000


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30, -3e38])
@pytest.mark.parametrize("whole", [True, False])
def test_samples_that_are_no_sound(whole_service: Running, client: httpx2.Client, value: float, whole: bool):
    samples = np.full(8000, value, np.float32) if whole else np.zeros(8000, np.float32)
    samples[4000] = value
    file = io.BytesIO()
    soundfile.write(file, samples, 8000, format="WAV", subtype="FLOAT")
    for form in ("json", "verbose_json", "srt"):
        answer = client.post(
            "/v1/audio/transcriptions",
            data={"model": "tones", "response_format": form},
            files={"file": ("sound.wav", file.getvalue())},
        )
        assert answer.status_code in (200, 400), answer.text
        if answer.status_code == 400:
            assert refused(answer)
    lives(whole_service)


@pytest.mark.parametrize("cut", [0, 4, 12, 40, 44, 45, 500])
def test_files_that_are_cut_off(client: httpx2.Client, cut: int):
    file = io.BytesIO()
    soundfile.write(file, np.zeros(4000, np.float32), 8000, format="WAV")
    answer = client.post(
        "/v1/audio/transcriptions", data={"model": "tones"}, files={"file": ("a.wav", file.getvalue()[:cut])}
    )
    assert answer.status_code == 200 if cut == 500 else answer.status_code == 400, answer.text
    assert cut == 500 or refused(answer)


def opened(address: str) -> ClientConnection:
    """A WebSocket; once more where this client had no turn for as long as the service waits for a head."""
    while True:
        began = time.monotonic()
        try:
            return connect(address, open_timeout=60)
        except InvalidMessage:
            if time.monotonic() - began < SLOWEST:
                raise


@pytest.mark.parametrize("examples", [15, pytest.param(200, marks=pytest.mark.slow)])
def test_no_message_of_a_websocket_is_a_fault_of_ours(whole_service: Running, examples: int):
    address = whole_service.address.replace("http", "ws")
    texts = st.text(max_size=30) | JSON.map(bytes.decode) | st.sampled_from(['{"eof" : 1}', '{"config":{}}'])

    @settings(max_examples=examples)
    @given(messages=st.lists(st.binary(max_size=999) | texts, max_size=4))
    def send(messages: list[bytes | str]) -> None:
        with opened(address) as session, contextlib.suppress(ConnectionClosed):
            for message in messages:
                sound = isinstance(message, bytes)
                session.send(message if sound else message.encode("utf-8", "replace").decode())
            session.send('{"eof" : 1}')
            while True:
                reply = json.loads(session.recv(timeout=60))
                assert set(reply) <= {"text", "partial", "result", "error"}
        assert session.close_code in (1000, 1003, 1007, 1008, 1009), session.close_reason

    send()
    lives(whole_service)


def handles(service: Running) -> int:
    return len([*Path(f"/proc/{service.process.pid}/fd").iterdir()])


def deaf(service: Running) -> socket.socket:
    """A connection whose client takes very little before it takes nothing."""
    opened = socket.socket()
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_048)
    opened.connect(("127.0.0.1", service.port))
    opened.settimeout(0.5)
    return opened


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts handles as Linux tells them")
@pytest.mark.parametrize("kind", ["websocket", "http"])
def test_clients_that_never_read_lose_their_handles(whole_service: Running, kind: str):
    lives(whole_service)
    before = handles(whole_service)
    opened = [deaf(whole_service) for _ in range(4)]
    most = before
    head = f"Host: 127.0.0.1:{whole_service.port}\r\n"
    upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    # A silent message of sound gets a reply, and so does every request for the page's largest file.
    frame = b"\x82\x82" + bytes(4) + struct.pack("<h", 0)
    for each in opened:
        if kind == "websocket":
            each.sendall(f"GET / HTTP/1.1\r\n{head}{upgrade}{key}\r\n".encode())
            time.sleep(0.3)
            sent = frame * 400
        else:
            sent = f"GET /openapi.json HTTP/1.1\r\n{head}\r\n".encode() * 20
        with contextlib.suppress(OSError):
            for _ in range(500):
                each.sendall(sent)
        most = max(most, handles(whole_service))
    assert most > before
    # So long each: a reply that is not taken, the last word, the closing; and a while on a busy machine.
    for _ in range(1200):
        if handles(whole_service) <= before:
            break
        time.sleep(0.1)
    assert handles(whole_service) <= before
    for each in opened:
        each.close()
    lives(whole_service)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "kind", "begun"),
    [
        ("/translate", KINDS[0], "{"),
        ("/translate", KINDS[1], "q=0"),
        ("/v1/completions", KINDS[0], "{"),
        ("/v1/audio/transcriptions", KINDS[2], f'{PART}name="model"\r\n\r\n'),
    ],
)
def test_slow_senders_keep_nobody_waiting(whole_service: Running, path: str, kind: str, begun: str):
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{whole_service.port}\r\n"
    head += f"Content-Type: {kind}\r\nContent-Length: 100000\r\n\r\n"
    opened = [whole_service.connect() for _ in range(40)]
    for each in opened:
        each.sendall((head + begun).encode())
    lives(whole_service)
    told = set[bytes]()
    # Whoever sends on what nobody takes any more may find the connection reset, and what was said lost.
    for each in opened:
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            each.sendall(b" ")
        with contextlib.suppress(ConnectionResetError):
            told.add(each.recv(1_000)[:12])
        each.close()
    assert told == {b"HTTP/1.1 408"}
    lives(whole_service)
