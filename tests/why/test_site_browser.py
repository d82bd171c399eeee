"""The book as a browser shows it: on a phone and a desk, by light and in the dark, on paper, without script.

It needs Chromium or Chrome and the extra ``browser``, whose axe-core finds what keeps people out.
"""

from pathlib import Path

import pytest

from browsers import SIZES, needs_chromium, opened
from why.toy_book import toy_findings, write_toy_prose
from whyformer.browser.page import run_page
from whyformer.engines.webassembly.build import missing_engine
from whyformer.language import LANGUAGES
from whyformer.why.book import prose
from whyformer.why.book.live import CELLS
from whyformer.why.book.site import write_page, write_site
from whyformer.why.catalogue import QUESTIONS
from whyformer.why.published import published

pytest.importorskip("playwright", reason="needs the extra browser")
pytest.importorskip("axe_playwright_python", reason="needs the extra browser")

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

pytestmark = [pytest.mark.slow, needs_chromium]


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("book")
    write_toy_prose(folder / "prose")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prose, "FOLDER", folder / "prose")
        findings = toy_findings()
        write_site(findings, folder / "site")
        write_page(findings[98], folder / "site")
    return folder / "site"


def check(browser: Browser, file: Path, size: str, scheme: str) -> None:
    """Look at a page with all folds open: nothing heard, nothing wide, nothing that keeps anyone out."""
    page, heard = opened(browser, file, viewport=SIZES[size], color_scheme=scheme)
    assert heard == [], file
    wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0, f"{file.name} scrolls sideways by {wide} pixels"
    page.evaluate("document.querySelectorAll('details').forEach(fold => fold.open = true)")
    found = Axe().run(page, options={"preload": False}).response["violations"]
    told = [(each["id"], each["nodes"][0]["html"][:200]) for each in found]
    assert told == [], file
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_every_page_is_for_everyone(book: Path, browser: Browser, size: str, scheme: str):
    files = sorted(book.rglob("*.html"))
    assert len(files) == 2 + 2 * 6
    for file in files:
        check(browser, file, size, scheme)


@pytest.fixture(scope="module")
def published_book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published")
    found = {number: published(question) for number, question in QUESTIONS.items()}
    write_site({number: findings for number, findings in found.items() if findings is not None}, folder)
    return folder


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_every_published_page_is_for_everyone(published_book: Path, browser: Browser, size: str, scheme: str):
    files = sorted(published_book.rglob("*.html"))
    assert len(files) == 1 + 2 * (len(QUESTIONS) + 3)
    for file in files:
        check(browser, file, size, scheme)


def test_the_published_book_is_light(published_book: Path):
    weights = {file: file.stat().st_size for file in published_book.rglob("*") if file.is_file()}
    assert sum(weights.values()) <= 4_000_000
    shared = sum(weights[published_book / name] for name in ("style.css", "script.js"))
    assert max(weight for file, weight in weights.items() if file.suffix == ".html") + shared <= 300_000


def test_text_of_charts_is_legible_on_a_phone(book: Path, browser: Browser):
    page, _ = opened(browser, book / "en" / "q97.html", viewport=SIZES["phone"])
    smallest = page.evaluate(
        """() => Math.min(...[...document.querySelectorAll('svg.chart')].map(
            chart => 13 * chart.clientWidth / chart.viewBox.baseVal.width))"""
    )
    assert smallest >= 12
    page.close()


def test_questions_are_found_in_both_languages(book: Path, browser: Browser):
    page, _ = opened(browser, book / "en" / "index.html")
    shown = "[...document.querySelectorAll('.tile:not([hidden])')].length"
    assert page.evaluate(shown) == 3
    for words, count in (("点乘", 1), ("dot PRODUCT", 1), ("点积", 1), ("条形", 1), ("nothing", 0), ("", 3)):
        page.fill("input[name=words]", words)
        assert page.evaluate(shown) == count, words
    page.select_option("select[name=verdict]", "refuted")
    assert page.evaluate(shown) == 1
    page.close()


def test_all_can_be_read_without_a_script(book: Path, browser: Browser):
    page, _ = opened(browser, book / "zh" / "index.html", java_script_enabled=False)
    assert page.locator(".tile").count() == 3
    assert not page.locator("form.filters").is_visible()
    page.goto((book / "zh" / "q97.html").as_uri())
    page.locator("summary").first.click()
    assert page.locator("details p").first.is_visible()
    page.close()


def test_the_theme_is_remembered(book: Path, browser: Browser):
    page, _ = opened(browser, book / "en" / "index.html", color_scheme="light")
    page.get_by_role("button", name="Dark").click()
    page.goto((book / "en" / "q97.html").as_uri())
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.close()


def test_one_page_switches_its_language_by_a_link(book: Path, browser: Browser):
    page, _ = opened(browser, book / "q98.html", java_script_enabled=False)
    assert page.locator("#en h1").is_visible()
    assert not page.locator("#zh h1").is_visible()
    page.get_by_role("link", name="中文").click()
    assert page.locator("#zh h1").is_visible()
    assert not page.locator("#en h1").is_visible()
    page.locator("#zh .verdict a").click()
    assert page.locator("#zh h1").is_visible(), "an anchor of the second language keeps it"
    page.close()


def test_folds_are_open_on_paper(book: Path, browser: Browser):
    page, _ = opened(browser, book / "en" / "q97.html", java_script_enabled=False)
    page.emulate_media(media="print")
    assert page.locator("details p").first.is_visible()
    assert not page.locator(".contents").is_visible()
    page.close()


def test_the_keyboard_reaches_the_content_first(book: Path, browser: Browser):
    page, _ = opened(browser, book / "en" / "q97.html")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.close()


@pytest.mark.skipif(missing_engine() is not None, reason="the engine for browsers is not compiled")
@pytest.mark.parametrize(("size", "scheme"), [("phone", "dark"), ("desk", "light")])
def test_a_reader_can_try_the_model_beside_an_answer(
    tmp_path: Path, reverse_run: Path, browser: Browser, size: str, scheme: str
):
    found = {number: published(QUESTIONS[number]) for number in CELLS}
    write_site(
        {number: each for number, each in found.items() if each is not None}, tmp_path, run_page(reverse_run)
    )
    for lang in LANGUAGES:
        for number in CELLS:
            file = tmp_path / lang / f"q{number:02}.html"
            page, heard = opened(browser, file, viewport=SIZES[size], color_scheme=scheme)
            page.locator(".live button").focus()
            page.keyboard.press("Enter")
            page.wait_for_selector(".live textarea")
            # Who has asked for it by key can type at once.
            page.keyboard.press("Control+A")
            page.keyboard.type("1 2 3")
            page.wait_for_function(
                "document.querySelector('.live [data-part=output]').innerText.includes('3 2 1')"
            )
            assert heard == []
            assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
            found_faults = Axe().run(page, options={"preload": False}).response["violations"]
            assert [(each["id"], each["nodes"][0]["html"][:200]) for each in found_faults] == [], file
            page.close()
