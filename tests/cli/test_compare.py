"""``whyformer compare``: the grid from the command line, the table, JSON, errors; the runs are made up."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
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
    assert result.stderr.splitlines()[:4] == [
        "4 runs = 2 × 2 (settings × seeds), 2 at a time",
        "each trains for at most 800 steps; how long that takes is said after the first of them, and "
        "--steps or --minutes makes it shorter",
        "layers=1, seed 1: 7 steps in 2 s",
        "3 runs are left, which may take some 4 seconds",
    ]
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
        (
            ["--figure", "blue"],
            "there is no figure blue; did you mean bleu? there are: loss, nll, perplexity",
        ),
        (["--figure", "nll", "--figure", "accuracy"], "there is no figure accuracy; there are: loss, nll"),
        (["--figure", "test.bleu"], "no figure test.bleu; test sets are scored with --test; there are: loss"),
        (["--figure", "test.blue", "--test"], "no figure test.blue; did you mean test.bleu? there are: loss"),
    ],
)
def test_what_cannot_be_done_is_told_with_exit_code_2_before_anything_is_trained(
    compare: Compare, arguments: list[object], sentence: str, asked: dict[str, object]
):
    result = compare(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert sentence in result.stderr
    assert not asked


@pytest.mark.parametrize("figures", [["seconds"], ["perplexity", "chrf"], ["steps", "loss"]])
def test_figures_that_the_runs_will_have_are_taken(
    compare: Compare, figures: list[str], asked: dict[str, object]
):
    compare("--test", *(f"--figure={name}" for name in [*figures, "test.chrf"]))
    assert asked


@pytest.fixture
def alone(whyformer: Callable[..., Result], compare: Compare, tmp_path: Path) -> Compare:
    """The verb without anything that is varied."""
    return lambda *more: whyformer("compare", "reverse", "--run", tmp_path / "grid", "--jobs", 2, *more)


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_a_comparison_of_nothing_says_so_first(alone: Compare, seeds: int):
    result = alone("--seeds", seeds)
    first, second, *_ = result.stderr.splitlines()
    assert first == f"{seeds} runs = 1 × {seeds} (settings × seeds), 2 at a time"
    assert second.startswith("nothing is varied")
    assert "Δ" not in result.stdout
    assert "[low, high]" in result.stdout


@pytest.mark.parametrize("varied", [[], ["--vary", "training.clip=1,2"]])
def test_one_seed_is_said_to_give_no_interval(alone: Compare, varied: list[str]):
    result = alone("--seeds", 1, *varied)
    assert "low, high" not in result.stdout
    assert "One seed gives no interval" in result.stdout
    assert "one seed gives no interval" in result.stderr
    assert ("Δ: difference" in result.stdout) == bool(varied)


@pytest.mark.parametrize(
    ("minutes", "seeds", "bound"), [(5, 3, "10 minutes"), (0.5, 2, "30 seconds"), (90, 4, "3.0 hours")]
)
def test_minutes_bound_the_whole_comparison(alone: Compare, minutes: float, seeds: int, bound: str):
    told = alone("--seeds", seeds, "--minutes", minutes, "training.steps=50").stderr
    assert f"together that may take {bound}" in told


def test_finished_runs_tell_how_long_the_others_may_take(alone: Compare, tmp_path: Path):
    result = Measured({"nll": 1.0}, {}, 12345, 6e6, 900.0, 200.0, 7, 1)
    for seed in (1, 2):
        path = tmp_path / "grid" / "unchanged" / f"seed-{seed}" / "result.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(asdict(result)), encoding="utf-8")
    lines = alone("--seeds", 5).stderr.splitlines()
    assert lines[2:4] == [
        "2 of them are finished already",
        "3 runs are left, which may take some 7 minutes",
    ]
