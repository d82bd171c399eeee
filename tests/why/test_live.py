"""Live cells of the book: a model beside the answers that it can show, and none where there is none."""

import json
import re
from html import unescape
from pathlib import Path

import pytest

from whyformer.browser.page import INDEX
from whyformer.engines.webassembly.build import missing_engine
from whyformer.errors import WhyformerError
from whyformer.language import LANGUAGES
from whyformer.why.book.edition import Edition
from whyformer.why.book.live import CELLS, LIVE_FOLDER
from whyformer.why.book.site import write_site
from whyformer.why.catalogue import QUESTIONS
from whyformer.why.published import published
from whyformer.why.question import Findings

NUMBERS = (1, 3, 30)
PARTS = {"input", "output", "steps", "heads", "search", "masks", "own"}
needs_engine = pytest.mark.skipif(
    missing_engine() is not None, reason="the engine for browsers is not compiled"
)


def findings() -> dict[int, Findings]:
    found = {number: published(QUESTIONS[number]) for number in NUMBERS}
    return {number: each for number, each in found.items() if each is not None}


def test_cells_stand_beside_questions_that_there_are_and_show_parts_that_there_are():
    assert {*CELLS} <= {*QUESTIONS}
    for cell in CELLS.values():
        assert {*cell.view} <= PARTS
        assert cell.view[:2] == ("input", "output")
        for lang in LANGUAGES:
            assert cell.options(lang)["lang"] == lang


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_cell_is_told_what_to_show_and_the_reader_what_to_try(lang: str):
    pages = Edition(findings(), lang, live=True).pages()  # pyright: ignore[reportArgumentType]
    for number in NUMBERS:
        page = pages[f"q{number:02}.html"]
        found = re.search(r'class="cell" data-options="([^"]*)"', page)
        assert (found is not None) == (number in CELLS)
        if found is not None:
            cell = CELLS[number]
            assert json.loads(unescape(found[1])) == cell.options(lang)  # pyright: ignore[reportArgumentType]
            assert cell.task.say(lang) in unescape(page)  # pyright: ignore[reportArgumentType]
    assert f'href="../{LIVE_FOLDER}/{INDEX}#lang={lang}"' in pages["index.html"]


def test_without_a_model_a_book_does_not_speak_of_one(tmp_path: Path):
    write_site(findings(), tmp_path)
    assert not (tmp_path / LIVE_FOLDER).exists()
    for page in tmp_path.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert "data-options" not in text
        assert f"../{LIVE_FOLDER}/" not in text


@needs_engine
def test_a_book_holds_the_page_of_its_model(tmp_path: Path, reverse_run: Path):
    files = write_site(findings(), tmp_path, reverse_run)
    assert {path.name for path in (tmp_path / LIVE_FOLDER).iterdir()} == {
        path.name for path in files if path.parent.name == LIVE_FOLDER
    }
    assert (tmp_path / LIVE_FOLDER / INDEX).is_file()
    assert all(path.is_file() for path in files)


def test_a_run_that_no_page_can_show_stops_the_book(tmp_path: Path):
    with pytest.raises(WhyformerError):
        write_site(findings(), tmp_path / "book", tmp_path / "nothing")
    assert not (tmp_path / "book").exists()
