"""Scripts of benchmarks/ as modules, which leave their tables in a folder of the test."""

import importlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], ModuleType]:
    """A script of benchmarks/ by its name."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    results = tmp_path / "results"
    results.mkdir()
    # For scripts that are processes of their own.
    monkeypatch.setenv("WHYFORMER_BENCH_RESULTS", str(results))

    def imported(name: str) -> ModuleType:
        monkeypatch.setattr(importlib.import_module("report"), "RESULTS", results)
        module = importlib.import_module(name)
        if hasattr(module, "RESULTS"):
            monkeypatch.setattr(module, "RESULTS", results)
        return module

    return imported
