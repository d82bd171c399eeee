"""How fast and how true a run is in a browser: its page in headless Chromium, from disk.

    python benchmarks/browser.py [--run runs/demo] [--on test] [--pairs 1076] [--sentences 1000] [--json]

First what has to be equal: the tokens of each source of a test set, greedily and by the recipe's search, with
those of the native engine in int8, each difference shown with how near the two were; and attention
with what ``whyformer inspect`` computes by that engine. Then times, memory and sizes. The exit status is 1 if
a token differs that is no tie (1e-4), or a weight by more than 1e-3.

It needs the extra `browser` and a Chromium or Chrome; `watch_page.js` says how the page is watched.
"""

import argparse
import hashlib
import json
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from playwright.sync_api import Browser, CDPSession, Page, sync_playwright
from report import machine, table

from whyformer.analysis.inspection import inspect_translation
from whyformer.browser.page import INDEX, LARGEST_BEAM, write_run_page
from whyformer.data.corpora.parallel import load_held_out
from whyformer.decoding.greedy import GreedySpec
from whyformer.decoding.search import SearchSpec
from whyformer.engines.native.engine import NativeEngine
from whyformer.engines.webassembly.build import ENGINE
from whyformer.runs.execution import Execution
from whyformer.runs.load import load_as, read_recipe
from whyformer.special_tokens import BOS, EOS
from whyformer.tasks.translation.translator import Translator

WATCH = Path(__file__).with_name("watch_page.js")
TIE = 1e-4
"""Nats between two tokens or scores that rounding may decide."""
CLOSE = 1e-3
"""Between two attention weights."""
STARTS = 5
MEMORY_AFTER = (0.1, 0.5, 1.0)
"""Parts of the sentences after which memory is measured."""
SHOWN = 4
"""Hypotheses that the page asks a beam for."""

# A whole set in one call; what comes back is little.
TRANSLATE = """async ([texts, search]) => {
  const rows = [];
  for (const text of texts) {
    const began = performance.now();
    const lens = { ablated: [], masks: {} };
    const { result, fault } = await watched.ask("translate", { text, search, lens });
    if (fault) throw new Error(`${JSON.stringify(fault)}: ${text}`);
    const waited = performance.now() - began;
    const { ids, score } = result.outputs[0];
    rows.push({ ids, score, milliseconds: result.milliseconds, waited });
  }
  return rows;
}"""
LOOK = """async ([text, translation]) => {
  const { result } = await watched.ask("look", { text, translation });
  return result.attention.map(({ place, layer, weights }) => [place, layer, [...weights]]);
}"""
# Every fifth is looked at long enough for its tree to be drawn, too.
TYPE = """async (texts) => {
  const times = [];
  for (const [at, text] of texts.entries()) {
    times.push(await watched.type(text));
    if (at % 5 === 4) await new Promise((done) => setTimeout(done, 250));
  }
  return times;
}"""


class Difference(NamedTuple):
    """A source whose translation in the page is another."""

    source: str
    native: str
    page: str
    gap: float
    """Nats between the first tokens that differ, as the native engine has them."""
    scores: float
    """Between the scores of both translations."""

    @property
    def is_tie(self) -> bool:
        """Whether rounding decided."""
        return min(self.gap, self.scores) <= TIE


class Search(NamedTuple):
    """All sources translated by one way of searching."""

    name: str
    differences: list[Difference]
    worker: list[float]
    """Milliseconds of each sentence, as the worker reports them."""
    page: list[float]
    """Milliseconds from a request to its answer, which has the tree and all attention in it."""


