"""What holds for all tests, and the one trained run that many of them use."""

import dataclasses
import gc
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest
import torch
from filelock import FileLock
from hypothesis import HealthCheck, settings

from browsers import chromium
from whyformer import machine

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# As in the program: modules and tests make a million objects that stay, and need not be looked through.
gc.set_threshold(100_000)

# A shell's background jobs ignore Ctrl-C, and so would every program that tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Messages are compared in English, whatever the language of who runs the tests.
os.environ["WHYFORMER_LANG"] = "en"

# Test workers share the cores with each other and with whatever else runs: a deadline would measure that.
settings.register_profile("shared-cores", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared-cores")

THREADS = torch.get_num_threads()
# What `make test-processors` pretends; ATen and oneDNN are told by variables of their own.
FEATURES, BF16 = (os.environ.get(f"WHYFORMER_TEST_{name}") for name in ("FEATURES", "BF16"))

REVERSE = """\
data: {kind: reverse, symbols: 5, shortest: 2, longest: 5, pairs: 1500}
tokenizers: {kind: joint, both: {kind: word, split: spaces}}
model:
  d_model: 32
  embedding: {dropout: 0.0}
  encoder:
    layers: 1
    block: {attention: {heads: {query: 2}}, feed_forward: {hidden: 64}, dropout: 0.0}
  decoder:
    layers: 1
    block:
      attention: {heads: {query: 2}}
      cross_attention: {heads: {query: 2}}
      feed_forward: {hidden: 64}
      dropout: 0.0
  longest: 16
training:
  steps: 400
  batching: {tokens: 192}
  loss: {label_smoothing: 0.0}
  schedule: {kind: linear, peak: 0.01, warmup: 50}
  precision: fp32
  validation: {every: 100, average: 3}
  save_every: 400
  log_every: 100
decoding: {kind: beam, size: 5}
scoring: {tokenize: none}
"""

COUNTING = """\
task: causal_lm
data: {{train: [{text}], valid: 0.2}}
tokenizer: {{kind: bpe, vocabulary: 330}}
model:
  preset: tiny
  d_model: 32
  stack:
    layers: 1
    block: {{attention: {{heads: {{query: 2}}}}, feed_forward: {{hidden: 64}}, dropout: 0.0}}
  longest: 48
training:
  seed: 2
  steps: 150
  batching: {{tokens: 384}}
  loss: {{label_smoothing: 0.1}}
  schedule: {{kind: linear, peak: 0.01, warmup: 20}}
  precision: fp32
  validation: {{every: 50, average: 2}}
  save_every: 50
  log_every: 50
decoding: {{kind: sampling, temperature: 0.1, longest_factor: 0.0, longest_extra: 12}}
"""


FILLING = """\
task: masked_lm
data: {{train: [{text}], valid: 0.2}}
tokenizer: {{kind: word, specials: ["[MASK]"]}}
model:
  preset: tiny
  d_model: 32
  deviation: null
  embedding: {{scale: true, deviation: null, dropout: 0.0}}
  stack:
    layers: 1
    positions: [{{kind: rotary}}]
    block:
      attention: {{heads: {{query: 2}}, dropout: 0.0}}
      feed_forward: {{hidden: 64}}
      dropout: 0.0
  longest: 32
duplicates: 4
training:
  steps: 300
  batching: {{tokens: 512}}
  loss: {{label_smoothing: 0.0}}
  schedule: {{kind: linear, peak: 0.01, warmup: 30}}
  precision: fp32
  validation: {{every: 100, average: 1}}
  save_every: 100
  log_every: 100
"""


@pytest.fixture(scope="session", autouse=True)
def pretended_processor() -> Iterator[None]:
    """Tell the library of instruction sets and of a speed of bf16 that this processor may not have."""
    with pytest.MonkeyPatch.context() as patch:
        if FEATURES is not None:
            processor = dataclasses.replace(machine._processor(), features=tuple(FEATURES.split(",")))
            patch.setattr(machine, "_processor", lambda: processor)
        if BF16 is not None:
            speeds = (100.0, {"on": 4.0, "off": 0.25}[BF16] * 100.0)
            patch.setattr(machine, "_measured_gflops", lambda threads: speeds)
        yield


@pytest.fixture(autouse=True)
def the_usual_threads() -> None:
    """Begin each test with as many threads as the first had, whatever others or their fixtures have set."""
    torch.set_num_threads(THREADS)


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """A Chromium; who wants it first makes sure that there is one."""
    with chromium() as started:
        yield started


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all test workers have in common."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


@pytest.fixture(scope="session")
def filling_run(shared_folder: Path) -> Path:
    """The folder of a run that fills holes in English and Chinese counting; copy it before you change it."""
    with FileLock(shared_folder / "filling.lock"):
        if not (shared_folder / "filling").exists():
            words = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
            random = Random(0)
            documents: list[str] = []
            for joint, end, units in 40 * [(" ", ".", words), ("", "。", [*"一二三四五六七八九十"])]:
                starts = [random.randrange(6) for _ in range(8)]
                parts = [joint.join(units[a : random.randrange(a + 4, 11)]) + end for a in starts]
                documents.append("\n".join(parts))
            text = shared_folder / "filling.txt"
            text.write_text("\n\n".join(documents), encoding="utf-8")
            _train(FILLING.format(text=text), shared_folder / "filling")
    return shared_folder / "filling"


@pytest.fixture(scope="session")
def counting_run(shared_folder: Path) -> Path:
    """The folder of a run that counts on in words; copy it before you change it."""
    with FileLock(shared_folder / "counting.lock"):
        if not (shared_folder / "counting").exists():
            words = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
            lines = [" ".join(words[a:b]) for a in range(9) for b in range(a + 2, 11)]
            text = shared_folder / "counting.txt"
            text.write_text("\n\n".join(lines), encoding="utf-8")
            _train(COUNTING.format(text=text), shared_folder / "counting")
    return shared_folder / "counting"


@pytest.fixture(scope="session")
def reverse_run(shared_folder: Path) -> Path:
    """The folder of a run that reverses strings of the digits 0 to 4; copy it before you change it.

    It is trained once, by the worker that comes first; the others wait.
    """
    with FileLock(shared_folder / "reverse.lock"):
        if not (shared_folder / "reverse").exists():
            _train(REVERSE, shared_folder / "reverse")
    return shared_folder / "reverse"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell what the conformance suite has tested, and the size of the source (workers have no terminal)."""
    passed = terminalreporter.stats.get("passed", [])
    marks = [mark for report in passed for mark in report.user_properties]
    conform = {value for name, value in marks if name == "conforms"}
    refused = sum(value for name, value in marks if name == "refused")
    if conform or refused:
        counts = f"{len(conform)} combinations conform, {refused} more are refused as documented"
        terminalreporter.write_line(f"conformance: {counts}")
    for lines in (value for name, value in marks if name == "lines"):
        terminalreporter.write_line(f"source: {lines:,} lines of Python")


def _train(recipe: str, run: Path) -> None:
    from whyformer.runs.train import start_run

    torch.set_num_threads(1)
    path, unfinished = run.with_suffix(".yaml"), run.with_name(f"{run.name}-unfinished")
    path.write_text(recipe, encoding="utf-8")
    start_run(str(path), [], unfinished, device="cpu", overwrite=True, say=print).train()
    unfinished.rename(run)
