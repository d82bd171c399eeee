"""What the README tells people to type works, and both languages tell the same."""

import re
import shlex
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from whyformer.cli.main import app
from whyformer.tasks.compare import Trial
from whyformer.tasks.kinds import load_any
from whyformer.tasks.recipes import shipped

ROOT = Path(__file__).parent.parent
README, CHINESE = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.zh.md"))

LONG = ("train", "compare", "why")  # verbs that work for minutes


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def commands(text: str) -> list[str]:
    lines = "".join(blocks(text, "console")).splitlines()
    return [" ".join(shlex.split(line[2:], comments=True)) for line in lines if line.startswith("$ ")]


def arguments(*verbs: str) -> list[list[str]]:
    """The arguments of the README's calls of ``whyformer``: of these verbs, or of all that do not train."""
    lines = "".join(blocks(README, "console")).splitlines()
    split = [shlex.split(line[2:], comments=True) for line in lines if line.startswith("$ ")]
    calls = [call[1:] for call in split if Path(call[0]).name == "whyformer"]
    return [
        call for call in calls if (call[0] in verbs if verbs else call[0] not in ("train", "compare", "why"))
    ]


@pytest.fixture
def demo(reverse_run: Path, counting_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder where ``runs/demo`` and ``runs/gpt-tiny`` are trained runs, as after ``make demo``."""
    shutil.copytree(reverse_run, tmp_path / "runs" / "demo")
    shutil.copytree(counting_run, tmp_path / "runs" / "gpt-tiny")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_both_languages_give_the_same_commands_and_code():
    assert commands(README) == commands(CHINESE)
    assert blocks(README, "python") == blocks(CHINESE, "python")
    assert blocks(README, "yaml") == blocks(CHINESE, "yaml")


def test_both_languages_give_the_same_figures():
    # A row of the table of recipes begins with the recipe's name in code.
    rows = [re.findall(r"^\| `([^`]+)`.*", text, re.MULTILINE) for text in (README, CHINESE)]
    assert rows[0] == rows[1] == sorted(shipped())
    figures = [
        re.findall(r"\d+\.\d+", "".join(re.findall(r"^\| `.*", text, re.MULTILINE)))
        for text in (README, CHINESE)
    ]
    assert figures[0] == figures[1]


def test_make_knows_the_targets():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = [command.split()[1] for command in commands(README) if command.startswith("make ")]
    assert targets
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


@pytest.mark.parametrize("call", arguments(), ids=" ".join)
def test_a_command_runs(call: list[str], demo: Path):
    # This run has one tokenizer for both sides; the run of the real demo has two.
    call = [argument.replace("tokenizer.source.json", "tokenizer.json") for argument in call]
    result = CliRunner().invoke(app, call, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert result.stdout.strip()


@pytest.mark.parametrize("call", arguments("train"), ids=" ".join)
def test_a_training_command_is_valid(call: list[str], tmp_path: Path):
    recipe = call[1]
    if recipe.startswith("runs/"):
        recipe = recipe.removeprefix("runs/")
    elif recipe.endswith(".yaml"):
        (tmp_path / recipe).write_text(blocks(README, "yaml")[0], encoding="utf-8")
        recipe = str(tmp_path / recipe)
    load_any(recipe, [argument for argument in call[2:] if "=" in argument])


@pytest.mark.parametrize("call", arguments("compare"), ids=" ".join)
def test_a_comparison_is_valid(call: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def run(trials: list[Trial], *_: object) -> dict[Trial, str]:
        return dict.fromkeys(trials, "not here.")

    monkeypatch.setattr("whyformer.tasks.compare.run", run)
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, call, catch_exceptions=False)
    assert "9 of 9 runs failed" in result.stderr


@pytest.mark.parametrize("call", arguments("why"), ids=" ".join)
def test_a_question_is_known(call: list[str]):
    listed = CliRunner().invoke(app, ["why"]).stdout
    assert all(re.search(rf"^ *{number}  ", listed, re.MULTILINE) for number in call[1:2])


def test_the_python_runs(demo: Path):
    exec(blocks(README, "python")[0], {})  # noqa: S102  # the README's own three lines
