"""Clients of the Vosk dialect that are too many, too slow, idle or killed, and a service that ends."""

import asyncio
import contextlib
import gc
import json
import socket
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from serve.protocols.vosk_server import (
    Reply,
    Served,
    asked,
    config,
    cut,
    hosted,
    offline,
    pcm,
    refused,
    sample_client,
    served,
    without_confidence,
    words_of,
)
from tasks.speech import listeners
from whyformer.serve.listening.limits import ListeningLimits
from whyformer.tasks.streaming.recognizer import Recognizer, Stream

LISTENER = listeners.listener()
SOUND = pcm(listeners.sound(1.2, 3))
LIMITS = ListeningLimits(sessions=3, message=64_000, unread=20_000)


@pytest.fixture(autouse=True)
def one_thread(the_usual_threads: None) -> None:
    """Small products are slower by several threads, and by far where others run as well."""
    torch.set_num_threads(1)


@pytest.fixture
def server() -> Iterator[Served]:
    with served({"plain": LISTENER}, LIMITS) as running:
        yield running


def heard_by(server: Served) -> bool:
    """Whether a client is served as always."""
    return without_confidence(asyncio.run(sample_client(server.uri, SOUND))) == offline(
        LISTENER, cut(SOUND, 3200)
    )


class Gate:
    """A recogniser that computes only while the gate is open."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.opened, self.reached = threading.Event(), threading.Event()
        advance = Recognizer.advance

        def gated(recognizer: Recognizer, streams: list[Stream]) -> list[Stream]:
            self.reached.set()
            assert self.opened.wait(60)
            return advance(recognizer, streams)

        monkeypatch.setattr(Recognizer, "advance", gated)


def test_places_are_counted_and_freed(server: Served) -> None:
    async def crowd() -> tuple[str, int | None]:
        seated = [await connect(server.uri) for _ in range(3)]
        for websocket in seated:
            await asked(websocket, [SOUND[:3000]])
        late = await connect(server.uri)
        told = await refused(late)
        for websocket in seated:
            await websocket.close()
        return told

    sentence, code = asyncio.run(crowd())
    assert (sentence, code) == ("all 3 places for speech are taken; try again in 5 seconds.", 1013)
    server.wait(lambda: server.hall.clients == 0)
    assert heard_by(server)


@pytest.mark.parametrize("sent", [0, 3, 40])
def test_a_killed_client_frees_its_place(server: Served, sent: int) -> None:
    async def counted(clients: int) -> None:
        # A client may have left before the hall has counted that it came.
        async with asyncio.timeout(30):
            while server.hall.clients != clients:
                await asyncio.sleep(0.01)

    async def killed() -> None:
        for _ in range(4):  # one more than there are places
            websocket = await connect(server.uri)
            await counted(1)
            for _ in range(sent):
                await websocket.send(SOUND[:8000])
            websocket.transport.abort()
            await counted(0)

    asyncio.run(killed())
    server.wait(lambda: server.hall.clients == 0)
    room = server.hall.room(server.runs["plain"])
    server.wait(lambda: room.sessions == 0 and room._thread is None and not len(room._pool))
    assert heard_by(server)


def test_who_sends_nothing_has_to_leave_with_its_result() -> None:
    async def silent(uri: str) -> tuple[Reply, ClientConnection]:
        websocket = await connect(uri)
        await asked(websocket, [SOUND])
        last = json.loads(await websocket.recv())
        await websocket.wait_closed()
        return last, websocket

    with served({"plain": LISTENER}, replace(LIMITS, idle=0.5)) as server:
        last, websocket = asyncio.run(silent(server.uri))
    assert without_confidence([last]) == offline(LISTENER, [SOUND])[-1:]
    assert (websocket.close_code, websocket.close_reason) == (1008, "nothing came for 0.5 seconds")


def test_who_waits_for_a_reply_is_not_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(monkeypatch)

    async def waiting(uri: str) -> list[Reply]:
        async with connect(uri) as websocket:
            await websocket.send(SOUND)
            await asyncio.sleep(0.5)
            gate.opened.set()
            return [json.loads(await websocket.recv()), *await asked(websocket, ['{"eof":1}'])]

    with served({"plain": LISTENER}, replace(LIMITS, idle=0.2)) as server:
        replies = asyncio.run(waiting(server.uri))
    assert without_confidence(replies) == offline(LISTENER, [SOUND])


def test_the_loop_answers_while_a_chunk_is_computed(server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(monkeypatch)

    async def busy() -> list[Reply]:
        async with connect(server.uri) as websocket, connect(server.uri) as other:
            await websocket.send(SOUND)
            assert await asyncio.to_thread(gate.reached.wait, 60)
            with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/ping") as answer:
                assert json.load(answer) == "pong"
            await other.send('{"eof":1}')
            assert json.loads(await other.recv()) == {"text": ""}
            gate.opened.set()
            return [json.loads(await websocket.recv()), *await asked(websocket, ['{"eof":1}'])]

    replies = asyncio.run(busy())
    assert without_confidence(replies) == offline(LISTENER, [SOUND])


def test_no_more_is_read_than_can_wait(server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    gate, piece = Gate(monkeypatch), SOUND[:8000]
    received: list[int] = []
    push = Stream.push

    def counted(stream: Stream, frames: Any) -> None:
        received.append(len(frames))
        push(stream, frames)

    monkeypatch.setattr(Stream, "push", counted)

    async def flood() -> list[Reply]:
        async with connect(server.uri) as websocket:
            await websocket.send(piece)
            assert await asyncio.to_thread(gate.reached.wait, 60)
            # Nobody computes, so the client has to wait at some point, long before all is sent.
            sent = 0
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(3):
                    while sent < 4000:
                        await websocket.send(piece)
                        sent += 1
            assert 0 < sent < 4000
            (live,) = server.hall.room(server.runs["plain"])._sessions
            waiting = sum(utterance.samples.nbytes for utterance in live.said)
            assert waiting <= LIMITS.unread + len(piece)
            assert sum(received) <= 100
            websocket.transport.abort()
            gate.opened.set()
            return []

    asyncio.run(flood())
    server.wait(lambda: server.hall.clients == 0)
    assert heard_by(server)


@pytest.mark.slow
def test_who_takes_no_replies_is_left_and_others_are_served() -> None:
    limits = replace(LIMITS, idle=1.0, unread=2**22)

    async def deaf(server: Served) -> None:
        # A small window: replies fill the buffers of both sides, then nobody takes them.
        with socket.socket() as raw:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            raw.connect(("127.0.0.1", server.port))
            websocket = await connect(server.uri, sock=raw, write_limit=2**20)
            await asked(websocket, [SOUND])
            websocket.transport.pause_reading()
            for number in range(100_000):
                if number == 500:
                    replies = await sample_client(server.uri, SOUND)
                    assert without_confidence(replies) == offline(LISTENER, cut(SOUND, 3200))
                try:
                    async with asyncio.timeout(0.1):
                        await websocket.send(b"")
                except (ConnectionClosed, TimeoutError):
                    pass
                if not server.hall.clients:
                    break
            websocket.transport.abort()

    with served({"plain": LISTENER}, limits) as server:
        asyncio.run(deaf(server))
        server.wait(lambda: server.hall.clients == 0)


def test_a_service_that_ends_gives_results_and_says_so(server: Served) -> None:
    async def told() -> list[tuple[Reply, int | None, str | None]]:
        sockets = [await connect(server.uri) for _ in range(3)]
        await asked(sockets[0], [SOUND])
        await asked(sockets[1], [SOUND[:5000]])
        drained = asyncio.create_task(asyncio.to_thread(lambda: server.within(server.hall.drain(60))))
        found: list[tuple[Reply, int | None, str | None]] = []
        for websocket in sockets:
            reply = json.loads(await websocket.recv())
            await websocket.wait_closed()
            found.append((reply, websocket.close_code, websocket.close_reason))
        assert await drained
        late = await connect(server.uri)
        sentence, code = await refused(late)
        assert (code, "ending" in sentence) == (1012, True)
        return found

    found = asyncio.run(told())
    sounds = [SOUND], [SOUND[:5000]], []
    for (reply, code, reason), pieces in zip(found, sounds, strict=True):
        assert without_confidence([reply]) == offline(LISTENER, pieces)[-1:]
        assert (code, reason) == (1012, "the service is ending; connect again")


def test_an_end_is_not_waited_for_without_limit(server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(monkeypatch)

    async def stuck() -> bool:
        async with connect(server.uri) as websocket:
            await websocket.send(SOUND)
            assert await asyncio.to_thread(gate.reached.wait, 60)
            found = await asyncio.to_thread(lambda: server.within(server.hall.drain(0.1)))
            gate.opened.set()
            return found

    assert asyncio.run(stuck()) is False


def test_a_message_that_is_too_large_is_refused(server: Served) -> None:
    async def large(message: bytes | str) -> tuple[str, int | None]:
        async with connect(server.uri) as websocket:
            await websocket.send(message)
            return await refused(websocket)

    for message in (bytes(64_001), " " * 64_001):
        sentence, code = asyncio.run(large(message))
        assert (sentence, code) == ("a message of 64,001 bytes; send at most 64,000 at once.", 1009)
    assert heard_by(server)


def test_sound_without_end_has_an_end() -> None:
    async def endless(uri: str) -> tuple[list[Reply], int | None, str | None]:
        async with connect(uri) as websocket:
            replies: list[Reply] = []
            with contextlib.suppress(ConnectionClosed):
                while True:
                    replies += await asked(websocket, [SOUND[:6000]])
            return replies, websocket.close_code, websocket.close_reason

    with served({"plain": LISTENER}, replace(LIMITS, seconds=1.0)) as server:
        replies, code, reason = asyncio.run(endless(server.uri))
    assert (code, reason) == (1008, "more than 1 seconds of sound")
    assert sum("text" in reply for reply in replies) == 1


def test_what_grows_with_the_sound_ends_sooner() -> None:
    limits = ListeningLimits()
    bounded, whole, back = (listeners.settings(*each) for each in ((80.0, 2), (None, None), (80.0, None)))
    assert limits.sound(bounded) == limits.seconds
    assert limits.sound(whole) == limits.sound(back) == limits.remembered_seconds


def test_a_failure_is_told_to_all_and_leaves_nobody_stuck(
    server: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def failing(recognizer: Recognizer, streams: list[Stream]) -> list[Stream]:
        raise RuntimeError("secret of the inside")

    async def unlucky() -> list[tuple[str, int | None]]:
        async with connect(server.uri) as one, connect(server.uri) as other:
            await asked(other, [SOUND[:100]])
            monkeypatch.setattr(Recognizer, "advance", failing)
            await one.send(SOUND)
            found = [await refused(one)]
            await other.send(SOUND)
            return [*found, await refused(other)]

    for sentence, code in asyncio.run(unlucky()):
        assert code == 1011
        assert "secret" not in sentence
    assert "secret of the inside" in caplog.text
    monkeypatch.undo()
    assert heard_by(server)


def test_a_run_that_is_loaded_anew_leaves_its_clients_alone(server: Served) -> None:
    other = listeners.listener(seed=11)

    async def across() -> list[Reply]:
        async with connect(server.uri) as websocket:
            replies = await asked(websocket, [SOUND[:6000]])
            server.runs["plain"] = hosted("plain", other)
            fresh = await sample_client(server.uri, SOUND)
            assert without_confidence(fresh) == offline(other, cut(SOUND, 3200))
            return replies + await asked(websocket, [SOUND[6000:], '{"eof":1}'])

    replies = asyncio.run(across())
    assert without_confidence(replies) == offline(LISTENER, [SOUND[:6000], SOUND[6000:]])
    assert words_of(replies) != words_of(offline(other, [SOUND]))


@pytest.mark.slow
def test_memory_and_threads_stay_over_many_sessions() -> None:
    """Of 400 clients some end, some are killed, some reset and send nonsense."""
    limits = replace(LIMITS, sessions=16)

    def memory() -> int:
        gc.collect()
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4096

    def handles() -> int:
        return len([*Path("/proc/self/fd").iterdir()])

    async def client(uri: str, kind: int) -> None:
        websocket = await connect(uri)
        await websocket.send(config(sample_rate=[8000, 16000][kind % 2]))
        await asked(websocket, [SOUND[:6000], b"\x01", '{"reset":1}', SOUND[:4001]])
        if kind % 4 == 0:
            websocket.transport.abort()
        elif kind % 4 == 1:
            await websocket.send("nonsense")
            await refused(websocket)
        else:
            await asked(websocket, ['{"eof":1}'])
            await websocket.wait_closed()

    async def some(uri: str, count: int) -> None:
        for start in range(0, count, 10):
            await asyncio.gather(*(client(uri, start + index) for index in range(10)))

    with served({"plain": LISTENER}, limits) as server:
        # As many as later: two hundred clients of one loop need more at a time than a hundred do.
        asyncio.run(some(server.uri, 200))
        server.wait(lambda: server.hall.clients == 0)
        before, opened, threads = memory(), handles(), threading.active_count()
        asyncio.run(some(server.uri, 200))
        server.wait(lambda: server.hall.clients == 0)
        room = server.hall.room(server.runs["plain"])
        server.wait(lambda: room.sessions == 0)
        assert handles() <= opened + 2
        assert threading.active_count() <= threads + 1
        assert memory() - before < 8 * 2**20
