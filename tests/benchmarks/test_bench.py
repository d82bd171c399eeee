"""Benchmarks keep to their time, and tell what was measured and what was not, whatever happens."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from whyformer.special_tokens import BOS, EOS

Script = Callable[[str], ModuleType]
WRITES = """\
import sys, time
from pathlib import Path
Path({folder!r}, sys.argv[1] + ".md").write_text("processor: AMX\\n{notes}\\n| arm |\\n|---|\\n")
"""
SCRIPTS = {
    "writes.py": WRITES,
    "leaves_out.py": WRITES.replace("{notes}", "left out: a peer: it is not installed\\n"),
    "fails.py": "import sys; sys.exit('Multi30k is not there')",
    "sleeps.py": WRITES + "time.sleep(60)\n",
}


@pytest.fixture
def bench(script: Script, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The driver, with scripts of its own."""
    module: Any = script("bench")
    for name, text in SCRIPTS.items():
        folder = str(tmp_path / "results")
        written = text.replace("{folder!r}", repr(folder)).replace("{notes}", "")
        (tmp_path / name).write_text(written, encoding="utf-8")
    monkeypatch.setattr(module, "HERE", tmp_path)
    monkeypatch.setattr(module, "START", 0.0)
    monkeypatch.setattr(module, "machine", lambda threads, device: {"processor": "AMX"})
    return module


def test_all_scripts_have_time_for_less_than_is_promised(script: Script):
    bench: Any = script("bench")
    for steps, quick in ((bench.FULL, False), (bench.QUICK, True)):
        assert sum(step.seconds for step in steps) + bench.GRACE <= 60 * bench.MINUTES[quick]
        assert len({step.name for step in steps}) == len(steps)
        for step in steps:
            line = step.line("bf16", step.seconds)
            assert Path(line[1]).exists()
            assert "{" not in " ".join(line)
            assert (f"--seconds={step.seconds - bench.START:.0f}" in line) == step.paced


def test_a_measure_is_taken_only_in_precisions_of_the_arms(script: Script):
    training: Any = script("training")
    for arm in (*training.OURS, *training.PEERS):
        assert training.precision_of(arm) == ("bf16" if "bf16" in arm else "fp32")
    assert training.precisions(["ours-fp32", "torch-fp32"]) == ["fp32"]
    assert training.precisions(["ours-bf16-uncompiled", "marian-fp32"]) == ["bf16", "fp32"]


def test_what_ran_and_what_did_not_is_told(bench: Any, tmp_path: Path):
    steps = [
        bench.Step("good", "writes.py good", 10, paced=False),
        bench.Step("peerless", "leaves_out.py peerless", 5, paced=False),
        bench.Step("bad", "fails.py", 2, paced=False),
        bench.Step("slow", "sleeps.py slow", 2, paced=False),
        bench.Step("untrained", "writes.py untrained", 1, paced=False, needs=tmp_path / "nowhere"),
    ]
    outcomes = {outcome.name: outcome for outcome in bench.measure(steps, bench.GRACE + 12.0)}
    assert [outcome.status for outcome in outcomes.values()] == [
        *("done", "done", "failed", "cut short", "not run")
    ]
    assert outcomes["good"].tables == ["good"]
    assert outcomes["peerless"].reason == "a peer: it is not installed"
    assert outcomes["bad"].reason == "Multi30k is not there"
    assert outcomes["slow"].tables == ["slow"]
    # It has what the others have left.
    assert "seconds were over" in outcomes["slow"].reason
    assert outcomes["slow"].seconds > 2
    assert "nowhere is not there" in outcomes["untrained"].reason
    page = (tmp_path / "results" / "bench.md").read_text(encoding="utf-8")
    assert "- processor: AMX" in page
    assert "## slow" in page
    told = json.loads((tmp_path / "results" / "bench.json").read_text(encoding="utf-8"))
    assert [step["status"] for step in told["steps"]] == [o.status for o in outcomes.values()]
    assert told["to_come"] == []


def test_where_no_time_is_left_nothing_begins(bench: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bench, "START", 5.0)
    steps = [bench.Step("late", "writes.py late", 30, paced=False)]
    (outcome,) = bench.measure(steps, bench.GRACE + 1.0)
    assert (outcome.status, outcome.reason) == ("not run", "no time was left")


DRIVE = """\
import sys
from pathlib import Path
sys.path.insert(0, {benchmarks!r})
import bench
bench.HERE = bench.RESULTS = Path({folder!r})
bench.machine = lambda threads, device: {{"processor": "AMX"}}
steps = [bench.Step(name, "sleeps.py " + name, 50, paced=False) for name in ("first", "second")]
bench.measure(steps, 200.0)
"""


