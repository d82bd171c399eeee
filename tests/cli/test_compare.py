"""``whyformer compare``: the grid from the command line, the table, JSON, errors; the runs are made up."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from typer.testing import Result

from whyformer.experiments.grid import Results, Trial
from whyformer.experiments.trial import Conditions, Measured
from whyformer.models.transformer import TransformerSpec

Compare = Callable[..., Result]


@pytest.fixture
def asked() -> dict[str, object]:
    """What the runs were asked for."""
    return {}


@pytest.fixture
def compare(
    whyformer: Callable[..., Result],
    asked: dict[str, object],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Compare:
    """The verb on two encoder depths and two seeds; decoders of three layers fail."""

    def run(
        trials: Sequence[Trial],
        conditions: Conditions,
        jobs: int,
        done: Callable[[Trial, Measured | str], None],
    ) -> Results:
        asked.update(conditions=conditions, jobs=jobs, trials=trials)
        results = {trial: made_up(trial) for trial in trials}
        for trial, result in results.items():
            done(trial, result)
        return results

    def made_up(trial: Trial) -> Measured | str:
        model = trial.recipe.model
        assert isinstance(model, TransformerSpec)
        if model.decoder.layers == 3:
            return "it failed."
        nll = model.encoder.layers + 0.25 * trial.seed
        return Measured({"nll": nll, "bleu": 10 * nll}, {}, 12345, 6e6, 900.0, 2.0, 7, 1)

    monkeypatch.setattr("whyformer.experiments.grid.run", run)
    common = ("--vary", "model.encoder.layers=1,2", "--seeds", 2, "--run", tmp_path / "grid")
    return lambda *more: whyformer("compare", "reverse", *common, *more)


def test_the_table_has_a_row_for_each_cell_with_intervals_and_costs(compare: Compare, tmp_path: Path):
    result = compare("--jobs", 2)
    assert result.exit_code == 0
    heading, first, second, _, *notes = result.stdout.splitlines()
    assert heading.split() == [
        *("cell", "nll", "Δ", "nll", "bleu", "Δ", "bleu"),
        *("parameters", "flops_per_token", "tokens_per_second", "steps"),
    ]
    assert first.startswith("layers=1  1.375 [1.25, 1.5] ")
    assert second.split()[:6] == ["layers=2", "2.375", "[2.25,", "2.5]", "+1", "23.75"]
    assert first.endswith("  12,345        6,000,000                900      7")
    assert len(heading) == len(first) == len(second)
    assert "rough" in notes[0]
    assert notes[-1] == f"More in {tmp_path / 'grid' / 'comparison.html'}"
    assert result.stderr.splitlines()[:2] == ["4 runs, 2 at a time", "layers=1, seed 1: 7 steps in 2 s"]
    assert (tmp_path / "grid" / "comparison.png").exists()


def test_figures_can_be_chosen_and_the_table_be_markdown(compare: Compare):
    lines = compare("--markdown", "--figure", "seconds").stdout.splitlines()
    assert [cell.strip() for cell in lines[0].split("|")[1:4]] == ["cell", "seconds", "Δ seconds"]
    assert set(lines[1]) == set("|-:")
    assert len({line.count("|") for line in lines[:4]}) == 1


def test_json_is_what_is_written(compare: Compare, tmp_path: Path):
    shown = json.loads(compare("--json", "--steps", 9, "training.clip=1").stdout)
    assert shown == json.loads((tmp_path / "grid" / "comparison.json").read_text(encoding="utf-8"))
    assert shown["changes"][0] == "training.steps=9"
    assert shown["changes"][-1] == "training.clip=1"
    assert (shown["recipe"], shown["seeds"], shown["threads"]) == ("reverse", 2, 1)
    assert shown["vary"] == ["model.encoder.layers=1,2"]
    assert shown["machine"]["packages"]["torch"]


def test_the_options_reach_the_runs(compare: Compare, asked: dict[str, object]):
    compare("--threads", 3, "--test", "--device", "cpu", "--minutes", 0.5, "training.steps=50")
    assert asked["conditions"] == Conditions("cpu", 3, test=True)
    assert asked["jobs"] == 1
    trials = asked["trials"]
    assert isinstance(trials, list)
    assert {(trial.recipe.training.minutes, trial.recipe.training.steps) for trial in trials} == {(0.5, 50)}


def test_a_cell_that_fails_is_reported_after_the_others(compare: Compare):
    result = compare("--vary", "model.decoder.layers=1,3", "--figure", "nll")
    assert result.exit_code == 2
    assert [line.split()[0] for line in result.stdout.splitlines()[1:5]] == [
        f"encoder.layers={reader},decoder.layers={writer}" for reader in (1, 2) for writer in (1, 3)
    ]
    assert result.stdout.splitlines()[2].split()[1:] == []
    faults = result.stderr.partition("error: ")[2].splitlines()
    assert faults[0] == "4 of 8 runs failed:"
    assert faults[1] == "  encoder.layers=1,decoder.layers=3, seed 1: it failed."


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--steps", 5, "--minutes", 1], "--steps makes the runs equal in steps"),
        (["--minutes", 0, "training.steps=5"], "2 of 2 cells cannot be trained"),
        (["--vary", "model.d_model=5,6"], "4 of 4 cells cannot be trained"),
        (["--vary", "nothing"], "`nothing` should read key=value,value"),
        (["--figure", "blue"], "there is no figure blue; there are: nll, bleu, parameters"),
    ],
)
def test_what_cannot_be_done_is_told_with_exit_code_2(
    compare: Compare, arguments: list[object], sentence: str
):
    result = compare(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert sentence in result.stderr