def main() -> None:
    """Read the arguments, write the page, watch it, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", default="runs/demo", type=Path)
    parser.add_argument("--on", help="name of a test set; the first of the recipe if left out")
    parser.add_argument("--pairs", type=int, help="sources translated; all if left out")
    parser.add_argument("--sentences", type=int, default=1000, help="sentences typed while memory is watched")
    parser.add_argument("--json", action="store_true", help="print all figures as JSON instead of a table")
    arguments = parser.parse_args()
    if not arguments.run.exists():
        sys.exit(f"{arguments.run} is not there; train it first (`make demo`)")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        sizes = write_run_page(arguments.run, Path(folder))
        figures = measured(driver.chromium, Path(folder) / INDEX, arguments)
    figures["kilobytes"] = {name: size / 1e3 for name, size in sizes.items()}
    if arguments.json:
        print(json.dumps(figures, ensure_ascii=False, indent=1))
    else:
        print("".join(f"{key}: {value}\n" for key, value in figures["about"].items()))
        print(table([{"figure": name, "value": value} for name, value in rows(figures)]))
        for search in figures["searches"]:
            for each in search["differences"]:
                print(f"{search['name']}: {each}")
    if not figures["equal"]:
        sys.exit(1)


def measured(chromium: Any, index: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """All figures of the page at ``index``."""
    tests = load_held_out(read_recipe(arguments.run).data, [arguments.on] if arguments.on else [])
    set_name, pairs = next(iter(tests.items()))
    # Nothing but blanks is no sentence, and the page does not translate a sentence that is there already.
    sources = [*dict.fromkeys(pair.source for pair in pairs if pair.source.strip())][: arguments.pairs]
    native = load_as(Translator, arguments.run, Execution("cpu", 1, "int8", "native"))
    with started(chromium) as browser:
        about = machine(1)
        about["browser"] = f"Chromium {browser.version}, headless, from disk"
        engine = ENGINE.read_bytes()
        about["engine"] = f"{len(engine):,} bytes, {hashlib.sha256(engine).hexdigest()[:16]}"
        about["sources"] = f"{len(sources)} of {arguments.run}, {set_name}"
        page = opened(browser, index)
        searches = [searched(page, native, sources, settings) for settings in ways(native)]
        attention = attention_gaps(page, arguments.run, native, sources[:50])
        page.context.close()
    with started(chromium) as browser:
        memory = memory_of(browser, index, sources, arguments.sentences)
    starts = [start_of(chromium, index) for _ in range(STARTS)]
    ties = all(each.is_tie for search in searches for each in search.differences)
    return {
        "about": about,
        "equal": ties and attention["native int8"] <= CLOSE,
        "searches": [
            {**search._asdict(), "differences": [each._asdict() for each in search.differences]}
            for search in searches
        ],
        "attention": attention,
        "starts": starts,
        **memory,
    }


@contextmanager
def started(chromium: Any) -> Iterator[Browser]:
    """A fresh Chromium."""
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        sys.exit("there is no Chromium or Chrome on this machine")
    # As root, as in a container, Chromium has no sandbox.
    browser = chromium.launch(executable_path=path, args=["--no-sandbox"])
    try:
        yield browser
    finally:
        browser.close()


def opened(browser: Browser, index: Path) -> Page:
    """The page, watched, once it has shown its first translation; anything that it complains of ends all."""
    page = browser.new_context().new_page()
    page.on("pageerror", lambda error: sys.exit(f"the page failed: {error}"))
    page.add_init_script(path=WATCH)
    page.goto(index.as_uri())
    page.wait_for_function("watched.shown !== null", polling=20)
    return page


def ways(translator: Translator) -> list[SearchSpec]:
    """Greedy search, and the recipe's, as the page begins with it."""
    settings = translator.settings
    shared = {name: getattr(settings, name) for name in GreedySpec.model_fields if name != "kind"}
    greedy = GreedySpec.model_validate(shared)
    if settings.kind != "beam":
        return [greedy]
    return [greedy, settings.model_copy(update={"size": min(settings.size, LARGEST_BEAM)})]


def searched(page: Page, native: Translator, sources: Sequence[str], settings: SearchSpec) -> Search:
    """Translate ``sources`` in the page and by the native engine, and compare."""
    asked: dict[str, Any] = {"kind": "greedy"}
    if settings.kind == "beam":
        asked = {"kind": "beam", "size": settings.size, "n_best": min(settings.size, SHOWN)}
    found = page.evaluate(TRANSLATE, [list(sources), asked])
    wanted = [best[0] for best in native.translate(sources, settings)]
    differences = [
        Difference(
            source,
            best.text,
            native.tokenizers.target.decode(row["ids"]),
            token_gap(native, source, best.ids, row["ids"]),
            abs(best.score - row["score"]),
        )
        for source, best, row in zip(sources, wanted, found, strict=True)
        if list(best.ids) != row["ids"]
    ]
    name = "greedy" if settings.kind != "beam" else f"beam {settings.size}"
    return Search(name, differences, [row["milliseconds"] for row in found], [row["waited"] for row in found])


def token_gap(native: Translator, source: str, wanted: Sequence[int], found: Sequence[int]) -> float:
    """Difference of the logits of the first two tokens that differ."""
    assert isinstance(native.engine, NativeEngine)
    ends = [*wanted, EOS], [*found, EOS]
    at = next(place for place, (one, other) in enumerate(zip(*ends, strict=False)) if one != other)
    read = [*native.tokenizers.source.encode(source), EOS]
    logits = native.engine.look(read, [BOS, *wanted[:at]]).logits[-1]
    return float((logits[ends[0][at]] - logits[ends[1][at]]).abs())


def attention_gaps(page: Page, run: Path, native: Translator, sources: Sequence[str]) -> dict[str, float]:
    """Largest difference of a weight in the page from the native engine's, and from torch's in fp32."""
    plain = load_as(Translator, run, Execution("cpu", 1))
    gaps = {"native int8": 0.0, "torch fp32": 0.0}
    for source, translation in zip(sources, native.best(sources), strict=True):
        seen = {
            (place, layer): weights for place, layer, weights in page.evaluate(LOOK, [source, translation])
        }
        for name, translator in (("native int8", native), ("torch fp32", plain)):
            maps = inspect_translation(translator, source, translation).attention
            assert {(each.place, each.layer) for each in maps} == set(seen)
            for each in maps:
                weights = np.array(seen[each.place, each.layer]).reshape(each.array().shape)
                gaps[name] = max(gaps[name], float(np.abs(weights - each.array()).max()))
    return gaps


