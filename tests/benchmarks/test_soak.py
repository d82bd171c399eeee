"""A service that is treated badly for long loses nothing, mixes up nothing, and grows in nothing."""

import itertools
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("fastapi", reason="needs the extra `serve`")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="counts handles and memory as Linux tells them"),
]

SENTENCES = [" ".join(digits) for count in (2, 3) for digits in itertools.product("01234", repeat=count)]


@pytest.mark.parametrize("requests", [3_000])
def test_nothing_is_lost_crossed_or_wrong(
    script: Callable[[str], ModuleType], reverse_run: Path, requests: int
):
    report = script("soak").soak(reverse_run, SENTENCES, requests)
    assert (report.lost, report.crossed, report.wrong) == ([], [], [])
    assert sum(report.outcomes.values()) == requests
    assert report.outcomes["answered"] > 0.7 * requests
    assert (report.kills, report.reloads) == (2, 4)
    # At rest: nothing of who has left stays.
    assert max(report.handles) <= report.handles[0] + 1
    assert max(report.memory) < report.memory[0] + 24 * 2**20
