"""The page as ``whyformer serve`` sends it, with a trained run of each kind behind it.

It needs Chromium or Chrome and the extras ``browser``, ``serve`` and ``clients``.
"""

import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import browsers
import whyformer
from browsers import needs_chromium

pytest.importorskip("playwright", reason="needs the extra browser")
pytest.importorskip("axe_playwright_python", reason="needs the extra browser")
pytest.importorskip("fastapi", reason="needs the extra serve")

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from servers import Running
from tasks.speech import listeners
from whyformer.decoding.greedy import GreedySpec
from whyformer.tasks.causal_lm.generator import Generator
from whyformer.tasks.masked_lm.filler import Filler
from whyformer.tasks.speech.listener import Listener
from whyformer.tasks.translation.translator import Translator

pytestmark = [pytest.mark.slow, needs_chromium]

PATIENCE = 60_000


def opened(browser: Browser, service: Running, link: str) -> tuple[Page, list[str]]:
    address = f"{service.address}/"
    page, heard = browsers.opened(browser, f"{address}{link}&lang=en", address)
    page.wait_for_selector("h1")
    return page, heard


def is_for_everyone(page: Page, heard: list[str]) -> None:
    """Assert that nothing is wrong with the page as it stands, and close it."""
    found = Axe().run(page, options={"preload": False}).response["violations"]
    assert [(each["id"], each["nodes"][0]["html"][:200]) for each in found] == []
    assert heard == []
    page.close()


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound file for the run that hears."""
    path = tmp_path_factory.mktemp("sound") / "sound.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(listeners.RATE)
        file.writeframes((listeners.sound(2.5, 3) * 32767).astype("<i2").tobytes())
    return path


@pytest.fixture(scope="module")
def listening(browser: Browser, recording: Path) -> Iterator[Browser]:
    """A browser whose microphone plays the recording, and who asks nobody."""
    with browsers.microphone(browser, recording) as started:
        yield started


def test_an_example_is_translated(whole_service: Running, reverse_run: Path, browser: Browser):
    translator = whyformer.load(reverse_run)
    assert isinstance(translator, Translator)
    page, heard = opened(browser, whole_service, "#run=reverse")
    chips = page.locator(".examples .chip:not([data-run])")
    examples = [text for text in chips.all_inner_texts() if text.strip("01234 ") == ""]
    assert examples
    chips.filter(has_text=examples[-1]).last.click()
    expect(page.get_by_role("textbox").first).to_have_value(examples[-1])
    expect(page.locator(".output .translation")).to_have_text(translator(examples[-1]), timeout=PATIENCE)
    expect(page.locator(".heads")).to_have_count(3)
    expect(page.get_by_text("whyformer page")).to_be_visible()
    is_for_everyone(page, heard)


def test_a_hole_is_filled(whole_service: Running, filling_run: Path, browser: Browser):
    filler = whyformer.load(filling_run)
    assert isinstance(filler, Filler)
    text = "two three [MASK] five [MASK] seven."
    page, heard = opened(browser, whole_service, "#run=filling")
    page.get_by_role("textbox").first.fill(text)
    (filled,) = filler.fill([text])
    expect(page.locator(".answer .translation")).to_have_text(filled.text, timeout=PATIENCE)
    holes = page.locator(".holes ol")
    expect(holes).to_have_count(2)
    for place, guesses in enumerate(filled.holes):
        told = holes.nth(place).locator("button").all_inner_texts()
        assert [each.strip(" ·▁“”") for each in told] == [guess.text.strip() for guess in guesses]
    holes.first.locator("button").first.click()
    best = filled.holes[0][0].text.strip()
    expect(page.get_by_role("textbox").first).to_have_value(text.replace("[MASK]", best, 1))
    is_for_everyone(page, heard)


def test_a_text_is_written_on(whole_service: Running, counting_run: Path, browser: Browser):
    generator = whyformer.load(counting_run)
    assert isinstance(generator, Generator)
    greedy = GreedySpec(longest_factor=0.0, longest_extra=9)
    written = generator.generate(["two three"], greedy)[0][0].text
    page, heard = opened(browser, whole_service, "#run=counting")
    page.get_by_role("textbox").first.fill("two three")
    page.get_by_role("slider", name="Temperature").fill("0")
    page.get_by_role("slider", name="Tokens at most").fill("9")
    page.get_by_role("button", name="Write on").click()
    expect(page.locator(".prose")).to_have_text(f"two three{written}", timeout=PATIENCE)
    expect(page.get_by_text("It ended")).to_be_visible()
    is_for_everyone(page, heard)


def test_a_microphone_is_heard(whole_service: Running, hearing_run: Path, listening: Browser):
    page, heard = opened(listening, whole_service, "#run=tones")
    page.get_by_role("button", name="Listen to the microphone").click()
    expect(page.locator(".said p, .partial:not(:empty)").first).to_be_visible(timeout=PATIENCE)
    page.wait_for_timeout(1_000)
    page.get_by_role("button", name="Stop listening").click()
    expect(page.get_by_text("The microphone is off.")).to_be_visible(timeout=PATIENCE)
    told = " ".join(page.get_by_role("log").locator("p").all_inner_texts()).split()
    assert told
    assert set(told) <= words_of(hearing_run)
    expect(page.get_by_role("alert").filter(has_text=".")).to_have_count(0)
    is_for_everyone(page, heard)


def test_a_file_is_heard_with_its_times(
    whole_service: Running, hearing_run: Path, browser: Browser, recording: Path
):
    page, heard = opened(browser, whole_service, "#run=tones")
    page.get_by_label("or take a sound file").set_input_files(recording)
    expect(page.get_by_text("The microphone is off.")).to_be_visible(timeout=PATIENCE)
    expect(page.locator(".said p").first).to_be_visible(timeout=PATIENCE)
    told = " ".join(page.get_by_role("log").locator("p").all_inner_texts()).split()
    assert set(told) <= words_of(hearing_run)
    page.get_by_text("Words with their times").click()
    rows = [row.split("\t") for row in page.locator(".times tbody tr").all_inner_texts()]
    assert [row[0].strip() for row in rows] == told
    times = np.array([[float(cell.split()[0]) for cell in row[1:3]] for row in rows])
    assert (times[:, 0] <= times[:, 1]).all()
    assert (np.diff(times[:, 0]) >= 0).all()
    assert 0 <= times.min() <= times.max() <= 2.6
    is_for_everyone(page, heard)


def words_of(run: Path) -> set[str]:
    listener = whyformer.load(run)
    assert isinstance(listener, Listener)
    return set(listener.assets.symbols.symbols)
