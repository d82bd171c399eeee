"""Live cells of the book: a model beside the answers that it can show, and none where there is none."""

import json
import re
from html import unescape
from pathlib import Path

import pytest
from typer.testing import CliRunner

from whyformer.browser.page import INDEX, run_page
from whyformer.cli.main import app
from whyformer.engines.webassembly.build import missing_engine
from whyformer.language import LANGUAGES
from whyformer.why import catalogue
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
            assert cell.options(lang, 2_400_000) == {**cell.options(lang, 0), "lang": lang, "size": "2.4"}


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_cell_is_told_what_to_show_and_the_reader_what_to_try(lang: str):
    pages = Edition(findings(), lang, live=2_449_000).pages()  # pyright: ignore[reportArgumentType]
    for number in NUMBERS:
        page = pages[f"q{number:02}.html"]
        found = re.search(r'class="cell" data-options="([^"]*)"', page)
        assert (found is not None) == (number in CELLS)
        if found is not None:
            cell = CELLS[number]
            assert json.loads(unescape(found[1])) == cell.options(lang, 2_449_000)  # pyright: ignore[reportArgumentType]
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
    files = write_site(findings(), tmp_path, run_page(reverse_run))
    assert {path.name for path in (tmp_path / LIVE_FOLDER).iterdir()} == {
        path.name for path in files if path.parent.name == LIVE_FOLDER
    }
    assert (tmp_path / LIVE_FOLDER / INDEX).is_file()
    assert all(path.is_file() for path in files)


def test_a_run_that_no_page_can_show_is_refused_before_anything_is_measured(tmp_path: Path):
    told = CliRunner().invoke(
        app, ["why", "--all", "--site", str(tmp_path / "book"), "--live", str(tmp_path / "nothing")]
    )
    assert (told.exit_code, told.stdout) == (2, "")
    assert "nothing" in told.stderr
    assert not (tmp_path / "book").exists()


@pytest.mark.parametrize("has_demo", [True, False])
def test_a_demo_that_cannot_be_shown_costs_the_model_and_not_the_book(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_demo: bool
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(catalogue, "QUESTIONS", {number: QUESTIONS[number] for number in NUMBERS})
    if has_demo:
        (tmp_path / "runs" / "demo").mkdir(parents=True)
    told = CliRunner().invoke(app, ["why", "--site", "book"])
    assert told.exit_code == 0, told.exception
    assert "no model is alive in this book" in told.stderr
    assert (tmp_path / "book" / "en" / "q01.html").is_file()
    assert not (tmp_path / "book" / LIVE_FOLDER).exists()
