"""The service's page in a browser: every task, in both languages, alone and side by side, in trouble too.

It needs Chromium or Chrome and the extras ``browser`` and ``serve``.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

import browsers
from browsers import SIZES, needs_chromium

pytest.importorskip("playwright", reason="needs the extra browser")
pytest.importorskip("axe_playwright_python", reason="needs the extra browser")
pytest.importorskip("fastapi", reason="needs the extra serve")
pytest.importorskip("uvicorn", reason="needs the extra serve")

from axe_playwright_python.sync_playwright import Axe
from fastapi import FastAPI
from playwright.sync_api import Browser, Locator, Page, expect

from serve.page.toy_service import MARKUP, running, toy_service

pytestmark = [pytest.mark.slow, needs_chromium]

LONG = "word " * 120
LINKS = {
    "translation": "#run=turner&text=one+two+three&lang=en",
    "translation, long": f"#run=turner&lang=zh&text={LONG.replace(' ', '+')}",
    "two beside each other": "#run=turner&beside=shouter&text=one+two&lang=zh",
    "holes": "#run=filler&text=one+[MASK]+three+[MASK]&lang=en",
    "writing on": "#run=writer&beside=writer-2&text=once&lang=en",
    "speech": "#run=listener&lang=zh",
    "overload": "#run=turner&text=busy&lang=zh",
    "markup": f"#run={MARKUP}&lang=en",
}
NARROW = {"width": 320, "height": 640}


@pytest.fixture(scope="module")
def service() -> FastAPI:
    return toy_service()


@pytest.fixture(scope="module")
def address(service: FastAPI) -> Iterator[str]:
    with running(service) as found:
        yield found


def opened(browser: Browser, address: str, link: str = "", **settings: Any) -> tuple[Page, list[str]]:
    """The page that a link shows, and all that it complains of or asks for elsewhere."""
    page, heard = browsers.opened(browser, address + link, address, **settings)
    page.wait_for_selector("h1")
    return page, heard


def complaints(heard: list[str]) -> list[str]:
    """All but what the browser itself says of an answer that is a refusal."""
    return [each for each in heard if "the server responded with a status of" not in each]


def field(page: Page) -> Locator:
    return page.get_by_role("textbox").first


def settled(page: Page) -> None:
    page.wait_for_function(
        """() => [...document.querySelectorAll(".fault, .translation, .part.answer, main > p")]
            .some(each => each.textContent) """,
        polling=50,
    )
    page.wait_for_timeout(500)


@pytest.mark.parametrize("name", LINKS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [*SIZES, "narrow"])
def test_the_page_is_for_everyone(address: str, browser: Browser, size: str, scheme: str, name: str):
    page, heard = opened(
        browser, address, LINKS[name], viewport={**SIZES, "narrow": NARROW}[size], color_scheme=scheme
    )
    settled(page)
    if name == "writing on":
        page.get_by_role("button", name="Write on").click()
        expect(page.get_by_text("It ended at the limit of tokens.")).to_have_count(2)
    page.evaluate("document.querySelectorAll('details').forEach(fold => fold.open = true)")
    page.wait_for_timeout(200)
    found = Axe().run(page, options={"preload": False}).response["violations"]
    assert [(each["id"], each["nodes"][0]["html"][:200]) for each in found] == []
    wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0, f"scrolls sideways by {wide} pixels"
    assert complaints(heard) == []
    page.close()


def test_what_is_typed_is_translated_looked_into_and_remembered(address: str, browser: Browser):
    page, heard = opened(browser, address)
    field(page).fill("one two three four")
    expect(page.locator(".output .translation")).to_have_text("four three two one")
    expect(page.locator(".state")).to_have_text("13 ms")
    expect(page.locator(".heads")).to_have_count(3)
    page.locator(".token.written").nth(1).hover()
    expect(page.locator(".heads.lit-row")).to_have_count(2)
    page.get_by_role("button", name="Forward").click()
    expect(page.locator(".stepper .place")).to_have_text("step 1 of 5")
    expect(page.locator(".node.best")).to_have_count(5)
    assert page.get_by_role("button", name="Switch this head off").count() == 0
    page.locator(".others button").first.click()
    expect(page.locator(".steps .shown")).to_have_text(re.compile("hypothesis 2"))
    page.get_by_label("Translation to be judged").fill("two one")
    expect(page.locator(".own .told")).to_have_text(re.compile("^ln P"))
    page.get_by_text("History", exact=True).click()
    expect(page.locator(".history li")).to_have_text([re.compile("one two three four → four three two one")])
    assert complaints(heard) == []
    page.close()


def test_a_link_shows_the_same_and_the_browser_goes_back(address: str, browser: Browser):
    page, _ = opened(browser, address)
    field(page).fill("five six")
    page.get_by_label("Side by side with").select_option("shouter")
    expect(page.locator(".column .translation")).to_have_text(["six five", "FIVE SIX"])
    page.wait_for_function(
        "location.hash.includes('beside=shouter') && location.hash.includes('text=five+six')"
    )
    other, _ = opened(browser, address, page.evaluate("location.hash"))
    expect(other.locator(".column .translation")).to_have_text(["six five", "FIVE SIX"])
    field(other).fill("seven eight")
    expect(other.locator(".column .translation")).to_have_text(["eight seven", "SEVEN EIGHT"])
    page.get_by_role("button", name="filler").click()
    expect(page.get_by_role("heading", name="Filled in")).to_be_visible()
    page.go_back()
    expect(page.locator(".column .translation")).to_have_text(["six five", "FIVE SIX"])
    page.close()
    other.close()


def test_holes_are_dug_filled_and_guesses_put_in(address: str, browser: Browser):
    page, heard = opened(browser, address, "#run=filler&lang=en")
    field(page).fill("one two three")
    expect(page.get_by_text("There is no hole yet")).to_be_visible()
    field(page).evaluate("field => field.setSelectionRange(4, 7)")
    page.get_by_role("button", name="Put a hole here").click()
    assert field(page).input_value() == "one [MASK] three"
    expect(page.locator(".answer .translation")).to_have_text("one two three")
    expect(page.locator(".likeliest li")).to_have_count(3)
    page.get_by_role("button", name="Put in ·ten").click()
    assert field(page).input_value() == "one ten three"
    expect(page.locator(".likeliest li")).to_have_count(0)
    assert complaints(heard) == []
    page.close()


def test_text_is_written_on_as_it_comes_and_can_be_stopped(service: FastAPI, address: str, browser: Browser):
    page, heard = opened(browser, address, "#run=writer&lang=en")
    field(page).fill("Once")
    page.get_by_role("slider", name="Tokens at most").fill("200")
    page.get_by_role("button", name="Write on").click()
    expect(page.locator(".prose")).to_contain_text("Once word-0 word-1")
    assert service.state.asked[-1]["stream"] is True
    page.get_by_role("button", name="Stop").click()
    page.wait_for_timeout(300)
    stopped = page.locator(".prose").inner_text()
    page.wait_for_timeout(300)
    assert page.locator(".prose").inner_text() == stopped
    assert "word-199" not in stopped
    field(page).fill("markup")
    page.get_by_role("button", name="Write on").click()
    expect(page.locator(".prose")).to_have_text(f"markup {MARKUP} 你好")
    field(page).fill("broken")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("alert").filter(has_text="The answer broke off")).to_be_visible()
    expect(page.locator(".prose")).to_have_text("broken word-0 word-1 word-2")
    assert complaints(heard) == []
    page.close()


@pytest.mark.parametrize(
    ("text", "sentence", "again"),
    [
        ("busy", "The service has too much to do just now", True),
        ("ending", "The service has too much to do just now", True),
        ("refused", f"The service says: text: {MARKUP} is not allowed.", False),
        ("plainly", "The service says: a sentence.", False),
        ("failing", "The service failed (status 502)", True),
        ("garbled", "The service answered something that this page cannot read", True),
    ],
)
@pytest.mark.parametrize("run", ["turner", "filler", "writer"])
def test_trouble_is_told_in_one_sentence(
    address: str, browser: Browser, run: str, text: str, sentence: str, again: bool
):
    page, heard = opened(browser, address, f"#run={run}&lang=en")
    field(page).fill(f"{text} [MASK]")
    if run == "writer":
        page.get_by_role("button", name="Write on").click()
        if text == "garbled":
            sentence = "The answer broke off"
    told = page.get_by_role("alert").filter(has_text=sentence)
    expect(told).to_be_visible()
    button = page.get_by_role("button", name="Ask again")
    assert button.count() == again
    if text == "busy":
        expect(button).to_be_disabled()
        expect(button).to_be_enabled(timeout=6000)
        with page.expect_request(lambda sent: sent.method == "POST"):
            button.click()
    assert page.locator("main img").count() == 0
    assert complaints(heard) == []
    page.close()


def test_what_nobody_waits_for_is_given_up(service: FastAPI, address: str, browser: Browser):
    page, heard = opened(browser, address, "#run=turner&lang=en")
    field(page).fill("slow")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(".output .fault")).to_have_text("Stopped.")
    left = service.state.left
    field(page).fill("slow again")
    page.wait_for_timeout(1500)
    field(page).fill("quick")
    expect(page.locator(".output .translation")).to_have_text("quick")
    field(page).fill("slow once more")
    page.wait_for_timeout(500)
    page.get_by_role("button", name="filler").click()
    page.wait_for_timeout(500)
    assert service.state.left >= left + 2
    assert complaints(heard) == []
    page.close()


def test_a_service_that_has_gone_is_told(browser: Browser):
    with running(toy_service()) as address:
        page, _ = opened(browser, address, "#run=turner&lang=en")
        expect(page.locator(".output .translation")).not_to_have_text("")
    field(page).fill("anybody there")
    expect(page.get_by_role("alert").first).to_have_text(re.compile("^The service cannot be reached"))
    expect(page.get_by_role("button", name="Ask again")).to_be_visible()
    page.close()


def test_a_key_is_asked_for_and_sent(browser: Browser):
    with running(toy_service(key="sesame")) as address:
        page, heard = browsers.opened(browser, address, address)
        box = page.get_by_label("Key")
        box.fill("wrong")
        box.press("Enter")
        expect(page.get_by_role("alert")).to_have_text("The service does not know this key.")
        box.fill("sesame")
        page.get_by_role("button", name="Use this key").click()
        expect(page.locator(".output .translation")).not_to_have_text("")
        page.reload()
        expect(page.locator(".output .translation")).not_to_have_text("")
        assert "sesame" not in page.url
        assert complaints(heard) == []
        page.close()


def test_a_service_without_runs_says_so(browser: Browser):
    with running(toy_service(runs=[])) as address:
        page, heard = browsers.opened(browser, f"{address}#lang=en", address)
        expect(page.get_by_text("No model is served here")).to_be_visible()
        page.get_by_role("button", name="中文").click()
        expect(page.get_by_text("这里没有模型")).to_be_visible()
        assert heard == []
        page.close()


@pytest.mark.parametrize("task", ["translation", "masked_lm", "causal_lm", "speech"])
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_long_names_scroll_nothing_sideways(browser: Browser, task: str, lang: str):
    names = [f"experiment-{number}-{'with-a-name-that-says-all-' * 4}" for number in range(2)]
    with running(toy_service([{"name": name, "task": task} for name in names])) as address:
        for viewport in (NARROW, *SIZES.values()):
            link = f"#run={names[0]}&beside={names[1]}&lang={lang}&text=one+[MASK]"
            page, heard = opened(browser, address, link, viewport=viewport)
            expect(page.locator(".column")).to_have_count(2)
            assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
            assert complaints(heard) == []
            page.close()


def test_language_and_light_are_switched_in_place(address: str, browser: Browser):
    page, heard = opened(browser, address, "#run=writer&lang=en")
    field(page).fill("Once")
    page.get_by_role("button", name="Write on").click()
    expect(page.get_by_text("It ended at the limit of tokens.")).to_be_visible()
    page.get_by_role("button", name="中文").click()
    expect(page.locator("h1")).to_have_text("向本服务的模型提问")
    assert page.evaluate("[document.documentElement.lang, document.activeElement.textContent]") == [
        "zh-CN",
        "English",
    ]
    expect(page.locator(".prose")).to_contain_text("Once word-0")
    assert field(page).input_value() == "Once"
    page.get_by_role("button", name="深色").click()
    page.goto(address)
    expect(page.locator("h1")).to_have_text("向本服务的模型提问")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert heard == []
    page.close()


def test_the_browsers_language_is_taken(address: str, browser: Browser):
    page, _ = opened(browser, address, locale="zh-CN")
    expect(page.locator("h1")).to_have_text("向本服务的模型提问")
    page.close()


DAMAGED = {
    "no JSON": "{",
    "no list": '{"text": "x"}',
    "strange entries": json.dumps([None, 3, {"task": "translation", "run": "turner", "text": ["x"]}]),
    "markup": json.dumps([{"task": "translation", "run": "turner", "text": MARKUP, "answer": MARKUP}]),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_storage_is_survived(address: str, browser: Browser, name: str):
    page = browser.new_page()
    heard: list[str] = []
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.add_init_script(
        f"if (!sessionStorage.seen) localStorage.setItem('whyformer-history', {json.dumps(DAMAGED[name])});"
        "localStorage.setItem('theme', 'purple'); localStorage.setItem('lang', 'xx');"
        "sessionStorage.seen = 1;"
    )
    page.goto(f"{address}#run=turner&text=one+two")
    page.locator(".history summary").click()
    expect(page.locator(".history li").first).to_contain_text("one two → two one")
    page.reload()
    page.locator(".history summary").click()
    expect(page.locator(".history li").first).to_contain_text("one two → two one")
    assert page.locator("main img").count() == 0
    page.get_by_role("button", name="Clear the history").click()
    expect(page.locator(".history li")).to_have_text("Nothing yet.")
    # A run that is asked nothing when it is shown.
    page.goto(f"{address}#run=writer")
    page.reload()
    page.locator(".history summary").click()
    expect(page.locator(".history li")).to_have_text("Nothing yet.")
    assert heard == []
    page.close()


def test_without_storage_the_page_works(address: str, browser: Browser):
    page = browser.new_page()
    heard: list[str] = []
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.add_init_script(
        "const refuse = { get() { throw new DOMException('no', 'SecurityError'); } };"
        "Object.defineProperty(globalThis, 'localStorage', refuse);"
        "Object.defineProperty(globalThis, 'sessionStorage', refuse);"
    )
    page.goto(f"{address}#run=turner&text=one+two&lang=en")
    expect(page.locator(".output .translation")).to_have_text("two one")
    page.get_by_role("button", name="Dark").click()
    assert heard == []
    page.close()


def test_history_brings_a_text_back(address: str, browser: Browser):
    page, _ = opened(browser, address, "#run=filler&text=one+[MASK]&lang=en")
    expect(page.locator(".answer .translation")).to_have_text("one two")
    field(page).fill("[MASK] more")
    expect(page.locator(".answer .translation")).to_have_text("two more")
    page.locator(".history summary").click()
    page.get_by_role("button", name="one [MASK] → one two").click()
    assert field(page).input_value() == "one [MASK]"
    page.get_by_role("button", name="turner").click()
    expect(page.locator(".output .translation")).not_to_have_text("")
    page.get_by_role("button", name="[MASK] more → two more").click()
    expect(page.locator(".answer .translation")).to_have_text("two more")
    page.close()


def test_everything_is_reached_by_keys(address: str, browser: Browser):
    page, heard = opened(browser, address, "#run=turner&lang=en")
    settled(page)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.dataset.run") == "turner"
    for _ in range(2):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Filled in")).to_be_visible()
    assert page.evaluate("document.activeElement.dataset.run") == "filler"
    for _ in range(5):
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.tagName") == "TEXTAREA"
    page.keyboard.type("A ")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.keyboard.type(" day")
    expect(page.locator(".answer .translation")).to_have_text(re.compile("two"))
    stops = 0
    while page.evaluate("document.activeElement !== document.body") and stops < 60:
        page.keyboard.press("Tab")
        stops += 1
    assert 3 < stops < 60
    assert complaints(heard) == []
    page.close()


@pytest.mark.parametrize("run", ["turner", "filler", "writer"])
def test_text_is_text(address: str, browser: Browser, run: str):
    page, heard = opened(browser, address, f"#run={run}&lang=en")
    field(page).fill(f"{MARKUP} <script>alert(1)</script> [MASK] markup")
    if run == "writer":
        page.get_by_role("button", name="Write on").click()
    page.locator(".history summary").click()
    expect(page.locator(".history li").first).to_contain_text(MARKUP)
    settled(page)
    assert page.locator("main img, main script").count() == 0
    assert complaints(heard) == []
    page.close()


def test_without_a_script_the_page_says_what_it_needs(address: str, browser: Browser):
    page = browser.new_page(java_script_enabled=False)
    page.goto(address)
    assert page.locator("noscript p").count() == 2
    assert page.locator("noscript p").first.is_visible()
    page.close()
