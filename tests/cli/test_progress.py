"""A bar on a terminal, now and then a line in a pipe: how far, how fast, and how long the rest takes."""

import io
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from whyformer.cli import progress as shown_progress
from whyformer.cli.progress import clock, progress_bar, sentence_bar
from whyformer.experiments import grid
from whyformer.experiments.grid import plan_trials
from whyformer.experiments.trial import Conditions, Measured
from whyformer.language import speaking
from whyformer.progress import Advance, counted, progress, reported_by
from whyformer.runs.evaluate import evaluate_run
from whyformer.runs.load import load_as
from whyformer.tasks.task import EvaluationOptions
from whyformer.tasks.translation.translator import Translator
from whyformer.why.lab.training import Examples, ToyTraining


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def drawn(errors: io.StringIO, total: int, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(sys, "stderr", errors)
    monkeypatch.setenv("TERM", "xterm")
    with sentence_bar("translating", total) as advance:
        advance(2)
    return errors.getvalue()


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> pytest.CaptureFixture[str]:
    """Standard error without a terminal, where each report takes 20 seconds."""
    times: Iterator[float] = iter(20.0 * number for number in range(10_000))
    monkeypatch.setattr(shown_progress.time, "perf_counter", lambda: next(times))
    return capsys


def test_a_terminal_sees_the_sentences_done_and_the_rate(monkeypatch: pytest.MonkeyPatch):
    shown = drawn(Terminal(), 3, monkeypatch)
    assert "translating" in shown
    assert "2/3" in shown
    assert "sentences/s" in shown


def test_what_is_quick_or_single_is_not_told(monkeypatch: pytest.MonkeyPatch):
    assert drawn(io.StringIO(), 3, monkeypatch) == ""
    assert drawn(Terminal(), 1, monkeypatch) == ""


def test_work_within_work_has_a_bar_below(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stderr", errors := Terminal())
    monkeypatch.setenv("TERM", "xterm")
    with progress_bar("runs", 2, "runs"):
        with progress_bar("measuring", 4, "batches") as advance:
            advance(3)
        with progress_bar("measuring", 5, "batches") as advance:
            advance(5)
    assert "runs" in errors.getvalue()
    assert "5/5" in errors.getvalue() or "0/5" in errors.getvalue()


def test_without_a_terminal_there_are_lines_with_the_time_left(hurry: pytest.CaptureFixture[str]):
    with progress_bar("translating", 10, "sentences") as advance:
        advance(0)
        for _ in range(10):
            advance(1)
    lines = hurry.readouterr().err.splitlines()
    assert lines[0] == "translating: none of 10 sentences yet, after 0:20"
    assert lines[1] == "translating: 1 of 10 sentences, about 6:00 left"
    # The last one is done, which is told by whatever comes.
    assert lines[-1].startswith("translating: 9 of 10 sentences, about ")


def test_lines_become_rare(hurry: pytest.CaptureFixture[str]):
    with progress_bar("training", 2000, "steps") as advance:
        for _ in range(1999):
            advance(1)
    assert 10 < len(hurry.readouterr().err.splitlines()) < 100


def test_lines_are_in_the_language_of_the_user(hurry: pytest.CaptureFixture[str]):
    with speaking("zh"), progress_bar("translating", 10, "sentences") as advance:
        advance(5)
    assert hurry.readouterr().err == "翻译：5/10 句，约剩 0:20\n"


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.4, "0:00"), (61, "1:01"), (3599.6, "1:00:00"), (7325, "2:02:05")]
)
def test_a_clock(seconds: float, shown: str):
    assert clock(seconds) == shown


def test_without_a_reporter_work_is_silent():
    assert list(counted("abc", "reading", 3, "texts")) == ["a", "b", "c"]


@pytest.fixture
def told() -> Iterator[list[tuple[str, int, str, int]]]:
    """What a reporter hears: name, total, unit, and how many were done."""
    heard: list[tuple[str, int, str, int]] = []

    @contextmanager
    def reporter(label: str, total: int, unit: str) -> Generator[Advance]:
        done: list[int] = []
        yield done.append
        heard.append((label, total, unit, sum(done)))

    with reported_by(reporter):
        yield heard


def test_a_reporter_hears_of_all_work(told: list[tuple[str, int, str, int]]):
    with progress("a", 5, "b") as advance:
        advance(2)
        advance(3)
    assert list(counted(range(4), "c", 4, "d")) == [0, 1, 2, 3]
    assert told == [("a", 5, "b", 5), ("c", 4, "d", 4)]


Told = list[tuple[str, int, str, int]]


def test_translating_and_tokenizing_are_reported(told: Told, reverse_run: Path):
    load_as(Translator, reverse_run).translate(["0 1", "1 2", "3"])
    assert ("translating", 3, "sentences", 3) in told
    assert ("tokenizing", 3, "texts", 3) in told


@pytest.mark.parametrize("kind", ["counting_run", "filling_run", "reverse_run"])
def test_what_evaluates_a_run_is_reported(kind: str, told: Told, request: pytest.FixtureRequest):
    run = request.getfixturevalue(kind)
    assert list(evaluate_run(run, ["valid"], EvaluationOptions(progress=sentence_bar)))
    assert {name for name, *_ in told} & {"measuring", "tokenizing"}
    assert all(done == total for _, total, _, done in told)


@pytest.mark.parametrize("seeds", [[1], [1, 2], [3, 5, 8, 13]])
def test_runs_of_a_comparison_are_reported(
    seeds: list[int], told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    trials = plan_trials("reverse", [], seeds, tmp_path, ["data.pairs=200"])
    monkeypatch.setattr(grid, "read_result", lambda *_: Measured({}, {}, 1, 1.0, 1.0, 1.0, 1, 1))
    grid.run(trials, Conditions("cpu"))
    assert ("training", len(seeds), "runs", len(seeds)) in told


@pytest.mark.parametrize("steps", [1, 4, 9])
def test_trainings_of_a_question_are_reported(steps: int, told: Told):
    def draw(generator: torch.Generator, count: int) -> Examples:
        digits = torch.randint(0, 3, (count,), generator=generator)
        return Examples(digits, digits)

    training = ToyTraining(steps=steps, test_every=2, batch=4, test_examples=4)
    training.run(torch.nn.Embedding(3, 3), draw, 1)
    assert told == [("training", steps, "steps", steps)]