def start_of(chromium: Any, index: Path) -> dict[str, float]:
    """Milliseconds from the navigation in a fresh browser to a worker that is ready, and to a translation."""
    with started(chromium) as browser:
        page = opened(browser, index)
        return page.evaluate("({ ready: watched.ready, shown: watched.shown })")


def memory_of(browser: Browser, index: Path, sources: Sequence[str], count: int) -> dict[str, Any]:
    """Memory while ``count`` sentences are typed, and the milliseconds from each until it is translated."""
    empty = browser.new_page()
    empty.goto("data:text/html,<!DOCTYPE html><title>Blank</title><textarea></textarea>")
    empty.wait_for_timeout(500)
    blank = private_megabytes(browser)
    empty.close()
    page = opened(browser, index)
    devtools, worker = page.context.new_cdp_session(page), list[str]()
    devtools.on("Target.attachedToTarget", lambda told: worker.append(told["sessionId"]))
    attach = {"autoAttach": True, "waitForDebuggerOnStart": False, "flatten": False}
    devtools.send("Target.setAutoAttach", attach)
    page.wait_for_timeout(200)
    texts = [sources[place % len(sources)] for place in range(count)]
    times, memory, done = list[float](), dict[str, dict[str, float]](), 0
    for part in (0.0, *MEMORY_AFTER):
        stop = round(part * count)
        times += page.evaluate(TYPE, texts[done:stop])
        done = stop
        megabytes = {
            "wasm": page.evaluate("watched.ask('memory')")["result"]["bytes"] / 1e6,
            "page": heap(devtools.send, page),
            "worker": heap(lambda method, id=worker[0]: to_worker(devtools, page, id, method), page),
        }
        memory[str(stop)] = {**megabytes, "together": sum(megabytes.values())}
        if blank is not None and (private := private_megabytes(browser)) is not None:
            memory[str(stop)]["process"] = private - blank
    return {"typed": times, "megabytes": memory}


def heap(send: Any, page: Page) -> float:
    """Megabytes that live objects of JavaScript take, with what hangs on them."""
    for _ in range(2):
        send("HeapProfiler.collectGarbage")
        page.wait_for_timeout(50)
    used = send("Runtime.getHeapUsage")
    return (used["usedSize"] + used["embedderHeapUsedSize"] + used["backingStorageSize"]) / 1e6


def to_worker(devtools: CDPSession, page: Page, session: str, method: str) -> dict[str, Any]:
    """Answer of the page's worker to one of the browser's own questions."""
    answers: list[dict[str, Any]] = []

    def hear(told: dict[str, Any]) -> None:
        message = json.loads(told["message"])
        if message.get("id") == 1:
            answers.append(message["result"])

    devtools.on("Target.receivedMessageFromTarget", hear)
    message = json.dumps({"id": 1, "method": method})
    devtools.send("Target.sendMessageToTarget", {"sessionId": session, "message": message})
    while not answers:
        page.wait_for_timeout(5)
    devtools.remove_listener("Target.receivedMessageFromTarget", hear)
    return answers[0]


def private_megabytes(browser: Browser) -> float | None:
    """Memory that pages' processes have written to, Chromium's own too; None where no system tells."""
    told = browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")["processInfo"]
    total = 0
    for process in told:
        if process["type"] == "renderer":
            try:
                text = Path(f"/proc/{process['id']}/smaps_rollup").read_text(encoding="ascii")
            except OSError:
                return None
            kinds = ("Pss_Anon:", "Pss_Shmem:")
            total += sum(int(line.split()[1]) for line in text.splitlines() if line.startswith(kinds))
    return total * 1024 / 1e6


def rows(figures: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The table."""
    for search in figures["searches"]:
        count = len(search["worker"])
        yield f"{search['name']}: tokens equal", f"{count - len(search['differences'])} of {count}"
        yield f"{search['name']}: ms a sentence, in the worker", spread(search["worker"], 1)
        yield f"{search['name']}: ms a sentence, to the page with all attention", spread(search["page"], 1)
    for name, gap in figures["attention"].items():
        yield f"attention: largest difference from {name}", f"{gap:.2g}"
    for name in ("ready", "shown"):
        yield f"start: ms until {name}", spread([each[name] for each in figures["starts"]], 0)
    yield "ms from a key to the translation shown", spread(figures["typed"], 0)
    for count, megabytes in figures["megabytes"].items():
        parts = ", ".join(f"{name} {value:.1f}" for name, value in megabytes.items())
        yield f"MB after {count} sentences", parts
    sizes = figures["kilobytes"]
    yield "kB of the page", f"{sum(sizes.values()):,.0f}"
    for name, size in sizes.items():
        yield f"kB of {name}", f"{size:,.1f}"


def spread(values: Sequence[float], digits: int) -> str:
    """Median, 95th percentile and maximum."""
    high = statistics.quantiles(values, n=20, method="inclusive")[-1] if len(values) > 1 else values[0]
    median, high, most = (f"{value:,.{digits}f}" for value in (statistics.median(values), high, max(values)))
    return f"median {median}, p95 {high}, most {most}"


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
