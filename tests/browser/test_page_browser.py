"""The page as a browser shows it: translated, looked into, broken and mended, by mouse, keyboard and link.

It needs Chromium or Chrome and the extra ``browser``, whose axe-core finds what keeps people out.
"""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

import browsers
from browsers import SIZES, needs_chromium
from whyformer.browser.page import write_run_page
from whyformer.engines.webassembly import build
from whyformer.runs.execution import Execution
from whyformer.runs.load import load_as
from whyformer.tasks.translation.translator import Translator

pytest.importorskip("playwright", reason="needs the extra browser")
pytest.importorskip("axe_playwright_python", reason="needs the extra browser")

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, expect

pytestmark = [
    pytest.mark.slow,
    needs_chromium,
    pytest.mark.skipif(
        build.missing_engine() is not None, reason=build.missing_engine() or "the engine is there"
    ),
]

TEXT = "3 1 4 2"
LINKS = {
    "whole": "#text=3+1+4+2&lang=en",
    "broken, at a step": "#text=3+1+4+2&lang=zh&step=2&lens=x1.1;e:itself&own=2+4+1",
    "blank": "#text=+&lang=en",
    "too long": "#lang=zh&text=" + "+".join("1234" * 9),
    "greedy": "#text=0+1&search=greedy&lang=en",
}


