"""Speech on the service's page: a microphone that plays a file, files, and a connection that breaks.

It needs Chromium or Chrome and the extras ``browser`` and ``serve``.
"""

import math
import re
import wave
from collections.abc import Iterator
from pathlib import Path

import pytest

import browsers
from browsers import needs_chromium

pytest.importorskip("playwright", reason="needs the extra browser")
pytest.importorskip("fastapi", reason="needs the extra serve")
pytest.importorskip("uvicorn", reason="needs the extra serve")

from fastapi import FastAPI
from playwright.sync_api import Browser, Page, expect

from serve.page.toy_service import MARKUP, RUNS, running, toy_service

pytestmark = [pytest.mark.slow, needs_chromium]

AMPLITUDE = 12_000
SECONDS = 3


@pytest.fixture(scope="module")
def tone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound file of some seconds, at half of a usual rate."""
    path = tmp_path_factory.mktemp("sound") / "tone.wav"
    samples = (round(AMPLITUDE * math.sin(n / 8)) for n in range(SECONDS * 22_050))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(22_050)
        file.writeframes(b"".join(sample.to_bytes(2, "little", signed=True) for sample in samples))
    return path


@pytest.fixture(scope="module")
def listening(browser: Browser, tone: Path) -> Iterator[Browser]:
    """A browser whose microphone plays the tone, and who asks nobody."""
    with browsers.microphone(browser, tone) as started:
        yield started


@pytest.fixture(scope="module")
def service() -> FastAPI:
    return toy_service([*RUNS, {"name": "second", "task": "speech"}])


@pytest.fixture(scope="module")
def address(service: FastAPI) -> Iterator[str]:
    with running(service) as found:
        yield found


def opened(browser: Browser, address: str, link: str = "#run=listener&lang=en") -> tuple[Page, list[str]]:
    page, heard = browsers.opened(browser, address + link, address)
    page.wait_for_selector("h1")
    return page, heard


def test_words_come_while_the_microphone_is_on(service: FastAPI, address: str, listening: Browser):
    service.state.asked.clear()
    page, heard = opened(listening, address)
    listen = page.get_by_role("button", name="Listen to the microphone")
    listen.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".partial")).to_have_text(re.compile("^word-0 word-1 word-2"), timeout=20_000)
    expect(page.get_by_text("Listening …")).to_be_visible()
    assert (
        float(page.locator(".level .bar").evaluate("bar => bar.style.getPropertyValue('--share')")[:-1]) > 50
    )
    assert page.evaluate("document.activeElement.textContent") == "Stop listening"
    page.keyboard.press("Enter")
    expect(page.get_by_role("log")).to_contain_text(MARKUP)
    expect(page.get_by_role("log")).to_contain_text("word-0 word-1 word-2")
    expect(page.locator(".partial")).to_have_text("")
    expect(page.get_by_text("The microphone is off.")).to_be_visible()
    page.get_by_text("Words with their times").click()
    expect(page.locator(".times tbody tr").first).to_have_text("word-00.00 s0.40 s0.88")
    page.locator(".history summary").click()
    expect(page.locator(".history li").first).to_contain_text("word-0 word-1")
    config, got = service.state.asked
    rate = page.evaluate("new AudioContext().sampleRate")
    assert config["sample_rate"] == rate
    assert got["seconds"] > 1.4
    assert got["loudest"] == pytest.approx(AMPLITUDE, rel=0.5)
    assert page.locator("main img").count() == 0
    assert heard == []
    page.close()


def test_two_runs_hear_the_same(service: FastAPI, address: str, listening: Browser):
    service.state.asked.clear()
    page, heard = opened(listening, address, "#run=listener&beside=second&lang=zh")
    page.get_by_role("button", name="开始听麦克风").click()
    expect(page.locator(".partial").nth(1)).to_have_text(re.compile("word-1"), timeout=20_000)
    page.get_by_role("button", name="English").click()
    page.get_by_role("button", name="Stop listening").click()
    expect(page.get_by_role("log")).to_contain_text([MARKUP, MARKUP])
    one, other = [each for each in service.state.asked if "seconds" in each]
    assert one == other
    assert heard == []
    page.close()


def test_a_file_is_heard_to_its_end(service: FastAPI, address: str, listening: Browser, tone: Path):
    service.state.asked.clear()
    page, heard = opened(listening, address)
    page.get_by_label("or take a sound file").set_input_files(tone)
    expect(page.get_by_role("log")).to_contain_text("word-5")
    assert service.state.asked[-1]["seconds"] == pytest.approx(SECONDS, abs=0.01)
    assert service.state.asked[-1]["loudest"] == pytest.approx(AMPLITUDE, rel=0.05)
    page.get_by_label("or take a sound file").set_input_files(__file__)
    expect(page.get_by_role("alert").first).to_have_text(
        "test_microphone.py could not be read as sound; take a WAV, FLAC, Ogg or MP3 file."
    )
    assert heard == []
    page.close()


def test_leaving_ends_the_microphone(service: FastAPI, address: str, listening: Browser):
    page, _ = opened(listening, address)
    page.evaluate(
        """() => {
            const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
            navigator.mediaDevices.getUserMedia = async (...all) => (globalThis.taken = await ask(...all));
        }"""
    )
    page.get_by_role("button", name="Listen to the microphone").click()
    expect(page.locator(".partial")).to_have_text(re.compile("word-0"), timeout=20_000)
    left = service.state.left
    page.get_by_role("button", name="turner").click()
    page.wait_for_timeout(500)
    assert page.evaluate("taken.getTracks().every(track => track.readyState === 'ended')")
    assert service.state.left == left + 1
    page.close()


def test_no_microphone_and_no_leave_are_told(address: str, browser: Browser, listening: Browser):
    page, _ = opened(browser, address)
    page.get_by_role("button", name="Listen to the microphone").click()
    expect(page.get_by_role("alert").first).to_have_text(
        re.compile("^(No microphone|The microphone was not)")
    )
    expect(page.get_by_text("The microphone is off.")).to_be_visible()
    page.close()
    page, _ = opened(listening, address)
    page.evaluate("Object.defineProperty(navigator, 'mediaDevices', { value: undefined })")
    page.get_by_role("button", name="Listen to the microphone").click()
    expect(page.get_by_role("alert").first).to_have_text(re.compile("^This browser gives no microphone"))
    page.close()


# A WebSocket that ends as a service in trouble ends it.
ENDED = """
globalThis.WebSocket = class {
  static CONNECTING = 0;
  readyState = 0;
  bufferedAmount = 0;
  constructor() {
    setTimeout(() => {
      if (%(said)s) this.onmessage({ data: JSON.stringify({ error: %(said)s }) });
      this.onclose({ code: %(code)d, reason: "" });
    }, 100);
  }
  send() {}
  close() {}
};
"""


@pytest.mark.parametrize(
    ("code", "said", "sentence", "again"),
    [
        (1013, "'full'", "The service has too much to do just now", True),
        (1012, "''", "The service has too much to do just now", True),
        (1008, f"'no {MARKUP}'", f"The service says: no {MARKUP}", False),
        (1006, "''", "The connection for sound was closed", False),
    ],
)
def test_a_connection_that_ends_is_told(
    address: str, listening: Browser, code: int, said: str, sentence: str, again: bool
):
    page, _ = opened(listening, address)
    page.evaluate(f"() => {{ {ENDED % {'code': code, 'said': said}} }}")
    page.get_by_role("button", name="Listen to the microphone").click()
    expect(page.get_by_role("alert").filter(has_text=sentence)).to_be_visible()
    expect(page.get_by_text("The microphone is off.")).to_be_visible()
    assert page.get_by_role("button", name="Ask again").count() == again
    page.close()
