"""Browsers as the system has them: Chromium or Chrome, steered by playwright, of the extra ``browser``."""

import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

_CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_chromium = pytest.mark.skipif(_CHROMIUM is None, reason="no Chromium or Chrome on this machine")
SIZES = {"phone": {"width": 390, "height": 844}, "desk": {"width": 1280, "height": 900}}


@contextmanager
def chromium() -> Generator["Browser"]:
    """A browser without a window."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        # As root, as in a container, Chromium has no sandbox.
        started = driver.chromium.launch(executable_path=_CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@contextmanager
def microphone(browser: "Browser", sound: Path) -> Generator["Browser"]:
    """A browser like ``browser`` whose microphone plays a file of ``sound``, and who asks nobody."""
    started = browser.browser_type.launch(
        executable_path=_CHROMIUM,
        args=[
            "--no-sandbox",
            "--use-fake-ui-for-media-stream",
            "--use-fake-device-for-media-stream",
            f"--use-file-for-fake-audio-capture={sound}",
        ],
    )
    yield started
    started.close()


def opened(
    browser: "Browser", place: Path | str, own: str = "file:", **settings: Any
) -> tuple["Page", list[str]]:
    """The page of a file or an address, and all that it complains of or asks for but at its ``own``."""
    page = browser.new_page(**settings)
    heard: list[str] = []
    page.on("console", lambda message: heard.append(message.text))
    page.on("pageerror", lambda error: heard.append(str(error)))
    # A worker starts from a text that the page has itself.
    within = (own, "data:", "blob:")
    page.on("request", lambda sent: None if sent.url.startswith(within) else heard.append(sent.url))
    page.goto(place.as_uri() if isinstance(place, Path) else place)
    return page, heard
