"""Transcriptions by the unmodified client, of files as they come: whole, truncated, damaged, too large."""

import io
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("openai", reason="the extra clients is not installed")
pytest.importorskip("soundfile", reason="the extra audio is not installed")

import openai
import soundfile
from openai import OpenAI

from serve.protocols.openai_server import LiveService, client, hosted, post, serving
from tasks.speech import listeners
from whyformer.decoding.ctc.endpoint import EndpointSpec
from whyformer.tasks.speech.listener import Listener
from whyformer.tasks.streaming.transcript import joined_transcripts

pytestmark = pytest.mark.filterwarnings("ignore::whyformer.errors.WhyformerNote")
RATE = listeners.RATE


@pytest.fixture(scope="module")
def listener() -> Listener:
    heard = listeners.listener()
    heard.settings = listeners.settings(endpoint=EndpointSpec())
    return heard


@pytest.fixture(scope="module")
def port(listener: Listener) -> Iterator[int]:
    with serving(LiveService([hosted("tones", "speech", listener)])) as port:
        yield port


@pytest.fixture(scope="module")
def api(port: int) -> Iterator[OpenAI]:
    with client(port) as api:
        yield api


def file(samples: Any, form: str = "WAV", subtype: str | None = None) -> bytes:
    written = io.BytesIO()
    soundfile.write(written, samples, RATE, format=form, subtype=subtype)
    return written.getvalue()


SOUND = listeners.sound(3.3)


@pytest.mark.parametrize("form", ["WAV", "FLAC", "OGG", "MP3"])
def test_a_file_is_what_the_listener_hears(
    api: OpenAI, listener: Listener, form: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("sound") / "sound"
    path.write_bytes(file(SOUND, form))
    expected = listener.transcribe([path])[0]
    assert len(expected.words) > 2
    answer = api.audio.transcriptions.create(model="tones", file=("a.bin", path.read_bytes()))
    assert answer.text == expected.text
    events = [*api.audio.transcriptions.create(model="tones", file=path, stream=True)]
    deltas = [event.delta for event in events if event.type == "transcript.text.delta"]
    assert len(deltas) == len(expected.words)
    assert "".join(deltas) == expected.text
    assert events[-1].type == "transcript.text.done"
    assert events[-1].text == expected.text


def test_times_are_those_of_the_words(api: OpenAI, listener: Listener) -> None:
    session = listener.open(RATE)
    _ = session.feed(SOUND)
    _ = session.finish()
    words = joined_transcripts(session.finals).words
    answer = api.audio.transcriptions.create(
        model="tones",
        file=("a.wav", file(SOUND, "FLAC")),
        response_format="verbose_json",
        timestamp_granularities=["word", "segment"],
        language="en",
        temperature=0,
    )
    assert answer.duration == pytest.approx(3.3)
    assert answer.words is not None
    assert answer.segments is not None
    assert [each.word for each in answer.words] == [each.text for each in words]
    assert [each.start for each in answer.words] == pytest.approx([each.start for each in words])
    assert " ".join(each.text for each in answer.segments) == answer.text
    usual = api.audio.transcriptions.create(
        model="tones", file=("a.wav", file(SOUND)), response_format="verbose_json"
    )
    assert usual.words is None
    assert usual.segments is not None


def test_subtitles_and_plain_text(api: OpenAI) -> None:
    sound = ("a.flac", file(SOUND, "FLAC"))
    text = api.audio.transcriptions.create(model="tones", file=sound, response_format="text").strip()
    srt = api.audio.transcriptions.create(model="tones", file=sound, response_format="srt")
    vtt = api.audio.transcriptions.create(model="tones", file=sound, response_format="vtt")
    assert srt.startswith("1\n00:00:0")
    assert vtt.startswith("WEBVTT\n\n00:00:0")
    for shown in (srt, vtt):
        spoken = [line for line in shown.splitlines() if line[:1].isalpha() and "WEBVTT" not in line]
        assert " ".join(spoken) == text


@pytest.mark.parametrize("form", ["WAV", "FLAC", "AIFF", "AU", "MP3"])
def test_a_truncated_file_is_heard_as_far_as_it_goes_and_says_so(api: OpenAI, form: str) -> None:
    body = file(SOUND, form)
    answer = api.audio.transcriptions.create(model="tones", file=("a", body[: len(body) * 2 // 3]))
    (note,) = answer.model_dump()["notes"]
    assert "truncated" in note
    whole = api.audio.transcriptions.create(model="tones", file=("a", body))
    assert whole.model_dump()["notes"] == []


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "no sound file"),
        (b"RIFF", "no sound file"),
        (b"hello " * 50, "no sound file"),
        (file(np.zeros(0, np.float32)), "no sample"),
        (file(np.full(RATE, np.nan, np.float32), subtype="FLOAT"), "file: "),
        (file(SOUND, "OGG")[:200], "file: "),
    ],
    ids=["empty", "four bytes", "text", "no samples", "numbers", "cut ogg"],
)
def test_what_is_no_sound_is_refused_without_a_path_of_ours(api: OpenAI, body: bytes, told: str) -> None:
    for stream in (False, True):
        with pytest.raises(openai.BadRequestError, match=told) as refused:
            _ = api.audio.transcriptions.create(model="tones", file=("a.raw", body), stream=stream)
        assert refused.value.param == "file"
        assert not re.search("/|tmp", str(refused.value.body))


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"temperature": 0.5}, "temperature"),
        ({"prompt": "hints"}, "prompt"),
        ({"include": ["logprobs"]}, "include[]"),
        ({"response_format": "docx"}, "response_format"),
        ({"timestamp_granularities": ["word"]}, "timestamp_granularities[]"),
        ({"stream": True, "response_format": "text"}, "response_format"),
    ],
    ids=str,
)
def test_what_cannot_be_done_is_refused_by_its_field(api: OpenAI, fields: dict[str, Any], field: str) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        _ = api.audio.transcriptions.create(model="tones", file=("a.wav", file(SOUND[:800])), **fields)
    assert refused.value.param == field


def test_a_file_may_be_too_large(api: OpenAI) -> None:
    with pytest.raises(openai.APIStatusError, match="25 MiB") as refused:
        _ = api.audio.transcriptions.create(model="tones", file=("a.wav", bytes(25 * 2**20 + 1)))
    assert refused.value.status_code == 413


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "multipart/form-data; boundary=x"),
        (b"--x\r\nnonsense", "multipart/form-data; boundary=x"),
        (b"--x", "multipart/form-data"),
        (b"{}", "application/json"),
        (b"file=a&model=tones", "application/x-www-form-urlencoded"),
        (
            b'--x\r\nContent-Disposition: form-data; name="\xff"\r\n\r\n\xff\r\n--x--',
            "multipart/form-data; boundary=x",
        ),
    ],
)
def test_what_is_no_form_is_refused(port: int, body: bytes, kind: str) -> None:
    status, _, answer = post(port, "/v1/audio/transcriptions", body, kind)
    assert status == 400
    assert answer["error"]["type"] == "invalid_request_error"
