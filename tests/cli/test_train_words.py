"""Words around a training: what was meant by a mistaken call, and what comes behind its end."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from whyformer.cli.main import app
from whyformer.cli.verb import Program, Verb
from whyformer.errors import StoppedError
from whyformer.tasks.translation.scores.metrics import ScoringSpec

QUICK = "training: {steps: 2, validation: {every: 1}}\nmodel: {preset: tiny}\n"


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    lines = [
        f"The dog {n} and {n * 7 % 13} cats.\tDer Hund {n} und {n * 7 % 13} Katzen.\n" for n in range(60)
    ]
    Path("a.tsv").write_text("".join(lines), encoding="utf-8")
    Path("my head.yaml").write_text(f"data: {{train: a.tsv, valid: 0.1}}\n{QUICK}", encoding="utf-8")
    return "my head.yaml"


def train(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["train", *arguments, "--threads", "1"])


def test_a_training_ends_with_what_comes_next(recipe: str) -> None:
    done = train(recipe)
    assert done.exit_code == 0, done.output
    assert "best at step " in done.stdout
    assert " by nll: " in done.stdout or " by bleu: " in done.stdout
    following = (
        "next: `whyformer translate 'runs/my head'`, or `whyformer evaluate 'runs/my head' --on valid`"
    )
    assert done.stderr.splitlines()[-1] == following


@pytest.mark.parametrize("extra", [(), ("--run", "runs/my head")])
def test_a_run_that_lies_there_is_refused_before_the_data_are_read(
    extra: tuple[str, ...], recipe: str
) -> None:
    (folder := Path("runs/my head")).mkdir(parents=True)
    (folder / "recipe.yaml").write_text("task: translation\n", encoding="utf-8")
    refused = train(recipe, *extra)
    assert refused.exit_code == 2
    (line,) = refused.stderr.splitlines()
    assert line.startswith("error: ")
    assert "a run lies here already" in line
    assert "`whyformer train 'runs/my head'`" in line


@pytest.mark.parametrize("mistake", ["my head.yml", "my haed.yaml", "./my head.yml"])
def test_a_recipe_beside_is_meant(mistake: str, recipe: str) -> None:
    assert "Did you mean my head.yaml?" in train(mistake).stderr


@pytest.mark.parametrize("option", ["--training.minutes", "--data.train", "--model.encoder.layers"])
@pytest.mark.parametrize("joined", [False, True])
def test_a_key_written_as_an_option_is_said_to_be_none(option: str, joined: bool, recipe: str) -> None:
    call = [f"{option}=1"] if joined else [option, "1"]
    assert f"with an equals sign: {option[2:]}=VALUE" in train(recipe, *call).stderr
    assert "equals sign" not in train(recipe, "--nosuch", "1").stderr


def test_a_stop_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    import typer

    program = typer.Typer(cls=Program, pretty_exceptions_enable=False)

    @program.command(cls=Verb)
    def fail() -> None:
        raise StoppedError("stopped after step 3, and everything is saved.")

    program.callback()(lambda: None)
    done = CliRunner().invoke(program, ["fail"])
    assert (done.exit_code, done.stderr) == (2, "stopped after step 3, and everything is saved.\n")


@pytest.mark.parametrize(
    ("scores", "measure"),
    [({"nll": 1.0}, "nll"), ({"nll": 1.0, "bleu": 0.09}, "nll"), ({"nll": 1.0, "bleu": 20.0}, "bleu")],
)
def test_the_figure_that_decides_is_named(scores: dict[str, float], measure: str) -> None:
    scoring = ScoringSpec(choose_by="bleu")
    assert scoring.chosen_by(scores) == measure
    # It does decide: by it alone the others are worse.
    worse = {**scores, measure: scores[measure] * (2.0 if measure == "nll" else 0.5)}
    assert scoring.better(scores, worse)
