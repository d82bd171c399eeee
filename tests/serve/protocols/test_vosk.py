"""Vosk's clients, unmodified, against a real server: they hear what the offline listener does."""

import asyncio
import contextlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

import whyformer
from serve.protocols.vosk_server import (
    Reply,
    Served,
    asked,
    close_to,
    config,
    cut,
    offline,
    pcm,
    refused,
    sample_client,
    served,
    without_confidence,
    words_of,
)
from tasks.speech import listeners
from whyformer.decoding.ctc.endpoint import EndpointRule, EndpointSpec
from whyformer.runs.train import start_run
from whyformer.tasks.speech.listener import Listener

RATE = listeners.RATE
ENDPOINTS = EndpointSpec(rules=(EndpointRule(utterance=0.5), EndpointRule(silence=0.2, text=True)))
PLAIN = listeners.listener()
PARTED = listeners.listener(seed=4)
PARTED.settings = replace(PARTED.settings, endpoint=ENDPOINTS)
SOUND = pcm(listeners.sound(1.7, 3))


@pytest.fixture(autouse=True)
def one_thread(the_usual_threads: None) -> None:
    """Small products are slower by several threads, and by far where others run as well."""
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with served({"plain": PLAIN, "parted": PARTED}) as running:
        yield running


def path(name: str) -> str:
    return f"/vosk/{name}"


@pytest.mark.parametrize(("address", "listener"), [("", PLAIN), ("/vosk", PLAIN), (path("parted"), PARTED)])
def test_the_public_sample_gets_a_reply_for_each_message(
    server: Served, address: str, listener: Listener
) -> None:
    replies = asyncio.run(sample_client(server.uri + address, SOUND))
    assert without_confidence(replies) == offline(listener, cut(SOUND, 3200))
    assert len(words_of(replies)) > 2
    assert all("text" in reply or "partial" in reply for reply in replies)
    # Endpoints give results on the way, and without them there is one in the end.
    assert sum("text" in reply for reply in replies) == 1 or listener is PARTED


@pytest.mark.parametrize("listener", ["plain", "parted"])
@pytest.mark.parametrize("seed", range(6))
def test_pieces_of_any_number_of_bytes_give_the_same_words(server: Served, listener: str, seed: int) -> None:
    random = np.random.default_rng(seed)

    async def pieces() -> list[Reply]:
        async with connect(server.uri + path(listener)) as websocket:
            start, replies = 0, list[Reply]()
            while start < len(SOUND):
                size = int(random.integers(0, 9 if seed == 0 and start < 900 else 7000))
                replies += await asked(websocket, [SOUND[start : start + size]])
                start += size
            return replies + await asked(websocket, ['{"eof":1}'])

    offline_words = words_of(offline({"plain": PLAIN, "parted": PARTED}[listener], [SOUND]))
    assert words_of(asyncio.run(pieces())) == offline_words
    assert offline_words


def test_who_does_not_wait_for_replies_gets_them_in_order(server: Served) -> None:
    async def hasty() -> list[Reply]:
        async with connect(server.uri + path("parted")) as websocket:
            for piece in cut(SOUND, 320):
                await websocket.send(piece)
            await websocket.send('{"eof":1}')
            return [json.loads(reply) async for reply in websocket]

    replies = asyncio.run(hasty())
    assert without_confidence(replies) == offline(PARTED, cut(SOUND, 320))


