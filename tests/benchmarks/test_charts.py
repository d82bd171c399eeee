"""Charts of benchmarks can be drawn: they are made when all else is over, where a fault costs most."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from whyformer.plots.chart import draw_png

Script = Callable[[str], ModuleType]
PNG = b"\x89PNG"


def test_bars_are_drawn(script: Script):
    report: Any = script("report")
    rows = [
        ("ours-fp32", report.Spread(3.0, 2.0, 4.0)),
        ("another-with-a-long-name", report.Spread.of([1.0])),
    ]
    assert draw_png(report.bars(rows, "sentences per second", "Translation")).startswith(PNG)


@pytest.mark.parametrize("lengths", [[512], [512, 2048]])
def test_costs_by_length_are_drawn(script: Script, lengths: list[int]):
    attention: Any = script("attention")
    cost = attention.Cost(*(0.5 for _ in attention.Cost._fields))
    cases = [attention.Case("ours", mask, "fp32", n, False) for mask in ("causal", "window") for n in lengths]
    attention.tell({case: [cost, cost] for case in cases}, lengths, {"processor": "any"}, done=True)
    assert (attention.publish.__globals__["RESULTS"] / "attention.png").read_bytes().startswith(PNG)


def test_quality_by_time_is_drawn(script: Script):
    quality: Any = script("time_to_quality")
    points = [
        {"arm": arm, "steps": steps, "minutes": steps / 100, "BLEU": 30.0}
        for arm in ("ours-bf16", "marian-bf16-eager")
        for steps in (70, 140)
    ]
    assert draw_png(quality.lines(points)).startswith(PNG)
