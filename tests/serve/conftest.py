"""The whole service in a process of its own: a run of each kind, started as users start it."""

import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from servers import Running, Start, starting

ADDRESS = "serving at "


@pytest.fixture(scope="session")
def hearing_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that hears tones as words, sure of itself though hardly trained."""
    from whyformer.runs.train import start_run

    run = tmp_path_factory.mktemp("hearing") / "tones"
    few = ["training.epochs=null", "training.steps=1", "data.train=8", "data.valid=2", "data.test=2"]
    start_run("tones", few, run, device="cpu", overwrite=False, say=lambda _: None).train()
    file = run / "model.safetensors"
    weights = load_file(file)
    weights["emit.weight"] *= 30
    with safe_open(file, framework="pt") as opened:
        metadata = opened.metadata()
    save_file(weights, file, metadata)
    return run


@pytest.fixture(scope="session")
def runs_of_all_kinds(
    reverse_run: Path, counting_run: Path, filling_run: Path, hearing_run: Path
) -> Mapping[str, Path]:
    """Folders of a run that translates, one that goes on, one that fills holes, and one that hears."""
    return {"reverse": reverse_run, "counting": counting_run, "filling": filling_run, "tones": hearing_run}


@pytest.fixture(scope="session")
def start_program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Starter of ``whyformer serve``, by the folders of its runs and its options."""
    with starting(tmp_path_factory.mktemp) as start:

        def begin(runs: Mapping[str, Path], *options: object) -> Running:
            named = [f"{name}={folder}" for name, folder in runs.items()]
            usual = ["--port", "0", "--log", "json", "--threads", "1", "--lang", "en"]
            command = [sys.executable, "-m", "whyformer", "serve", *named, *usual, *map(str, options)]
            return start(command, ADDRESS)

        yield begin


@pytest.fixture(scope="session")
def whole_service(start_program: Callable[..., Running], runs_of_all_kinds: Mapping[str, Path]) -> Running:
    """One service of all kinds of runs, for many requests."""
    return start_program(runs_of_all_kinds, "--slowest", 3, "--max-sessions", 16, "--deadline", 600)