@pytest.fixture(scope="module")
def folder(reverse_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("alive") / "page"
    write_run_page(reverse_run, place)
    return place


def opened(
    browser: Browser, file: Path, link: str = LINKS["whole"], **settings: Any
) -> tuple[Page, list[str]]:
    """The page that a link shows, and all that it complains of or asks for elsewhere."""
    page, heard = browsers.opened(browser, f"{file.as_uri()}{link}", **settings)
    page.wait_for_selector(".output")
    return page, heard


def field(page: Page) -> Locator:
    """Where the reader types."""
    return page.get_by_role("textbox", name="Source", exact=True)


def settled(page: Page) -> None:
    """Wait until what was asked is there, the tree too, which comes last."""
    told = ("state", "fault", "measures")
    page.wait_for_function(
        " || ".join(f"document.querySelector('.{name}')?.textContent" for name in told), polling=50
    )
    page.wait_for_timeout(300)


@pytest.mark.parametrize("name", LINKS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_the_page_is_for_everyone(folder: Path, browser: Browser, size: str, scheme: str, name: str):
    page, heard = opened(
        browser, folder / "index.html", LINKS[name], viewport=SIZES[size], color_scheme=scheme
    )
    settled(page)
    page.evaluate("document.querySelectorAll('details').forEach(fold => fold.open = true)")
    page.wait_for_timeout(100)
    found = Axe().run(page, options={"preload": False}).response["violations"]
    assert [(each["id"], each["nodes"][0]["html"][:200]) for each in found] == []
    wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0, f"scrolls sideways by {wide} pixels"
    assert heard == []
    page.close()


def test_it_translates_what_is_typed_as_the_native_engine_does(
    folder: Path, browser: Browser, reverse_run: Path
):
    translator = load_as(Translator, reverse_run, Execution("cpu", precision="int8", engine="native"))
    page, heard = opened(browser, folder / "index.html", "")
    for text in (TEXT, "0 0 1 2 3", "4", "2 2"):
        field(page).fill(text)
        expect(page.locator(".output .translation")).to_have_text(translator(text))
    expect(page.locator(".state")).to_have_text(re.compile(r"^[\d.]+ ms$"))
    assert heard == []
    page.close()


def test_examples_are_translated_by_a_press(folder: Path, browser: Browser):
    page, _ = opened(browser, folder / "index.html", "")
    example = page.locator(".input .chip").last
    example.click()
    assert field(page).input_value() == example.inner_text()
    page.close()


def test_a_token_lights_up_its_row_in_every_head(folder: Path, browser: Browser):
    page, _ = opened(browser, folder / "index.html")
    places = page.locator(".heads")
    expect(places).to_have_count(3)
    page.locator(".token.written").nth(1).hover()
    expect(page.locator(".heads.lit-row")).to_have_count(2)
    expect(page.locator(".token.written").nth(1)).to_have_class(re.compile("current"))
    assert places.first.evaluate("box => box.style.getPropertyValue('--at')") == "1"
    expect(page.locator(".steps .told")).to_have_text(re.compile(r"^Step 2 of 5: fed ·2, it wrote ·4"))
    page.locator(".steps .tokens").first.locator(".token").first.hover()
    expect(page.locator(".heads.lit-column")).to_have_count(1)
    expect(page.locator(".heads.lit-row")).to_have_count(1)
    page.mouse.move(0, 0)
    expect(page.locator(".heads.lit-row")).to_have_count(0)
    page.close()


def test_the_writing_goes_forward_and_back_by_keys(folder: Path, browser: Browser):
    page, _ = opened(browser, folder / "index.html")
    place = page.locator(".stepper .place")
    page.get_by_role("button", name="Forward").press("Enter")
    expect(place).to_have_text("step 1 of 5")
    expect(page.locator(".token.ahead")).to_have_count(4)
    page.locator(".token.written").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(place).to_have_text("step 3 of 5")
    page.keyboard.press("End")
    expect(place).to_have_text("step 5 of 5")
    page.keyboard.press("ArrowLeft")
    expect(place).to_have_text("step 4 of 5")
    expect(page.locator(".likeliest li")).to_have_count(4)
    page.get_by_role("button", name="Overview").click()
    expect(place).to_have_text("5 steps")
    page.close()


def test_every_head_can_be_enlarged_and_read_by_keys(folder: Path, browser: Browser):
    page, _ = opened(browser, folder / "index.html")
    heads = page.get_by_role("group", name="Encoder self-attention").locator("button")
    expect(heads).to_have_count(2)
    # One of them is in the order of the Tab key, arrows go to the other.
    assert heads.evaluate_all("all => all.filter(each => each.tabIndex === 0).length") == 1
    page.get_by_role("group", name="Encoder self-attention").locator("button[tabindex='0']").focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.locator(".enlarged h3")).to_have_text("Encoder self-attention · layer 1 · head 2")
    attention = page.get_by_role("application")
    attention.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    expect(page.locator(".enlarged .told")).to_have_text(re.compile(r"^·1 attends to ·1: [01]\.\d{3}\. Most"))
    page.get_by_role("combobox", name="Head", exact=True).select_option("-1")
    expect(page.locator(".enlarged h3")).to_have_text("Encoder self-attention · layer 1 · mean of all heads")
    page.locator(".enlarged summary").click()
    rows = page.locator(".enlarged table tbody tr")
    expect(rows).to_have_count(5)
    numbers = [float(cell) for cell in rows.first.locator("td").all_inner_texts()]
    assert sum(numbers) == pytest.approx(1, abs=0.004)
    page.close()


def test_the_tree_is_walked_and_its_leaves_are_opened(folder: Path, browser: Browser):
    page, _ = opened(browser, folder / "index.html")
    nodes = page.locator(".node")
    expect(nodes.first).to_be_visible()
    assert page.locator(".node.best").count() == 5
    assert page.locator(".node.ended").count() >= 1
    page.locator(".node[tabindex='0']").focus()
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    expect(page.locator(".search .told")).to_have_text(
        re.compile(r"^Step 5, rank 1 of .* It is hypothesis 1\.$")
    )
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator(".steps .shown")).to_be_visible()
    page.get_by_role("button", name="Back to the best").click()
    expect(page.locator(".steps .shown")).to_be_hidden()
    page.get_by_label("Greedy").check()
    expect(page.locator(".node")).to_have_count(5)
    page.get_by_role("slider").fill("2")
    expect(page.get_by_label("Beam", exact=True)).to_be_checked()
    page.get_by_text("The tree as a table").click()
    page.wait_for_timeout(300)
    assert page.locator(".search table tbody tr").count() == page.locator(".node").count()
    page.close()


