"""Clients as their users have them, against ``whyformer serve`` with a run of each kind."""

import asyncio
import base64
import io
import json
import os
import subprocess
import warnings
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("openai", reason="needs the extra `clients`")
pytest.importorskip("libretranslatepy", reason="needs the extra `clients`")

import openai
from libretranslatepy import LibreTranslateAPI
from openai import OpenAI

import whyformer
from serve.protocols.vosk_server import cut, offline, pcm, sample_client, without_confidence
from servers import Running
from tasks.speech import listeners
from whyformer.errors import WhyformerNote
from whyformer.tasks.causal_lm.generator import Generator
from whyformer.tasks.speech.listener import Listener
from whyformer.tasks.translation.translator import Translator

pytestmark = pytest.mark.slow

SENTENCES = ["0 1 2 3", "4 3 3", "2 0 2 1 4", "1 1"]
SOUND = pcm(listeners.sound(1.7, 3))


@pytest.fixture
def client(whole_service: Running) -> OpenAI:
    return OpenAI(base_url=f"{whole_service.address}/v1", api_key="none", max_retries=0, timeout=120)


@pytest.fixture(scope="module")
def translations(reverse_run: Path) -> list[str]:
    """What the run says without a service."""
    translator = whyformer.load(reverse_run)
    assert isinstance(translator, Translator)
    return [outputs[0].text for outputs in translator.translate(SENTENCES)]


def wav(samples: bytes) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setnchannels(1)
        written.setsampwidth(2)
        written.setframerate(listeners.RATE)
        written.writeframes(samples)
    return file.getvalue()


def curl(*arguments: str) -> str:
    done = subprocess.run(
        ["curl", "-sS", "--fail-with-body", "--max-time", "60", *arguments],
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "LC_ALL": "C.UTF-8"},
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_libretranslatepy(whole_service: Running, translations: list[str]):
    api = LibreTranslateAPI(f"{whole_service.address}/")
    assert [api.translate(text, "auto", "reverse") for text in SENTENCES] == translations
    assert [each["code"] for each in api.languages()] == ["reverse"]


@pytest.mark.parametrize("form", ["json", "form", "multipart"])
def test_curl_as_libretranslates_documentation_has_it(
    whole_service: Running, translations: list[str], form: str
):
    fields = {"q": SENTENCES[0], "source": "auto", "target": "reverse", "format": "text", "api_key": ""}
    match form:
        case "json":
            sent = ["-X", "POST", "-H", "Content-Type: application/json", "-d", json.dumps(fields)]
        case "form":
            sent = [part for name, value in fields.items() for part in ("-d", f"{name}={value}")]
        case _:
            sent = [part for name, value in fields.items() for part in ("-F", f"{name}={value}")]
    told = json.loads(curl(f"{whole_service.address}/translate", *sent))
    assert told["translatedText"] == translations[0]
    assert json.loads(curl(f"{whole_service.address}/health"))["status"] == "ok"
    assert json.loads(curl(f"{whole_service.address}/ready"))["status"] == "ready"
    assert "whyformer_ready 1" in curl(f"{whole_service.address}/metrics")


@pytest.mark.parametrize("ends", ["。", "! ", "\n"])
def test_a_long_paragraph_is_one_text(whole_service: Running, reverse_run: Path, ends: str):
    """It has more sentences than a request may have texts."""
    translator = whyformer.load(reverse_run)
    assert isinstance(translator, Translator)
    sentence = f"0 1{ends}".strip()
    with warnings.catch_warnings():
        # The run has never seen such signs, and says so.
        warnings.simplefilter("ignore", WhyformerNote)
        found = translator.translate([sentence])[0][0].text
    text = f"0 1{ends}" * 400
    sent = json.dumps({"q": text, "source": "auto", "target": "reverse"})
    told = json.loads(curl(f"{whole_service.address}/translate", "--json", sent))
    assert told["translatedText"].split() == found.split() * 400


def test_openais_models(client: OpenAI):
    assert {model.id for model in client.models.list()} == {"reverse", "counting", "filling", "tones"}
    assert client.models.retrieve("reverse").owned_by == "whyformer"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("nobody")


