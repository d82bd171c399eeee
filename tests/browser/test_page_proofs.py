"""The page under whatever comes: any text, damaged files, a thousand sentences, another browser.

It needs Chromium or Chrome and the extra ``browser``; and Firefox, where it is there.
"""

import functools
import http.server
import json
import random
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest
import torch

from browsers import needs_chromium, opened
from engines.toy_models import needs_engines
from whyformer.browser.page import write_run_page
from whyformer.engines.native.engine import NativeEngine
from whyformer.runs.execution import Execution
from whyformer.runs.load import load_as
from whyformer.special_tokens import EOS
from whyformer.tasks.translation.translator import Translator

pytest.importorskip("playwright", reason="needs the extra browser")
pytest.importorskip("websockets", reason="needs the extra browser")

from playwright.sync_api import Browser, Page

from browser.firefox import FIREFOX, firefox_tab
from browser.texts import odd_texts

WATCH = (Path(__file__).parents[2] / "benchmarks" / "watch_page.js").read_text(encoding="utf-8")
pytestmark = [
    pytest.mark.slow,
    needs_chromium,
    needs_engines,
]
MEGABYTES = 64
# Milliseconds: something is said within the first, and never does the page stand still for the other.
PATIENCE, STILL = 10_000, 500


@pytest.fixture(scope="module")
def folder(reverse_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("proofs") / "page"
    write_run_page(reverse_run, place)
    return place


@pytest.fixture(scope="module")
def page(folder: Path, browser: Browser) -> Page:
    opened = browser.new_page()
    opened.add_init_script(WATCH)
    opened.goto(f"{(folder / 'index.html').as_uri()}#lang=en")
    opened.wait_for_function("watched.shown !== null")
    return opened


# Puts each text into the field, and waits until the page has said all that it has to say about it.
TYPE_ALL = """async ([texts, patience]) => {
  const field = document.querySelector(".input textarea");
  const pause = (time) => new Promise((settle) => setTimeout(settle, time));
  const told = () => [".output .translation", ".output .fault", ".output .measures"]
    .map((place) => document.querySelector(place)?.textContent ?? "");
  const found = [];
  for (const text of texts) {
    const began = performance.now();
    field.value = text;
    field.dispatchEvent(new Event("input", { bubbles: true }));
    for (let before = null; performance.now() - began < patience; ) {
      await pause(80);
      const now = JSON.stringify(told());
      if (now === before && !watched.pending) break;
      before = now;
    }
    found.push([...told(), performance.now() - began]);
  }
  return found;
}"""


def typed(page: Page, texts: list[str]) -> list[tuple[str, str, str, float]]:
    """What stands on the page for each text: translation, fault, facts; and milliseconds that it took."""
    page.evaluate("watched.watchTime()")
    found = page.evaluate(TYPE_ALL, [texts, PATIENCE])
    assert page.evaluate("watched.longest") < STILL
    return [tuple(each[:4]) for each in found]


def long_texts() -> list[str]:
    units = [
        "1",
        "1 ",
        "字",
        "字 ",
        "é",
        "e\u0301",
        "👨\u200d👩\u200d👧",
        "\u202e",
        "<b>",
        "a\u0301\u0302 ",
        "\n",
        "\0",
    ]
    return [(unit * 10_000)[:10_000] for unit in units]


@pytest.mark.parametrize(
    "texts",
    [
        ["", " ", "\n\n", "\u3000", "\u200b"],
        long_texts(),
        [
            "<img src=x onerror=alert(1)>",
            "</script><script>alert(1)</script>",
            "${1}",
            "&lt;",
            "javascript:1",
        ],
        odd_texts(500, seed=3),
    ],
    ids=["blank", "long", "markup", "odd"],
)
def test_any_text_gives_a_translation_or_a_sentence(page: Page, texts: list[str]):
    for text, (translation, fault, facts, waited) in zip(texts, typed(page, texts), strict=True):
        told = repr(text[:40])
        assert waited < PATIENCE, told
        assert translation or fault or facts, told
        # One sentence, without what a program says to its maker.
        assert "Error" not in fault
        assert "undefined" not in fault + facts + translation, told
    assert page.locator(".output img, .output script").count() == 0
    (last,) = typed(page, ["3 1 4 2"])
    assert last[0] == "2 4 1 3"


def test_half_of_a_surrogate_pair_is_told(page: Page):
    for half in ("\\ud800", "\\udfff", "1 \\udc00 2"):
        page.evaluate(f"watched.half = '{half}'")
        found = page.evaluate(TYPE_ALL.replace("of texts", "of [watched.half]"), [[], PATIENCE])
        translation, fault, facts = found[0][:3]
        assert translation or fault or facts
    (last,) = typed(page, ["1 2"])
    assert last[0] == "2 1"


def damaged(text: str, kind: str, drawn: random.Random) -> str:
    """The text of a data file with something wrong in its middle."""
    match kind:
        case "cut off":
            return text[: drawn.randrange(200, len(text))]
        case "empty":
            return ""
        case "a character":
            start = text.index('"weights":') if '"weights":' in text else text.index("=")
            at = drawn.randrange(start + 100, len(text) // 2)
            return text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]
        case "no base64":
            at = len(text) // 3
            return text[:at] + "é*" + text[at + 2 :]
        case _:
            return text.replace('"weights"', '"height"').replace(".engine", ".motor")


@pytest.mark.parametrize("kind", ["cut off", "empty", "a character", "no base64", "another field"])
@pytest.mark.parametrize("name", ["model.js", "engine.js"])
def test_a_damaged_file_is_a_sentence(folder: Path, browser: Browser, tmp_path: Path, name: str, kind: str):
    drawn = random.Random(f"{name} {kind}")
    for number in range(3):
        place = tmp_path / str(number)
        shutil.copytree(folder, place)
        text = (place / name).read_text(encoding="utf-8")
        (place / name).write_text(damaged(text, kind, drawn), encoding="utf-8")
        page = browser.new_page()
        page.goto((place / "index.html").as_uri())
        said = [f"document.querySelector('{name}')?.textContent" for name in ("[role=alert]", ".measures")]
        page.wait_for_function(" || ".join(said), timeout=PATIENCE)
        told = page.evaluate("document.querySelector('[role=alert]')?.textContent ?? ''")
        # A bit of the program itself may be one that no sentence needs: then it translates.
        assert told or (name, kind) == ("engine.js", "a character")
        assert "Error" not in told
        assert told.count(".") <= 4
        page.close()


def test_memory_is_small_and_flat(page: Page):
    def megabytes() -> float:
        cdp = page.context.new_cdp_session(page)
        cdp.send("HeapProfiler.collectGarbage")
        heap = cdp.send("Runtime.getHeapUsage")["usedSize"]
        memory: dict[str, Any] = page.evaluate("watched.ask('memory')")["result"]
        assert memory["shared"] is False
        return (heap + memory["bytes"]) / 1e6

    drawn = random.Random(1)
    texts = [" ".join(drawn.choices("01234", k=drawn.randint(1, 8))) for _ in range(1000)]
    ask = """async (texts) => { const lens = { ablated: [], masks: {} }, search = { kind: "beam", size: 4 };
      for (const text of texts) await watched.ask("translate", { text, search, lens }); }"""
    page.evaluate(ask, texts[:500])
    half = megabytes()
    page.evaluate(ask, texts[500:])
    assert megabytes() < min(MEGABYTES, half + 1)
    assert page.evaluate("crossOriginIsolated") is False


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


def test_a_plain_web_server_serves_it(folder: Path, browser: Browser):
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        page, heard = opened(browser, f"{address}/index.html#text=3+1+4+2", address)
        page.wait_for_function("document.querySelector('.output .translation')?.textContent === '2 4 1 3'")
        assert heard == []
        page.close()
        server.shutdown()


def test_the_keyboard_goes_all_the_way_round(folder: Path, browser: Browser):
    page = browser.new_page()
    page.goto(f"{(folder / 'index.html').as_uri()}#text=3+1+4+2&lang=en")
    page.wait_for_function("document.querySelector('.measures')?.textContent")
    page.wait_for_timeout(300)
    reached = list[str]()
    for _ in range(300):
        page.keyboard.press("Tab")
        where = page.evaluate(
            """() => { const at = document.activeElement;
              if (at === document.body) return "";
              const box = at.getBoundingClientRect();
              const part = at.closest("[data-part]")?.dataset.part ?? "page";
              return [part, box.width > 0 && box.height > 0].join(); }"""
        )
        if where == "":
            break
        reached.append(where)
    else:
        pytest.fail("the tab key never leaves the page")
    assert {each.split(",")[0] for each in reached} >= {"input", "steps", "heads", "search", "masks", "own"}
    assert all(each.endswith("true") for each in reached)
    page.close()


@pytest.mark.skipif(FIREFOX is None, reason="no Firefox on this machine")
def test_firefox_translates_as_the_native_engine_does(folder: Path, reverse_run: Path, tmp_path: Path):
    drawn = random.Random(2)
    texts = [" ".join(drawn.choices("01234", k=drawn.randint(1, 8))) for _ in range(50)]
    translator = load_as(Translator, reverse_run, Execution("cpu"))
    engine = NativeEngine(translator.model, "int8")
    expected: list[list[int]] = []
    for text in texts:
        row = torch.tensor([[*translator.tokenizers.source.encode(text), EOS]])
        valid = torch.ones_like(row, dtype=torch.bool)
        best = engine(row, valid, translator.settings, model_limit=translator.model.longest - 1)[0][0]
        expected.append(list(best.tokens))
    with firefox_tab(tmp_path) as tab:
        tab.open("about:blank")
        tab.say("script.addPreloadScript", {"functionDeclaration": f"() => {{ {WATCH} }}"})
        tab.open(f"{(folder / 'index.html').as_uri()}#text=3+1+4+2&lang=zh")
        waiting = """new Promise((settle) => { const look = () => {
          const told = document.querySelector(".output .translation")?.textContent;
          told ? settle(told) : setTimeout(look, 20); }; look(); })"""
        assert tab.evaluate(waiting) == "2 4 1 3"
        settings = json.dumps(translator.settings.model_dump(mode="json"))
        found = tab.evaluate(
            f"""(async () => {{ const found = [];
              const {{ kind, size }} = {settings};
              for (const text of {json.dumps(texts)}) {{
                const lens = {{ ablated: [], masks: {{}} }}, search = {{ kind, size }};
                const {{ result }} = await watched.ask("translate", {{ text, search, lens }});
                found.push([...result.outputs[0].ids]);
              }}
              return found; }})()"""
        )
        assert tab.evaluate("crossOriginIsolated") is False
        assert tab.heard == []
    assert found == expected