def test_it_is_broken_on_purpose_told_so_and_mended(folder: Path, browser: Browser):
    page, _ = opened(browser, folder / "index.html")
    settled(page)
    sound = page.locator(".output .translation").inner_text()
    page.get_by_role("button", name="No cross-attention at all").click()
    expect(page.locator(".banner")).to_have_text(re.compile("Broken on purpose. heads off: 2"))
    expect(page.locator(".compare .version").first.locator(".translation")).to_have_text(sound)
    broken = page.locator(".compare .version.broken .translation")
    assert broken.inner_text() != sound, "without its source the model cannot reverse it"
    assert page.locator(".heads button.off").count() == 2
    switch = page.locator(".switch[aria-checked='false']")
    expect(switch).to_have_count(2)
    switch.first.press("Space")
    expect(page.locator(".switch[aria-checked='false']")).to_have_count(1)
    page.locator(".masks .place").last.get_by_label("only itself").check()
    expect(page.locator(".banner")).to_have_text(
        re.compile("Encoder self-attention sees only itself; heads off: 1")
    )
    page.locator(".banner").get_by_role("button", name="Make it whole").click()
    expect(page.locator(".output .translation")).to_have_text(sound)
    expect(page.locator(".banner")).to_be_hidden()
    page.close()


def test_an_own_translation_is_judged(folder: Path, browser: Browser):
    page, _ = opened(browser, folder / "index.html")
    page.get_by_role("button", name="Begin with the model’s").click()
    told = page.locator(".own .told")
    expect(told).to_have_text(re.compile("this is the model’s own"))
    page.get_by_label("Translation to be judged").fill("2 4 3 1")
    expect(told).to_have_text(re.compile("times as likely"))
    expect(page.locator(".own .rival").first).to_be_visible()
    page.get_by_role("button", name="Look inside with this one").click()
    expect(page.locator(".steps .shown")).to_have_text(re.compile("your own translation"))
    page.close()


def test_the_language_is_switched_in_place_and_remembered(folder: Path, browser: Browser):
    page, heard = opened(browser, folder / "index.html")
    field(page).fill("1 2")
    page.get_by_role("button", name="中文").click()
    expect(page.locator("h1")).to_have_text("输入一句话，看看模型内部")
    assert page.get_by_role("textbox", name="原文", exact=True).input_value() == "1 2"
    assert page.evaluate("document.documentElement.lang") == "zh-CN"
    assert page.evaluate("document.activeElement.textContent") == "English"
    page.get_by_role("button", name="深色").click()
    page.goto((folder / "index.html").as_uri())
    expect(page.locator("h1")).to_have_text("输入一句话，看看模型内部")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert heard == []
    page.close()


def test_a_link_shows_the_same(folder: Path, browser: Browser):
    page, _ = opened(browser, folder / "index.html", "")
    field(page).fill("4 <b>& 1")
    page.get_by_label("Greedy").check()
    page.get_by_role("button", name="Encoder sees only itself").click()
    page.get_by_role("button", name="Forward").click()
    page.wait_for_function("location.hash.includes('step=1') && location.hash.includes('lens=e')")
    link = page.evaluate("location.hash")
    other, _ = opened(browser, folder / "index.html", link)
    expect(other.locator(".stepper .place")).to_have_text(page.locator(".stepper .place").inner_text())
    assert field(other).input_value() == "4 <b>& 1"
    assert other.get_by_label("Greedy").is_checked()
    expect(other.locator(".banner")).to_be_visible()
    # A link that is put into the address of the page at hand.
    other.goto(f"{(folder / 'index.html').as_uri()}#lang=zh&text=1+2&step=2")
    expect(other.locator(".stepper .place")).to_have_text("第 2 步，共 3 步")
    expect(other.locator(".banner")).to_be_hidden()
    assert other.get_by_label("束搜索").is_checked()
    page.close()
    other.close()


def test_text_is_text(folder: Path, browser: Browser):
    page, heard = opened(browser, folder / "index.html", "")
    field(page).fill("<img src=x onerror=alert(1)>")
    settled(page)
    page.get_by_label("Translation to be judged").fill("<i>1</i>")
    page.wait_for_timeout(300)
    assert page.locator("main img, .own i:not(.bar)").count() == 0
    assert heard == []
    page.close()


# A worker that takes its time, as one on a slow phone does.
SLOW = """
const post = Worker.prototype.postMessage;
Worker.prototype.postMessage = function (message, ...rest) {
  const wait = message.kind === "open" ? 0 : globalThis.patience ?? 0;
  setTimeout(() => post.call(this, message, ...rest), wait);
};
"""


