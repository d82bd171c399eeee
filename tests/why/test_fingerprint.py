"""A fingerprint changes with what an experiment is made of, and with nothing else."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
from typing_extensions import override

from why.toy import Toy
from whyformer.why import fingerprint as fingerprints
from whyformer.why.catalogue import QUESTIONS
from whyformer.why.fingerprint import code_fingerprint
from whyformer.why.lab.assets import trained_run
from whyformer.why.question import Measurements

SOURCE = '''
"""A question."""
from whyformer.attention.score import DotSpec

STEPS = 3

def helper(x: int) -> int:
    """Doubles."""
    return 2 * x

def unused() -> int:
    return 5

class Toy:
    """Measures."""
    size: int = STEPS
    """How large."""
    def measure(self) -> int:
        # two of them
        value = helper(self.size)
        return value

CLAIMS = [value for value in (Toy().measure(),)]
'''


def load(path: Path, source: str) -> ModuleType:
    path.write_text(source, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("fingerprinted", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["fingerprinted"] = module
    spec.loader.exec_module(module)
    return module


def of(path: Path, old: str = "", new: str = "") -> str:
    assert old in SOURCE
    fingerprints.forget_files()
    try:
        return code_fingerprint(load(path, SOURCE.replace(old, new) if old else SOURCE).Toy)
    finally:
        del sys.modules["fingerprinted"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("2 * x", "3 * x"),
        ("STEPS = 3", "STEPS = 4"),
        ("return value", "return value + 1"),
        ("STEPS = 3", "STEPS = 3\nSTEPS += DotSpec is None"),
    ],
)
def test_code_that_the_experiment_runs_changes_it(tmp_path: Path, old: str, new: str):
    assert of(tmp_path / "toy.py") != of(tmp_path / "toy.py", old, new)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("return 5", "return 6"),
        ("CLAIMS = [value", "CLAIMS = [-value"),
        ('"""Doubles."""', '"""Makes two of one."""'),
        ('"""How large."""', '"""How big."""'),
        ("# two of them", "# of them two"),
        ("\n\ndef helper", "\n\n\n\ndef helper"),
    ],
)
def test_the_rest_leaves_it_alone(tmp_path: Path, old: str, new: str):
    assert of(tmp_path / "toy.py") == of(tmp_path / "toy.py", old, new)


@pytest.mark.parametrize(
    "source",
    [
        "position/rotary.py",  # imported by the question itself
        "attention/multihead.py",  # a floor below the toy model
        "why/lab/training.py",
    ],
)
def test_it_follows_imports_through_the_package(source: str, monkeypatch: pytest.MonkeyPatch):
    experiment = type(QUESTIONS[20].experiment)
    read = Path.read_text
    before = code_fingerprint(experiment)

    def changed(path: Path, encoding: str) -> str:
        text = read(path, encoding=encoding)
        return text.replace("return ", "return 0 or ") if path.as_posix().endswith(source) else text

    fingerprints.forget_files()
    monkeypatch.setattr(Path, "read_text", changed)
    try:
        assert code_fingerprint(experiment) != before
    finally:
        fingerprints.forget_files()


class Looks(Toy):
    """Looks into a model that the toolkit has trained."""

    @override
    def measure(self, seed: int) -> Measurements:
        trained_run("demo")
        return super().measure(seed)


@pytest.mark.parametrize(("experiment", "changes"), [(Looks, True), (Toy, False)])
def test_who_reads_recipes_depends_on_them(
    experiment: type, changes: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    before = code_fingerprint(experiment)
    (tmp_path / "demo.yaml").write_text("description: another\n", encoding="utf-8")
    monkeypatch.setattr(fingerprints, "_RECIPES", tmp_path)
    assert (code_fingerprint(experiment) != before) is changes


def test_every_question_has_its_own():
    found = [code_fingerprint(type(question.experiment)) for question in QUESTIONS.values()]
    assert len({*found}) == len(QUESTIONS)
    assert found == [code_fingerprint(type(question.experiment)) for question in QUESTIONS.values()]
