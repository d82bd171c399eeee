"""Prompts are parsed as they are spoken, and are never fetched unasked."""

import gzip
import io
import os
import shutil
import subprocess
import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from whyformer.data.audio.spoken.prompts import (
    PROMPT_CHARACTERS,
    PromptsSpec,
    fetch_prompts,
    read_transcripts,
    spoken_text,
)
from whyformer.errors import DataError

pytest.importorskip("soundfile")
pytest.importorskip("soxr")

LIST = """; a comment

hello: Hello.
dictate/help: press * to toggle pause, press # to enter
digits/7: seven
letters/at: at [@]
beep: [this is a beep]
silence/1: (1 second of silence)
join: <beep ascending>
odd: extension 1234
version: H.323
note: IAX (note: does not say "2")
gone: There is no recording.
copy: hello
"""


@pytest.fixture
def unpacked(tmp_path: Path) -> Path:
    """A folder with what the two packages bring, in small."""
    transcripts = tmp_path / "usr/share/doc/asterisk-core-sounds-en/core-sounds-en.txt.gz"
    transcripts.parent.mkdir(parents=True)
    transcripts.write_bytes(gzip.compress(LIST.encode()))
    sounds = tmp_path / "usr/share/asterisk/sounds/en_US_f_Allison"
    for line in LIST.splitlines()[2:]:
        name = line.partition(":")[0]
        path = sounds / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        if name != "gone":
            data = io.BytesIO()
            with wave.open(data, "wb") as file:
                file.setparams((1, 2, 8_000, 0, "NONE", ""))
                file.writeframes(np.full(80 * len(name), 3_000, "<i2").tobytes())
            path.write_bytes(data.getvalue())
    return tmp_path


@pytest.mark.parametrize(
    ("transcript", "text"),
    [
        ("Activated.", "activated"),
        ("Please press 1 to mute, 2 to lock.", "please press one to mute two to lock"),
        ("press * to pause, # to enter", "press star to pause pound to enter"),
        ("your party's last name: Q", "your party's last name q"),
        ("A.M.", "a m"),
        ('a polite "don\'t call" menu; off-hook', "a polite don't call menu off hook"),
        ("at [@]", "at"),
        ('IAX (note: does not say "2")', "iax"),
        ("3D audio enabled", "three d audio enabled"),
        ("[beep]", None),
        ("<beep>", None),
        ("(3 seconds of silence)", None),
        ("dial 500", None),
        ("a 28.8 kilobit modem", None),
        ("H.323", None),
        ("café", None),
        ("", None),
    ],
)
def test_transcripts_are_written_as_spoken(transcript: str, text: str | None) -> None:
    assert spoken_text(transcript) == text


@given(some.text())
def test_any_transcript_is_in_the_alphabet_or_left_out(transcript: str) -> None:
    text = spoken_text(transcript)
    if text is not None:
        assert text
        assert set(text) <= set(PROMPT_CHARACTERS)
        assert text == " ".join(text.split())


def test_prompts_with_sound_and_text_are_read(unpacked: Path) -> None:
    sets = PromptsSpec(folder=unpacked).load(8_000)
    prompts = {prompt.name: prompt for prompts in sets for prompt in prompts}
    assert {name: prompt.text for name, prompt in prompts.items()} == {
        "hello": "hello",
        "copy": "hello",
        "dictate/help": "press star to toggle pause press pound to enter",
        "digits/7": "seven",
        "letters/at": "at",
        "note": "iax",
    }
    assert all(len(prompt.samples) == 80 * len(name) for name, prompt in prompts.items())
    assert len(PromptsSpec(folder=unpacked).load(16_000).train[0].samples) % 160 == 0


def test_the_same_text_is_in_one_set_only(unpacked: Path) -> None:
    for share in (0.05, 0.1, 0.2, 0.3, 0.4, 0.49):
        sets = PromptsSpec(folder=unpacked, valid=share, test=share).load(8_000)
        texts = [{prompt.text for prompt in prompts} for prompts in sets]
        assert sum(map(len, texts)) == len(set[str]().union(*texts))
        assert sum(len(prompts) for prompts in sets) == 6


def test_nothing_is_fetched_unasked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("a program was run"))
    with pytest.raises(DataError, match=r"prompts are not there; set data\.prompts\.fetch=true"):
        PromptsSpec(folder=tmp_path / "none").load(8_000)
    monkeypatch.setenv("WHYFORMER_CACHE", str(tmp_path / "cache"))
    with pytest.raises(DataError, match="cache"):
        PromptsSpec().load(8_000)


def test_a_machine_without_the_package_manager_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(DataError, match="fetched with apt-get, which this machine lacks; unpack the"):
        PromptsSpec(folder=tmp_path, fetch=True).load(8_000)


def test_a_package_that_cannot_be_fetched_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda program: program)

    def failing(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 100, "", "W: one\nE: Unable to locate package.\n")

    monkeypatch.setattr(subprocess, "run", failing)
    with pytest.raises(DataError, match=r"`apt-get download` failed \(E: Unable to locate package\); run"):
        fetch_prompts(tmp_path)

    def stuck(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        raise subprocess.TimeoutExpired(command, 300)

    monkeypatch.setattr(subprocess, "run", stuck)
    with pytest.raises(DataError, match="`apt-get download` did not run"):
        fetch_prompts(tmp_path)


def test_a_damaged_list_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "list.txt.gz"
    with pytest.raises(DataError, match="no such file; unpack the package asterisk-core-sounds-en there"):
        read_transcripts(path)
    for data in (b"", b"hello", gzip.compress(b"hello")[:-3], gzip.compress(b"\xff\xfe")):
        path.write_bytes(data)
        with pytest.raises(DataError, match="damaged"):
            read_transcripts(path)


PROMPTS = os.environ.get("WHYFORMER_PROMPTS")


@pytest.mark.skipif(PROMPTS is None, reason="the unpacked packages are not named by WHYFORMER_PROMPTS")
def test_the_real_packages_have_549_usable_prompts() -> None:
    sets = PromptsSpec(folder=Path(PROMPTS or ".")).load(8_000)
    assert sum(map(len, sets)) == 549