@pytest.mark.parametrize("eof", ['{"eof":1}', '{"eof" : 1}', ' { "eof"\n: 1 } ', '{"eof": true}'])
@pytest.mark.parametrize("sound", [b"", SOUND[:1], SOUND[:700], SOUND[:9000]])
def test_the_end_is_understood_in_any_spacing(server: Served, eof: str, sound: bytes) -> None:
    async def ended() -> list[Reply]:
        async with connect(server.uri) as websocket:
            replies = await asked(websocket, [sound, eof])
            await websocket.wait_closed()
            assert websocket.close_code == 1000
            return replies

    assert without_confidence(asyncio.run(ended())) == offline(PLAIN, [sound[: len(sound) // 2 * 2]])


def test_an_end_before_any_sound_is_an_empty_result(server: Served) -> None:
    async def ended(*messages: str) -> str:
        async with connect(server.uri) as websocket:
            for message in messages:
                await websocket.send(message)
            return str(await websocket.recv())

    assert json.loads(asyncio.run(ended('{"eof" : 1}'))) == {"text": ""}
    assert asyncio.run(ended(config(words=False), '{"eof" : 1}')) == '{\n  "text" : ""\n}'


def test_a_reset_gives_the_result_and_times_go_on(server: Served) -> None:
    first, second = SOUND[:17_001], SOUND[17_001:]

    async def parts() -> list[Reply]:
        async with connect(server.uri) as websocket:
            return await asked(websocket, [first, '{"reset" : 1}', second, '{"reset":1}', '{"eof":1}'])

    replies = asyncio.run(parts())
    # The half sample before a reset is lost with its other half.
    expected = offline(PLAIN, [first[:-1]]) + offline(PLAIN, [second[:-1]], offset=8500 / RATE)
    assert without_confidence(replies) == [*expected, {"text": ""}]
    assert words_of(replies[2:])[0][1] >= 8500 / RATE


def test_words_and_alternatives_take_the_forms_that_are_asked_for(server: Served) -> None:
    async def form(**settings: object) -> Reply:
        async with connect(server.uri) as websocket:
            await websocket.send(config(**settings))
            return (await asked(websocket, [SOUND, '{"eof":1}']))[-1]

    full, text, several = (
        asyncio.run(form(**each)) for each in ({}, {"words": False}, {"max_alternatives": 3})
    )
    assert text == {"text": full["text"]}
    assert set(full["result"][0]) == {"conf", "start", "end", "word"}
    (reading,) = several["alternatives"]
    assert reading["text"] == full["text"]
    assert reading["result"] == without_confidence([full])[0]["result"]
    assert reading["confidence"] < 0


@pytest.mark.parametrize("rate", [16_000, 22_050, 44_100, 48_000, 192_000])
def test_sound_may_come_at_the_rate_of_a_browser(server: Served, rate: int) -> None:
    replies = asyncio.run(sample_client(server.uri, SOUND, rate))
    assert without_confidence(replies) == offline(PLAIN, cut(SOUND, 2 * int(rate * 0.2)), rate)


def test_the_rate_may_change_behind_a_reset(server: Served) -> None:
    async def rates() -> list[Reply]:
        async with connect(server.uri) as websocket:
            replies = await asked(websocket, [SOUND, '{"reset":1}'])
            await websocket.send(config(sample_rate="16000", model="parted"))
            return replies + await asked(websocket, [SOUND, '{"eof":1}'])

    replies = without_confidence(asyncio.run(rates()))
    again = offline(PARTED, [SOUND], 16_000, offset=len(SOUND) / 2 / RATE)
    assert replies == offline(PLAIN, [SOUND]) + again


def test_sessions_at_once_hear_what_each_hears_alone(server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    sounds = [pcm(listeners.sound(0.7 + 0.2 * (seed % 9), seed)) for seed in range(14)]
    room, rows = server.hall.room(server.runs["parted"]), set[int]()
    advance = room._pool.recognizer.advance

    def counted(streams: list[object]) -> object:
        rows.add(len(streams))
        return advance(streams)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(room._pool.recognizer, "advance", counted)

    async def crowd() -> list[list[Reply]]:
        clients = (sample_client(server.uri + path("parted"), sound) for sound in sounds)
        return await asyncio.gather(*clients)

    everybody = asyncio.run(crowd())
    for sound, replies in zip(sounds, everybody, strict=True):
        assert without_confidence(replies) == offline(PARTED, cut(sound, 3200))
    for sound, replies in [*zip(sounds, everybody, strict=True)][:4]:
        close_to(replies, asyncio.run(sample_client(server.uri + path("parted"), sound)))
    assert max(rows) > 1


REFUSED_RATES = [0, -8000, 1e9, 7999, 192_001, "fast", None, True, [], 8000.5, float("nan"), "", 10**400]


@pytest.mark.parametrize("rate", REFUSED_RATES, ids=lambda rate: str(rate)[:9])
def test_a_wrong_rate_is_refused_in_a_sentence(server: Served, rate: object) -> None:
    async def wrong() -> tuple[str, int | None]:
        async with connect(server.uri) as websocket:
            await websocket.send(config(sample_rate=rate))
            return await refused(websocket)

    sentence, code = asyncio.run(wrong())
    assert code == 1008
    assert sentence.startswith("sample_rate is ")
    assert sentence.endswith("; send a whole number of Hz from 8,000 to 192,000.")
    assert len(sentence) < 120


REFUSED = [
    ("hello", 1003, "a text message is"),
    ("", 1003, "a text message is"),
    ("[" * 100_000, 1003, "a text message is"),
    ("{}", 1003, "a text message is"),
    ('["config"]', 1003, "a text message is"),
    ('{"eof": 0}', 1003, "a text message is"),
    ('{"config": 5}', 1008, "config is no object"),
    (config(phrase_list=["one", "two"]), 1008, "phrase_list is not supported"),
    (config(max_alternatives=-1), 1008, "max_alternatives is -1"),
    (config(max_alternatives="many"), 1008, 'max_alternatives is "many"'),
    (config(model="other"), 1008, "'other'"),
    (config(model=["plain"]), 1008, 'model is ["plain"]'),
]


@pytest.mark.parametrize(("message", "code", "said"), REFUSED, ids=lambda each: str(each)[:20])
def test_what_means_nothing_is_refused_in_a_sentence(
    server: Served, message: str, code: int, said: str
) -> None:
    async def wrong() -> tuple[str, int | None]:
        async with connect(server.uri) as websocket:
            await asked(websocket, [SOUND[:2000], '{"reset":1}'])
            await websocket.send(message)
            return await refused(websocket)

    sentence, closed = asyncio.run(wrong())
    assert closed == code
    assert said in sentence
    assert "\n" not in sentence
    server.wait(lambda: server.hall.clients == 0)


def test_messages_at_random_end_in_a_reply_or_a_sentence(server: Served) -> None:
    random = np.random.default_rng(5)
    texts = [
        '{"reset":1}',
        config(words=0),
        config(sample_rate=16000),
        "{",
        "\x00",
        '{"eof":1}',
        config(a=[{}]),
    ]

    def message() -> bytes | str:
        if random.random() < 0.6:
            return random.bytes(int(random.integers(0, 3000)))
        return texts[int(random.integers(len(texts)))]

    async def fuzz() -> None:
        async with connect(server.uri) as websocket:
            with contextlib.suppress(ConnectionClosed):
                for _ in range(12):
                    await websocket.send(message())
                await websocket.send('{"eof":1}')
            replies = list[Reply]()
            with contextlib.suppress(ConnectionClosed):
                while True:
                    replies.append(json.loads(await websocket.recv()))
            assert {key for reply in replies for key in reply} <= {"partial", "text", "result", "error"}
            assert websocket.close_code in (1000, 1003, 1008)
            assert (websocket.close_code == 1000) == ("error" not in replies[-1])

    for _ in range(25):
        asyncio.run(fuzz())
    server.wait(lambda: server.hall.clients == 0)
    assert words_of(asyncio.run(sample_client(server.uri, SOUND)))


def test_the_rate_of_a_running_session_stays(server: Served) -> None:
    async def changed() -> tuple[str, int | None]:
        async with connect(server.uri) as websocket:
            await asked(websocket, [SOUND[:2000]])
            await websocket.send(config(words=False, sample_rate=8000))  # the same
            await asked(websocket, [SOUND[:2000]])
            await websocket.send(config(sample_rate=16_000))
            return await refused(websocket)

    sentence, code = asyncio.run(changed())
    assert code == 1008
    assert "after a reset" in sentence


def test_keys_that_nobody_knows_and_empty_phrases_mean_nothing(server: Served) -> None:
    async def odd() -> list[Reply]:
        async with connect(server.uri) as websocket:
            await websocket.send(config(sample_rate=8000.0, phrase_list=[], tone="high", grammar=5))
            return await asked(websocket, [SOUND, '{"eof":1}'])

    assert without_confidence(asyncio.run(odd())) == offline(PLAIN, [SOUND])


def test_a_run_that_is_not_there_is_refused(server: Served) -> None:
    async def nobody() -> tuple[str, int | None]:
        async with connect(server.uri + path("nobody")) as websocket:
            return await refused(websocket)

    sentence, code = asyncio.run(nobody())
    assert code == 1008
    assert "'nobody'" in sentence


@pytest.mark.slow
def test_a_trained_run_is_heard_as_its_folder_hears(tmp_path: Path) -> None:
    few = ["training.epochs=null", "training.steps=1", "data.train=8", "data.valid=2", "data.test=2"]
    start_run("tones", few, tmp_path / "run", device="cpu", overwrite=False, say=lambda _: None).train()
    weights = load_file(tmp_path / "run" / "model.safetensors")
    weights["emit.weight"] *= 30
    with safe_open(tmp_path / "run" / "model.safetensors", framework="pt") as file:
        metadata = file.metadata()
    save_file(weights, tmp_path / "run" / "model.safetensors", metadata)
    run = whyformer.load(tmp_path / "run")
    assert isinstance(run, Listener)
    with served({"tones": run}) as server:
        replies = asyncio.run(sample_client(server.uri, SOUND))
    assert without_confidence(replies) == offline(run, cut(SOUND, 3200))
    assert words_of(replies)