def test_openais_completions_translate(client: OpenAI, translations: list[str]):
    done = client.completions.create(model="reverse", prompt=SENTENCES)
    assert [choice.text for choice in done.choices] == translations


@pytest.mark.parametrize("stop", [None, "five", [" six", "x"], "e f"])
def test_openais_streams_say_the_same_with_stops(client: OpenAI, stop: str | list[str] | None):
    asked: dict[str, Any] = {
        "model": "counting",
        "prompt": "one two",
        "max_tokens": 24,
        "temperature": 0,
        "seed": 1,
    }
    whole = client.completions.create(**asked, stop=stop)
    parts = list(client.completions.create(**asked, stop=stop, stream=True))
    streamed = [part.choices[0] for part in parts if part.choices]
    assert "".join(choice.text for choice in streamed) == whole.choices[0].text
    assert streamed[-1].finish_reason == whole.choices[0].finish_reason
    stops = [stop] if isinstance(stop, str) else stop or []
    assert not any(each in whole.choices[0].text for each in stops)
    free = client.completions.create(**asked).choices[0].text
    places = [free.find(each) for each in stops if each in free]
    assert whole.choices[0].text == free[: min(places, default=None)]


def test_openais_completions_are_those_of_the_run(client: OpenAI, counting_run: Path):
    generator = whyformer.load(counting_run)
    assert isinstance(generator, Generator)
    done = client.completions.create(
        model="counting", prompt="two three", max_tokens=12, temperature=0, echo=True, logprobs=2
    )
    assert done.choices[0].text.startswith("two three four")
    assert done.choices[0].logprobs is not None
    assert "".join(done.choices[0].logprobs.tokens or []).strip() == done.choices[0].text


def test_openais_embeddings_by_default_are_floats_again(client: OpenAI):
    texts = ["one two three", "二三四"]
    given = client.embeddings.create(model="filling", input=texts)
    plain = client.embeddings.create(model="filling", input=texts, encoding_format="float")
    coded = client.embeddings.create(model="filling", input=texts, encoding_format="base64")
    for one, two, three in zip(given.data, plain.data, coded.data, strict=True):
        packed = np.frombuffer(base64.b64decode(str(three.embedding)), "<f4")
        assert one.embedding == pytest.approx(two.embedding)
        assert one.embedding == pytest.approx(packed)


def test_openais_transcriptions_hear_what_the_run_does(client: OpenAI, hearing_run: Path):
    listener = whyformer.load(hearing_run)
    assert isinstance(listener, Listener)
    session = listener.open(listeners.RATE)
    session.feed(np.frombuffer(SOUND, "<i2"))
    session.finish()
    expected = " ".join(word.text for each in session.finals for word in each.words)
    file = ("sound.wav", wav(SOUND))
    heard = client.audio.transcriptions.create(model="tones", file=file)
    assert heard.text == expected
    deltas = client.audio.transcriptions.create(model="tones", file=file, stream=True)
    told = list(deltas)
    assert "".join(each.delta for each in told if each.type == "transcript.text.delta") == expected
    assert told[-1].type == "transcript.text.done"
    assert told[-1].text == expected
    timed = client.audio.transcriptions.create(
        model="tones", file=file, response_format="verbose_json", timestamp_granularities=["word"]
    )
    assert [word.word for word in timed.words or []] == expected.split()


def test_vosks_sample_client(whole_service: Running, hearing_run: Path):
    listener = whyformer.load(hearing_run)
    assert isinstance(listener, Listener)
    address = whole_service.address.replace("http", "ws")
    replies = asyncio.run(sample_client(address, SOUND))
    assert without_confidence(replies) == offline(listener, cut(SOUND, 3200))


def test_openais_errors_are_told_apart(client: OpenAI):
    with pytest.raises(openai.BadRequestError, match="logit_bias"):
        client.completions.create(model="counting", prompt="one", logit_bias={"999999": -100})
    with pytest.raises(openai.NotFoundError):
        client.completions.create(model="tones", prompt="one")
    with pytest.raises(openai.BadRequestError, match="NUL"):
        client.embeddings.create(model="filling", input=["one", "a\0b"])
    with pytest.raises(openai.APIStatusError) as large:
        client.completions.create(model="counting", prompt="one", max_tokens=1_000_000)
    assert large.value.status_code == 413
