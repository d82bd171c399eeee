"""Pages and pictures in a browser: on a phone and at a desk, by day and by night, on paper and read aloud."""

import json
import re
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plots.browser import Browser, find_chromium
from whyformer.plots.attention.map import Alternative, AttentionMap, WrittenToken
from whyformer.plots.attention.page import AttentionPage, attention_page
from whyformer.plots.chart import Language, draw_svg
from whyformer.plots.comparison import comparison_page
from whyformer.plots.curves import curves_chart
from whyformer.plots.panels import Curve, Curves
from whyformer.plots.profile import profile_page

pytestmark = pytest.mark.slow
MEASURE = (Path(__file__).parent / "measure.js").read_text(encoding="utf-8")
DRAWN = "document.body.dataset.drawn"
ENGLISH = [
    "▁the",
    "▁quick",
    ",",
    "▁brown",
    "▁internationalization",
    "s",
    "▁fox",
    "▁jump",
    "ed",
    "▁.",
    "▁",
    "▁1",
    "9",
    "9",
    "8",
    "▁WWW",
    "▁it",
]
CHINESE = [
    "▁我们",
    "在",
    "日星期一",
    "，",
    "36",
    "分钟",
    "前",
    "。",
    "看见",
    "了",
    "一",
    "、",
    "3",
    "月",
    "国际化",
    "的",
    "「",
    "会议",
]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Generator[Browser]:
    program = find_chromium()
    if program is None:
        pytest.skip("no Chromium is installed")
    browser = Browser(program, tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


def sentence(tokens: int, lang: Language, layers: int = 2, heads: int = 4) -> AttentionPage:
    """A page of a sentence of so many tokens on either side; the page in Chinese reads Chinese."""
    rng = np.random.default_rng(tokens)
    sides = [[*(words * 3)[: tokens - 1], "</s>"] for words in (ENGLISH, CHINESE)]
    source, target = sides if lang == "en" else reversed(sides)
    fed = ["<s>", *target[:-1]]

    def weights(keys: int) -> Any:
        return rng.dirichlet(np.full(keys, 0.3), size=(heads, tokens))

    maps = [
        map_
        for layer in range(layers)
        for map_ in (
            AttentionMap("encoder self", layer, weights(tokens), source, source),
            AttentionMap("decoder self", layer, np.tril(weights(tokens)), fed, fed, target),
            AttentionMap("cross", layer, weights(tokens), fed, source, target),
        )
    ]
    chances = rng.uniform(0.001, 1, tokens)
    written = [
        WrittenToken(token, float(chance), [Alternative(other, float(1 - chance)) for other in target[:3]])
        for token, chance in zip(target, chances, strict=True)
    ]
    text = ["".join(side).replace("▁", " ").strip() for side in (source, target)]
    return attention_page(maps, source=text[0], translation=text[1], written=written, lang=lang)


def faults(browser: Browser) -> dict[str, Any]:
    """What is wrong with the open page."""
    found = browser.ask(MEASURE)
    assert found.pop("texts") > 10
    return {name: value for name, value in found.items() if value} | (
        {"console": browser.faults} if browser.faults else {}
    )


def as_page(svg: str, path: Path) -> Path:
    path.write_text(f"<!DOCTYPE html><body style='margin:0'>{svg}</body>", encoding="utf-8")
    return path


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("tokens", [3, 12, 41])
def test_no_label_of_the_attention_page_lies_on_another_or_is_pale(
    browser: Browser, tokens: int, lang: Language, tmp_path: Path
) -> None:
    path = tmp_path / "page.html"
    path.write_text(sentence(tokens, lang).html(), encoding="utf-8")
    for width, dark, media in ((390, False, "screen"), (390, True, "screen"), (1440, False, "screen"),
                               (1440, True, "screen"), (760, True, "print")):  # fmt: skip
        browser.look(width, dark=dark and media == "screen", media=media)
        browser.open(path)
        assert faults(browser) == {}, (width, dark, media)
        for place in ("1", "2"):
            browser.ask(f"""(() => {{
                const list = document.getElementById("choose-place");
                list.value = {place};
                list.dispatchEvent(new Event("change"));
            }})()""")
            assert faults(browser) == {}, (width, dark, media, place)


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("tokens", [3, 12, 41])
def test_no_label_of_the_attention_picture_lies_on_another_or_is_pale(
    browser: Browser, tokens: int, lang: Language, tmp_path: Path
) -> None:
    browser.look(2400)
    browser.open(as_page(sentence(tokens, lang).picture, tmp_path / "picture.html"))
    assert faults(browser) == {}


def test_a_label_on_another_and_a_pale_one_are_found(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text(sentence(12, "en").html(), encoding="utf-8")
    browser.look(1440)
    browser.open(path)
    assert faults(browser) == {}
    browser.ask("""(() => {
        const names = document.querySelectorAll("#map text[text-anchor=end]");
        names[1].setAttribute("y", names[0].getAttribute("y"));
        names[2].style.fill = "#999";
        names[3].setAttribute("x", -20);
        document.querySelector("h1").style.color = "#888";
    })()""")
    found = faults(browser)
    assert [len(found[name]) for name in ("overlaps", "pale", "outside")] == [1, 2, 1]
    browser.look(1440, dark=True)
    browser.open(path)
    browser.ask("""document.body.style.background = "#777" """)
    assert "pale" in faults(browser)


def test_the_page_can_be_read_without_eyes_and_without_a_mouse(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text(sentence(3, "zh").html(), encoding="utf-8")
    browser.look(390)
    browser.open(path)
    assert browser.ask("document.documentElement.lang") == "zh-CN"
    told = browser.accessible()
    names = {name for _, name in told}
    assert any(role in ("image", "img") and name.startswith("交叉注意力，第 ") for role, name in told)
    assert {"注意力", "层", "头"} <= names
    focused: list[str] = []
    for _ in range(5):
        browser.press("Tab")
        focused.append(browser.ask("document.activeElement.id || document.activeElement.tagName"))
    assert focused == ["choose-place", "choose-layer", "choose-head", "map", "BUTTON"]
    before = browser.ask(
        """(document.getElementById("map").focus(), document.getElementById("read").textContent)"""
    )
    browser.press("ArrowDown")
    after = browser.ask("""document.getElementById("read").textContent""")
    assert before.startswith("<s> → ")
    assert after != before
    browser.ask("""document.querySelector("details").open = true""")
    browser.ask("new Promise((done) => setTimeout(done, 50))")
    rows = browser.ask(
        """[...document.querySelectorAll("#numbers th[scope=row]")].map((cell) => cell.textContent)"""
    )
    assert len(rows) == 3
    assert rows[0].startswith("<s> → ")


def test_what_is_dark_on_the_screen_is_printed_light(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text(sentence(3, "en").html(), encoding="utf-8")
    browser.look(1000, dark=True)
    browser.open(path)
    first = """getComputedStyle(document.querySelector(".cell[data-cell='1']")).fill"""
    assert browser.ask(first) != "rgb(255, 255, 255)"
    browser.ask(f"""addEventListener("beforeprint", () => {{ window.printed = [
        {first}, document.getElementById("map").getAttribute("width")] }})""")
    browser.paper(tmp_path / "page.pdf")
    weight = json.loads(browser.ask("document.getElementById('data').textContent"))
    state = weight["open"]
    light = np.array([list(bytes.fromhex(color[1:])) for color in weight["light"]])
    shown = weight["places"][0]["layers"][state["layer"]]["heads"][state["head"]][1] / 1000
    expected = [round(float(np.interp(shown, weight["stops"], band))) for band in light.T]
    printed = [int(band) for band in re.findall(r"\d+", browser.ask("window.printed[0]"))]
    assert np.abs(np.subtract(printed, expected)).max() <= 1
    assert browser.ask(first) != browser.ask("window.printed[0]")  # dark again


def row(cell: str, *values: float) -> dict[str, Any]:
    span = {"mean": sum(values) / len(values), "low": min(values), "high": max(values)}
    return {"cell": cell, "values": dict(enumerate(values, start=1)), "estimate": span}


def charts(lang: Language) -> Any:
    """Pages of charts that say what is typical: long names, close numbers, a busy machine."""
    names = ("unchanged", "attention.key_value_heads=2,learning_rate=0.0005")
    figures = {
        "nll": [row(names[0], 2.3555, 2.3556, 2.3571), row(names[1], 2.31, 2.33, 2.3)],
        "bleu": [row(names[0], 0.0), row(names[1], 0.0)],
        "tokens_per_second": [row(names[0], 12_345, 12_600), row(names[1], 11_022, 11_010)],
    }
    cells = [
        {"part": part, "kind": kind, "backward": backward, "ms": 1.0 + len(part + kind) * (1 + backward)}
        for part in ("encoder attention", "decoder recurrent layers", "gradient norm and clipping")
        for kind in ("matrix products", "softmax", "norms", "sums, maxima, sorting", "lookups", "Python",
                     "allocation and filling", "autograd", "recurrences, convolutions")
        for backward in (False, True)
    ]  # fmt: skip
    total = sum(float(cell["ms"]) for cell in cells)
    record = {"work": "training", "unit": "step", "count": 5, "conditions": "bf16, 2 threads", "cells": cells,
              "ms": 2 * total, "traced_ms": total}  # fmt: skip
    settings = {names[0]: {"model.heads": "4"}, names[1]: {"model.heads": "8"}}
    return [comparison_page("demo", figures, settings, lang), profile_page("demo", [record], lang)]


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_no_label_of_a_chart_lies_on_another_or_is_pale(
    browser: Browser, lang: Language, tmp_path: Path
) -> None:
    for page in charts(lang):
        path, _ = page.save(tmp_path)
        for width, dark, media in ((390, False, "screen"), (390, True, "screen"), (1440, False, "screen"),
                                   (1440, True, "screen"), (760, True, "print")):  # fmt: skip
            browser.look(width, dark=dark, media=media)
            browser.open(path, DRAWN)
            assert faults(browser) == {}, (page.stem, width, dark, media)
        assert any(page.heading in name for role, name in browser.accessible() if role != "RootWebArea")
        browser.look(2000)
        browser.open(as_page(draw_svg(page.still), tmp_path / "picture.html"))
        assert faults(browser) == {}, page.stem


CURVES = Curves(
    per="token", scores=(Curve("bleu", "BLEU"), Curve("exact", "exact match"), Curve("bits", "bits", "bits"))
)
LOGS = {
    "one entry": [{"step": 40, "event": "train", "loss": 2.355, "nll": 2.355, "learning_rate": 3e-6}],
    "a long run": [
        {"step": 100 * n, "event": event, "loss": 9 / (n + 1), "nll": 8 / (n + 1), "learning_rate": 1e-4 * n,
         "gradient_norm": 1.5, "tokens_per_second": 12_345.6, "bleu": 3.0 * n, "exact": 0.0, "bits": 1.21}
        for n in range(12) for event in ("train", "valid")
    ],
    "what is no number": [{"step": 1, "event": "train", "loss": float("nan"), "tokens_per_second": 1e9}],
}  # fmt: skip


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("log", LOGS)
def test_no_label_of_the_curves_lies_on_another_or_is_pale(
    browser: Browser, log: str, lang: Language, tmp_path: Path
) -> None:
    browser.look(1200)
    browser.open(as_page(draw_svg(curves_chart(LOGS[log], CURVES, lang)), tmp_path / "curves.html"))
    found = browser.ask(MEASURE)
    assert json.dumps([found["overlaps"], found["outside"], found["pale"]]) == "[[], [], []]"
