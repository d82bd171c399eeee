"""``whyformer distil``: data and a recipe for a student."""

from collections.abc import Callable
from pathlib import Path

from typer.testing import Result

Program = Callable[..., Result]


def test_it_says_what_it_wrote_and_how_to_go_on(whyformer: Program, reverse_run: Path, tmp_path: Path):
    data, run = tmp_path / "data", tmp_path / "student"
    made = whyformer("distil", reverse_run, "data.pairs=400", "--to", data, "--beam", 2, "--closest", "chrf")
    assert made.exit_code == 0
    pairs = (data / "train.target.txt").read_text().count("\n")
    assert made.stdout == f"{data}: {pairs} pairs, their targets by {reverse_run}\n"
    student = data / "student.yaml"
    assert f"whyformer train {student} model.decoder.layers=2 --run runs/student" in made.stderr
    again = whyformer("distil", reverse_run, "--to", data)
    assert (again.exit_code, again.stdout) == (2, "")
    assert "a distillation lies here already" in again.stderr
    assert whyformer("recipes", student).exit_code == 0
    assert whyformer("check", student).exit_code == 0
    few = ("training.steps=2", "training.schedule.warmup=1", "training.validation.every=2")
    trained = whyformer("train", student, *few, "--run", run, "--threads", 1)
    assert trained.exit_code == 0, trained.stderr
    assert whyformer("translate", run, "0 1").exit_code == 0
