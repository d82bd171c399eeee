"""The paper model beside real training here, and beside torchtitan's public table."""

import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from rank_recipes import write_recipes
from whyformer.analysis.scaling.paper import step_memory
from whyformer.analysis.scaling.workload import read_workload

Script = Callable[[str], ModuleType]


def test_128_ranks_are_told_from_8_within_15_percent(script: Script):
    for line in script("paper_model").speed():
        (difference,) = re.findall(r"([+-][\d.]+)%", line)
        assert abs(float(difference)) <= 15


@pytest.mark.slow
@pytest.mark.parametrize("family", ["translation", "causal", "masked", "recurrent", "speech"])
def test_memory_of_real_training_is_told_within_10_percent(script: Script, tmp_path: Path, family: str):
    planned = read_workload(write_recipes(tmp_path)[family], ["training.batching.tokens=2000"])
    batch = planned.sample(2000).largest
    told = step_memory(planned.work, [batch], "fp32", accelerator=False).total
    assert told == pytest.approx(script("paper_model").allocated(planned, "fp32"), rel=0.1)
