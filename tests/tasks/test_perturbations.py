"""A shortened demo: odd white space and forms of characters change no translation, and any prefix goes on."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from whyformer.data.corpora.cldr.corpus import CldrSpec
from whyformer.data.corpora.parallel import load_held_out
from whyformer.decoding.greedy import GreedySpec
from whyformer.errors import WhyformerNote
from whyformer.runs.execution import Execution
from whyformer.runs.load import load_as, read_recipe
from whyformer.runs.train import start_run
from whyformer.tasks.translation.task import TranslationRecipe
from whyformer.tasks.translation.translator import Translator

pytestmark = pytest.mark.slow
PROJECT = Path(__file__).parents[2]
SHORT = ["training.epochs=2", "training.schedule.warmup=100", "training.validation.sentences=20"]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("demo") / "run"
    start_run("demo", SHORT, run, device="cpu", overwrite=False, say=print).train()
    return run


def test_perturbations_change_no_translation(demo: Path):
    command = [sys.executable, str(PROJECT / "benchmarks" / "perturbations.py"), str(demo), "--rounds", "2"]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT / "src")}
    shown = subprocess.run(command, capture_output=True, encoding="utf-8", check=False, env=environment)
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "400 perturbations" in shown.stdout
    assert shown.stdout.count(": 0 translations changed") == 2


@pytest.mark.parametrize("engine", ["torch", "native"])
def test_every_cut_of_a_translation_can_be_completed_to_it(demo: Path, engine: str):
    execution = Execution("cpu", engine="native" if engine == "native" else "torch")
    translator = load_as(Translator, demo, execution)
    recipe = read_recipe(demo)
    assert isinstance(recipe, TranslationRecipe)
    assert isinstance(recipe.data, CldrSpec)
    pairs = load_held_out(recipe.data, ["valid"])["valid"][::60]
    cuts = right = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", WhyformerNote)
        for pair in pairs:
            text = translator.translate([pair.source], GreedySpec())[0][0].text
            for cut in range(1, len(text) + 1):
                search = GreedySpec(openings=translator.openings(text[:cut]))
                found = translator.translate([pair.source], search)[0][0].text
                assert found.startswith(text[:cut])
                cuts, right = cuts + 1, right + (found == text)
    assert cuts > 60
    assert right >= 0.97 * cuts
