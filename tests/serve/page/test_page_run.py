"""The page with a trained run behind it: what the service looks into is what the page shows.

It needs Chromium or Chrome and the extras ``browser`` and ``serve``.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from browsers import needs_chromium, opened
from whyformer.runs.execution import Execution
from whyformer.runs.load import load_as
from whyformer.tasks.translation.translator import Translator

pytest.importorskip("playwright", reason="needs the extra browser")
pytest.importorskip("fastapi", reason="needs the extra serve")
pytest.importorskip("uvicorn", reason="needs the extra serve")

from fastapi import FastAPI
from playwright.sync_api import Browser, expect

from serve.page.toy_service import running
from whyformer.serve.languages import LanguagePair
from whyformer.serve.page.router import page_router
from whyformer.serve.protocols.explain.router import explain_router
from whyformer.serve.service import HostedRun, Service

pytestmark = [pytest.mark.slow, needs_chromium]


@pytest.fixture(scope="module")
def translator(reverse_run: Path) -> Translator:
    return load_as(Translator, reverse_run, Execution("cpu"))


@pytest.fixture(scope="module")
def address(translator: Translator) -> Iterator[str]:
    service = Service([HostedRun("reverse", "translation", translator, "0" * 64, 0)])
    app = FastAPI()
    app.include_router(page_router())
    app.include_router(explain_router(service, {"reverse": LanguagePair("en", "zh")}))
    with running(app) as found:
        yield found


def test_the_page_shows_what_the_run_writes(address: str, browser: Browser, translator: Translator):
    page, heard = opened(browser, f"{address}#lang=en", address)
    expect(page.get_by_text("English → Chinese")).to_be_visible()
    for text in ("3 1 4 2", "0 0 1 2 3", "4"):
        page.get_by_role("textbox", name="Source", exact=True).fill(text)
        expect(page.locator(".output .translation")).to_have_text(translator(text), timeout=20_000)
    page.get_by_role("textbox", name="Source", exact=True).fill("3 1 4 2")
    expect(page.locator(".output .translation")).to_have_text("2 4 1 3", timeout=20_000)
    expect(page.locator(".node.best")).to_have_count(5)
    expect(page.locator(".heads")).to_have_count(3)
    page.locator(".token.written").nth(1).hover()
    expect(page.locator(".heads.lit-row")).to_have_count(2)
    page.locator(".node[tabindex='0']").focus()
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator(".steps .shown")).to_be_visible()
    page.get_by_label("Translation to be judged").fill("2 4 3 1")
    expect(page.locator(".own .told")).to_contain_text("times as likely", timeout=20_000)
    page.get_by_label("Greedy").check()
    expect(page.locator(".node")).to_have_count(5, timeout=20_000)
    assert heard == []
    page.close()
