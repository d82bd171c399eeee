"""The drawn profile: its words in every language, its tables, and what it says of a busy machine."""

import ast
from pathlib import Path
from typing import Any

import pytest

from whyformer.analysis import profile, trace
from whyformer.plots.profile import profile_page
from whyformer.plots.profile_words import WORDS


def record(ms: float) -> dict[str, Any]:
    cells = [
        {"part": "optimizer", "kind": "Python", "backward": False, "ms": 6.0},
        {"part": "dropout", "kind": "softmax", "backward": True, "ms": 3.0},
        {"part": "dropout", "kind": "softmax", "backward": False, "ms": 1.0},
    ]
    return {"work": "training", "unit": "step", "count": 1, "conditions": "fp32, 2 threads", "cells": cells,
            "ms": ms, "traced_ms": 10.0}  # fmt: skip


def test_the_tables_hold_what_the_bars_show() -> None:
    parts, operations = profile_page("run", [record(9.0)]).tables
    assert parts.header == ["part", "forward", "backward", "ms a step", "share"]
    assert parts.rows == [["optimizer", "6", "0", "6", "60.0%"], ["dropout", "1", "3", "4", "40.0%"]]
    assert operations.rows[1] == ["softmax", "1", "3", "4", "40.0%"]
    alone = {**record(9.0), "cells": record(9.0)["cells"][:1], "traced_ms": 6.0}
    assert profile_page("run", [alone]).tables[0].header == ["part", "ms a step", "share"]


@pytest.mark.parametrize(("ms", "said"), [(9.0, False), (10.5, False), (15.0, True)])
def test_work_that_was_slower_undisturbed_tells_of_a_busy_machine(ms: float, said: bool) -> None:
    page = profile_page("run", [record(ms)])
    assert any("busy" in paragraph for paragraph in page.paragraphs) == said
    assert f"{ms:.3g} undisturbed" in page.tables[0].caption


def names_of_parts() -> set[str]:
    """Every text that the profiler's source calls a part."""
    found: set[str] = set()
    for module in (trace, profile):
        for call in ast.walk(ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and ast.unparse(call.func) in ("part", "Trace"):
                (name,) = call.args
                match name:
                    case ast.Constant(value=str(text)):
                        found.add(text)
                    case ast.JoinedStr(values=[_, ast.Constant(value=str(text))]):
                        found |= {side + text for side in ("", "encoder ", "decoder ")}
                    case _:
                        pass
    return found


def test_every_part_and_kind_has_a_chinese_name() -> None:
    own = {trace.DATA, trace.LOSS, trace._CACHE, trace._EMBEDDING, trace._NORMS, trace._REST, trace._SUMS}
    kinds = {trace.PYTHON, trace._AUTOGRAD, trace._ELEMENTWISE, *trace._KINDS}
    parts = names_of_parts()
    attention = {"cross-attention", "attention", "encoder attention", "decoder attention"}
    assert {"optimizer", "search", "decoder feed-forward", "rest of the step"} <= parts
    assert own | kinds | parts | attention <= WORDS["zh"].names.known.keys()


def test_the_page_is_said_in_chinese() -> None:
    page = profile_page("run", [record(9.0)], "zh")
    assert page.heading == "run 的耗时分析"
    assert page.tables[0].header == ["部分", "前向", "反向", "毫秒/步", "占比"]
    assert page.tables[0].rows[0][0] == "优化器"
    assert "2 个线程" in page.html()