def test_what_is_interrupted_tells_what_it_has(script: Script, tmp_path: Path):
    folder = tmp_path / "results"
    sleeps = SCRIPTS["sleeps.py"].replace("{folder!r}", repr(str(folder))).replace("{notes}", "")
    (folder / "sleeps.py").write_text(sleeps, encoding="utf-8")
    benchmarks = str(Path(str(script("bench").__file__)).parent)
    code = DRIVE.format(benchmarks=benchmarks, folder=str(folder))
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL)
    while not (folder / "first.md").exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    process.wait(timeout=60)
    steps = json.loads((folder / "bench.json").read_text(encoding="utf-8"))["steps"]
    assert [(step["name"], step["status"]) for step in steps] == [
        ("first", "cut short"),
        ("second", "not run"),
    ]
    assert steps[0]["tables"] == ["first"]
    assert "interrupted" in steps[1]["reason"]


class Puppet:
    """An arm that answers at once, until it fails."""

    def __init__(self, arms: Any, fails_at: int | None = None) -> None:
        self._module, self._fails_at, self.asked = arms, fails_at, 0

    def __call__(self, request: Any) -> Any:
        self.asked += 1
        if self.asked == self._fails_at:
            raise self._module.ArmError("its memory ran out")
        return self._module.Turn(0.5, [request])

    def end(self) -> None:
        """Nothing to end."""


def test_rounds_are_told_as_they_come_and_who_fails_is_left_out(script: Script):
    arms: Any = script("arms")
    several = arms.Arms()
    several |= {"ours": Puppet(arms), "theirs": Puppet(arms, fails_at=2)}
    told: list[dict[str, int]] = []
    turns = arms.alternate(
        several, [1, 2, 3], told=lambda each: told.append({name: len(all_) for name, all_ in each.items()})
    )
    assert told == [{"ours": 1, "theirs": 1}, {"ours": 2}, {"ours": 3}]
    assert {name: len(each) for name, each in turns.items()} == {"ours": 3}
    assert several.told() == {"left out": "theirs: its memory ran out"}


def test_no_round_begins_that_would_end_too_late(script: Script):
    arms: Any = script("arms")
    several = arms.Arms()
    several["ours"] = Puppet(arms)
    turns = arms.alternate(several, [1, 2, 3], until=time.perf_counter() - 1)
    assert len(turns["ours"]) == 1
    assert several.told() == {"cut short": "time was up after 1 of 3 rounds"}


def test_an_arm_that_does_other_work_is_left_out(script: Script):
    arms: Any = script("arms")
    training: Any = script("training")
    several = arms.Arms()
    losses = {
        "ours-bf16": 9.2103,
        "marian-fp32": 9.2110,
        "torch-fp32": 9.3,
        "xtransformers-fp32": float("nan"),
    }
    several |= {name: Puppet(arms) for name in losses}
    training.leave_out_others(several, losses)
    assert [*several] == ["ours-bf16", "marian-fp32"]
    assert "9.3000 where ours-bf16 has 9.2103" in several.left_out["torch-fp32"]


def test_translations_that_differ_too_much_leave_their_arm_out(script: Script):
    arms: Any = script("arms")
    translation: Any = script("translation")
    several = arms.Arms()
    same, other = [("a", (1,))] * 10, [("a", (1,))] * 6 + [("b", (2,))] * 4
    first = {translation.FIRST: same, "hf-fp32-t2": other, "ours-int8-native-p2": other}
    several |= {name: Puppet(arms) for name in first}
    shares = translation.compared(several, first)
    assert shares == {translation.FIRST: 1.0, "ours-int8-native-p2": 0.6}
    assert "60.0% of its translations" in several.left_out["hf-fp32-t2"]


@pytest.mark.parametrize(
    ("features", "kind"),
    [
        ("avx2 avx512f avx512_bf16 avx512_vnni amx_bf16 amx_int8", "AMX"),
        ("avx2 avx512f avx512_bf16 avx512_vnni", "AVX-512 bf16, no AMX"),
        ("avx2 avx512f avx512_vnni", "VNNI only, fp32"),
        ("avx2 avx_vnni", "VNNI of 256 bits, fp32"),
        ("avx2", "AVX2, fp32"),
        ("asimd asimddp i8mm bf16", "Arm, bf16"),
        ("", "unknown"),
    ],
)
def test_a_table_tells_the_kind_of_its_processor(features: str, kind: str, script: Script):
    report: Any = script("report")
    assert report.processor_kind(features.split()) == kind


def test_all_arms_get_the_same_pairs(script: Script, tmp_path: Path):
    """What other toolkits read is what ours does, without the marks that it adds."""
    data: Any = script("multi30k")
    trainer = data.begun("toy", tmp_path / "run", made_up=data.MadeUp(300, 40, 8))
    requests = data.batches(trainer, 3)
    assert len(requests) == 3
    for request in requests:
        batch = trainer.task.batch(np.array(request.indices), 0, trainer.device)
        for row, (source, target) in enumerate(request.pairs):
            assert [*source, EOS] == batch.source.tokens[row][batch.source.valid[row]].tolist()
            assert [BOS, *target, EOS] == batch.target.tokens[row][batch.target.valid[row]].tolist()
