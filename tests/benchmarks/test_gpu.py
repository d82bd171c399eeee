"""What measures a GPU goes its way on a CPU, and says in one sentence that there is no GPU."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
Script = Callable[[str], ModuleType]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_without_a_gpu_one_sentence_and_no_failure():
    told = subprocess.run(
        [sys.executable, str(BENCHMARKS / "gpu.py")], capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stderr
    assert told.stdout.startswith("There is no CUDA GPU here")
    assert len(told.stdout.splitlines()) == 1


def test_all_has_time_for_less_than_is_promised(script: Script):
    gpu: Any = script("gpu")
    steps = list(gpu.steps_of("cuda", ["base", "big"], 20.0))
    assert sum(step.seconds for step in steps) + 15 <= 60 * gpu.MINUTES
    assert [step.name for step in steps] == [
        *("conformance", "training-base", "training-big"),
        *("translation-base-beam1", "translation-base-beam5"),
    ]


def test_arms_are_those_that_the_scripts_know(script: Script):
    gpu: Any = script("gpu")
    training: Any = script("training")
    assert {*gpu.TRAINED} <= {*training.OURS, *training.PEERS}
    compiled = [name for name in gpu.TRAINED if name.endswith("-compile")]
    assert all(training.PEERS[name].arguments == ("sdpa", True) for name in compiled)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("part", "arms"),
    [
        ("conformance", []),
        ("training", ["ours-bf16", "marian-bf16"]),
        ("translation", ["ours-fp32-torch-t2", "ct2-float32-s2"]),
    ],
)
def test_it_goes_its_way_on_a_cpu(part: str, arms: list[str], script: Script, tmp_path: Path):
    pytest.importorskip("transformers")
    pytest.importorskip("ctranslate2")
    gpu: Any = script("gpu")
    bench: Any = script("bench")
    step = next(step for step in gpu.steps_of("cpu", ["toy"], 1.0) if step.name.startswith(part))
    # Other work may make it slow, but not wrong.
    patient = bench.Step(step.name, step.command, 900.0, step.paced)
    (outcome,) = bench.measure([patient], 1000.0, name="gpu", device="cpu")
    assert outcome.status in ("done", "cut short"), outcome
    assert len(outcome.tables) == bool(arms)
    for stem in outcome.tables:
        told = json.loads((tmp_path / "results" / f"{stem}.json").read_text(encoding="utf-8"))
        assert {*arms} <= {row["arm"] for row in told["table"]}, told["about"]
    assert (tmp_path / "results" / "gpu.md").exists()
