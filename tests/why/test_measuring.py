"""Seeds are measured side by side, come out as they do alone, and whoever is killed goes on."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from why.slow_toy import Noisy
from why.toy import HOLDS, QUESTION, claim
from whyformer.why.measuring import measure_all
from whyformer.why.question import Findings, Measurements, Question
from whyformer.why.results import SeedResults, seeds_in

SCRIPT = """
import sys
from dataclasses import replace
from pathlib import Path
from why.slow_toy import Noisy
from why.toy import QUESTION
from whyformer.why.measuring import measure_all

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    experiment = Noisy(marks=str(folder), slow=int(sys.argv[2]))
    found = measure_all([replace(QUESTION, experiment=experiment)], folder, jobs=1)
"""


def noisy(folder: Path, number: int = 99, **faults: int) -> Question:
    marks = folder / f"marks{number}"
    marks.mkdir(exist_ok=True)
    return replace(QUESTION, number=number, experiment=Noisy(marks=str(marks), **faults))


def begun(folder: Path, number: int = 99) -> dict[int, int]:
    """How often each seed was begun."""
    marks = (folder / f"marks{number}").iterdir()
    return {int(mark.name): len(mark.read_text().splitlines()) for mark in sorted(marks)}


def values(outcome: Findings | str) -> list[Measurements]:
    assert isinstance(outcome, Findings), outcome
    return [*outcome.measured.values()]


def test_two_at_a_time_give_the_numbers_of_one_at_a_time(tmp_path: Path):
    outcomes: list[list[Measurements]] = []
    for jobs in (1, 2):
        folder = tmp_path / str(jobs)
        folder.mkdir()
        question = noisy(tmp_path)  # the same settings
        outcomes.append(values(measure_all([question], folder, 2, jobs=jobs)[99]))
    assert outcomes[0] == outcomes[1]
    told = "".join(mark.read_text() for mark in (tmp_path / "marks99").iterdir()).splitlines()
    processes, threads, environment = zip(*(line.split() for line in told), strict=True)
    assert len({*processes}) == 4  # each a fresh one
    assert str(os.getpid()) not in processes
    assert {*threads} == {*environment} == {"1"}


def test_one_that_fails_is_named_and_the_others_go_on(tmp_path: Path):
    faults: Sequence[dict[str, int]] = ({"faulty": 1}, {"bug": 1}, {"crash": 1}, {})
    questions = [noisy(tmp_path, 90 + index, **fault) for index, fault in enumerate(faults)]
    told: list[tuple[int, bool, int]] = []
    outcomes = measure_all(
        questions,
        tmp_path,
        2,
        jobs=1,
        done=lambda question, outcome, new: told.append((question.number, isinstance(outcome, str), new)),
    )
    log = tmp_path / "q91" / "seed-1.log"
    assert outcomes[90] == "seed 1: the machine is too slow."
    assert (
        outcomes[91] == f"seed 1: it met a bug (ZeroDivisionError: by nought), whose traceback is in {log}."
    )
    assert "in measure" in log.read_text(encoding="utf-8")
    assert str(outcomes[92]).startswith("seed 1: its process ended with status 7")
    assert isinstance(outcomes[93], Findings)
    assert told == [(90, True, 0), (91, True, 0), (92, True, 0), (93, False, 2)]
    # The second seed is not tried.
    assert begun(tmp_path, 90) == begun(tmp_path, 91) == begun(tmp_path, 92) == {1: 1}


def test_what_is_there_is_not_measured_again(tmp_path: Path):
    question = noisy(tmp_path)
    first = SeedResults(question, tmp_path).measure(1)
    more = measure_all([question], tmp_path, 2)[99]
    assert begun(tmp_path) == {1: 1, 2: 1}
    assert isinstance(more, Findings)
    assert [*more.measured] == [1, 2]
    assert more.measured[1] == first.measurements
    assert more.origin is not None


def test_claims_that_cannot_be_judged_are_a_failure_with_a_name(tmp_path: Path):
    question = replace(noisy(tmp_path), claims=(replace(claim(HOLDS), value=lambda _: 1 / 0),))
    SeedResults(question, tmp_path).measure(1)
    outcome = measure_all([question], tmp_path, 1)[99]
    assert (
        outcome == "its claims cannot be judged by what was measured (ZeroDivisionError: division by zero)."
    )


@pytest.mark.parametrize("end", [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_a_run_that_is_killed_leaves_no_process_and_goes_on(tmp_path: Path, end: signal.Signals):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT, encoding="utf-8")
    marks = tmp_path / "runs"
    marks.mkdir()
    places = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, str(script), str(marks), "2"]
    process = subprocess.Popen(
        command, env={**os.environ, "PYTHONPATH": places}, stderr=subprocess.DEVNULL, start_new_session=True
    )
    deadline = time.monotonic() + 60
    while not (marks / "2").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, end) if end == signal.SIGKILL else os.killpg(process.pid, end)
    process.wait(timeout=30)
    assert seeds_in(marks / "q99") == [1]
    worker = int((marks / "2").read_text().split()[0])
    while _lives(worker) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _lives(worker)
    # The same settings, as what is slow is one of them: only patience runs out.
    question = replace(QUESTION, experiment=Noisy(marks=str(marks), slow=2))
    results = measure_all([question], marks, 1)
    assert isinstance(results[99], Findings)
    assert len((marks / "1").read_text().splitlines()) == 1


def _lives(process: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
