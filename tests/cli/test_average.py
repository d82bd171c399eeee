"""``whyformer average``: weights that other verbs take."""

from collections.abc import Callable
from pathlib import Path

from typer.testing import Result

Program = Callable[..., Result]


def test_the_average_is_written_and_taken_by_other_verbs(
    whyformer: Program, reverse_run: Path, tmp_path: Path
):
    file = tmp_path / "mean.safetensors"
    result = whyformer("average", reverse_run, "--last", 1, "--output", file)
    assert (result.exit_code, result.stdout) == (0, f"{file}: the mean of 1 snapshot\n")
    last = max((reverse_run / "snapshots").iterdir())
    translated = [
        whyformer("translate", reverse_run, "0 1 2", "--scores", "--weights", one) for one in (file, last)
    ]
    assert translated[0].stdout == translated[1].stdout != ""
    named = whyformer(
        "average", reverse_run, *sorted((reverse_run / "snapshots").iterdir()), "--output", file
    )
    assert named.stdout == f"{file}: the mean of 3 snapshots\n"


def test_it_is_scored_beside_the_weights_of_the_run(whyformer: Program, reverse_run: Path, tmp_path: Path):
    file = tmp_path / "mean.safetensors"
    shown = whyformer(
        "average", reverse_run, "--output", file, "--evaluate", "--threads", 1
    ).stdout.splitlines()
    assert shown[1].startswith("valid, model.safetensors: 75 sentences")
    assert shown[5].startswith("valid, mean.safetensors: 75 sentences")


def test_what_cannot_be_done_is_one_sentence_and_exit_code_2(
    whyformer: Program, reverse_run: Path, tmp_path: Path
):
    few = whyformer("average", reverse_run, "--last", 9)
    assert (few.exit_code, few.stdout) == (2, "")
    assert f"{reverse_run}: has 3 snapshots, not 9; ask for fewer" in few.stderr
    both = whyformer("average", reverse_run, tmp_path / "a", "--last", 2)
    assert "--last picks among the run's snapshots, and files were named" in both.stderr
    missing = whyformer("average", reverse_run, tmp_path / "a")
    assert f"{tmp_path / 'a'}: there is no such file" in missing.stderr