def test_what_takes_long_can_be_stopped(folder: Path, browser: Browser):
    page = browser.new_page()
    page.add_init_script(SLOW)
    page.goto(f"{(folder / 'index.html').as_uri()}{LINKS['whole']}")
    settled(page)
    expect(page.get_by_role("button", name="Stop")).to_be_hidden()
    page.evaluate("globalThis.patience = 60_000")
    field(page).fill("1 2 3")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(".output .fault")).to_have_text("Stopped. Change the text to translate again.")
    page.evaluate("globalThis.patience = 0")
    field(page).fill("1 2")
    expect(page.locator(".output .translation")).to_have_text("2 1")
    expect(page.locator(".output .fault")).to_have_text("")
    page.close()


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("model.js", None, "model.js could not be loaded"),
        ("engine.js", '(globalThis.whyformerData ??= {}).engine = "AAAA";', "file is damaged"),
    ],
)
def test_what_is_missing_or_damaged_is_told(
    name: str, text: str | None, sentence: str, folder: Path, browser: Browser, tmp_path: Path
):
    place = tmp_path / "page"
    shutil.copytree(folder, place)
    if text is None:
        (place / name).unlink()
    else:
        (place / name).write_text(text, encoding="utf-8")
    page = browser.new_page()
    page.goto((place / "index.html").as_uri())
    expect(page.get_by_role("alert")).to_have_text(re.compile(sentence))
    page.close()


def test_without_a_script_the_page_says_what_it_needs(folder: Path, browser: Browser):
    page = browser.new_page(java_script_enabled=False)
    page.goto((folder / "index.html").as_uri())
    assert page.locator("noscript p").is_visible()
    assert page.locator("main > p").count() == 0
    page.close()


def test_nothing_moves_where_less_motion_is_wanted(folder: Path, browser: Browser):
    page, _ = opened(browser, folder / "index.html", reduced_motion="reduce")
    settled(page)
    moving = """() => [...document.querySelectorAll('*')].filter(each => {
        const style = getComputedStyle(each);
        return style.scrollBehavior === 'smooth' || style.animationName !== 'none'
            || style.transitionDuration !== '0s';
    }).length"""
    assert page.evaluate(moving) == 0
    page.close()


def test_the_keyboard_reaches_the_content_first(folder: Path, browser: Browser):
    page, _ = opened(browser, folder / "index.html")
    settled(page)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    # From there to the end few stops: arrow keys lead on inside of tokens, heads and the tree.
    stops = 0
    while page.evaluate("document.activeElement !== document.body") and stops < 90:
        page.keyboard.press("Tab")
        stops += 1
    assert 20 < stops < 70
    page.close()


MOUNTED = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>A question</title><script src="live/script.js"></script></head>
<body><main><h1>Why?</h1><div id="here" hidden></div></main>
<script>
Whyformer.mount(document.getElementById("here"), {
  lang: "en", view: ["input", "output", "masks"], base: "live", size: "0.4",
  preset: { text: "4 0 2", lens: { ablated: [], masks: { "encoder self": [0, 0] } } },
});
</script></body></html>
"""


def test_parts_are_mounted_elsewhere_and_read_nothing_before_they_are_wanted(
    folder: Path, browser: Browser, tmp_path: Path
):
    shutil.copytree(folder, tmp_path / "live")
    (tmp_path / "book.html").write_text(MOUNTED, encoding="utf-8")
    page = browser.new_page()
    asked: list[str] = []
    page.on("request", lambda sent: asked.append(sent.url.rpartition("/")[2]))
    page.goto((tmp_path / "book.html").as_uri())
    begin = page.get_by_role("button", name="Try it")
    expect(begin).to_be_visible()
    expect(page.get_by_text("it has 0.4 MB")).to_be_visible()
    assert not {"model.js", "engine.js"} & {*asked}
    begin.press("Enter")
    expect(page.locator(".output .translation")).not_to_have_text("")
    assert {"model.js", "engine.js"} <= {*asked}
    assert field(page).input_value() == "4 0 2"
    assert page.evaluate("document.activeElement.tagName") == "TEXTAREA"
    expect(page.locator(".banner")).to_be_visible()
    assert page.locator(".part").count() == 3
    assert page.evaluate("location.hash") == ""
    found = Axe().run(page, options={"preload": False}).response["violations"]
    assert [(each["id"], each["nodes"][0]["html"][:200]) for each in found] == []
    page.close()
