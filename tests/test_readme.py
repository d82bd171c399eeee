"""What the README tells people to type works, and both languages tell the same."""

import contextlib
import gzip
import re
import shlex
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from whyformer.cli.main import app
from whyformer.config.recipe_files import SHIPPED, shipped
from whyformer.data.audio.spoken.labels import write_tones
from whyformer.experiments.grid import Trial
from whyformer.huggingface.transfer import export_model
from whyformer.runs.registry import load_any
from whyformer.runs.train import start_run

# Toy runs and toy texts stand for those of the page; what is odd about them is told, as it should be.
pytestmark = pytest.mark.filterwarnings("ignore::whyformer.errors.WhyformerNote")

ROOT = Path(__file__).parent.parent
README, CHINESE = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.zh.md"))

LONG = ("train", "compare", "why", "serve")  # verbs that work for minutes, or until they are told to end


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
    return [call for call in calls if (call[0] in verbs if verbs else call[0] not in LONG)]


MOODS = "".join(f"{mood}\t{word} {word}\n" for mood in ("low", "high") for word in ("one", "two", "nine"))
PAIRS = "".join(f"{number} days\t{number} Tage\n" for number in range(300))


@pytest.fixture(scope="module")
def house(
    reverse_run: Path, counting_run: Path, filling_run: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """What a reader has who has followed the README: trained runs and files of their own."""
    house = tmp_path_factory.mktemp("house")
    made = {
        "demo": reverse_run,
        "multi30k-en-de-sinusoidal": reverse_run,
        "gpt-tiny": counting_run,
        "bert-tiny": filling_run,
    }
    for name, run in made.items():
        shutil.copytree(run, house / "runs" / name)
    (house / "mood.tsv").write_text(MOODS, encoding="utf-8")
    (house / "texts.txt").write_text("one two\nnine\n", encoding="utf-8")
    (house / "pairs.tsv").write_text(PAIRS, encoding="utf-8")
    for side, language in enumerate(("en", "de")):
        column = (line.split("\t")[side] for line in PAIRS.splitlines())
        (house / f"train.{language}").write_text("\n".join(column), encoding="utf-8")
    (house / "shards").mkdir()
    with gzip.open(house / "shards" / "1.txt.gz", "wt", encoding="utf-8") as shard:
        shard.write("in 3 days\n")
    for text in blocks(README, "yaml"):
        (house / text.partition("\n")[0].removeprefix("# ")).write_text(text, encoding="utf-8")
    with contextlib.chdir(house):
        few = ["training.epochs=null", "training.steps=2", "data.valid=0.5"]
        start_run(
            "mood.yaml", few, Path("runs/mood"), device="cpu", overwrite=False, say=lambda _: None
        ).train()
        export_model(Path("runs/multi30k-en-de-sinusoidal"), Path("given"))
        few = ["training.epochs=null", "training.steps=2", "data.train=8", "data.valid=2", "data.test=2"]
        start_run("tones", few, Path("runs/tones"), device="cpu", overwrite=False, say=lambda _: None).train()
        write_tones("tones.wav")
    return house


@pytest.fixture
def demo(house: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the house, to work in."""
    shutil.copytree(house, tmp_path, dirs_exist_ok=True)
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


def test_both_languages_have_a_phrase_for_every_room():
    rooms = [re.findall(r"^  (\w+)/ +\S", text, re.MULTILINE) for text in (README, CHINESE)]
    folders = {path.name for path in SHIPPED.parent.iterdir() if path.is_dir()} - {"__pycache__"}
    assert rooms[0] == rooms[1]
    assert set(rooms[0]) == folders


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
    # What a model writes for words that it never saw may be nothing; its line is there even so. One that
    # hears nothing says so beside the results.
    told = {"translate": result.stdout, "listen": result.output}.get(call[0], result.stdout.strip())
    assert told


@pytest.mark.parametrize("call", arguments("train"), ids=" ".join)
def test_a_training_command_is_valid(call: list[str], demo: Path):
    if call[1] == "mine.yaml":
        (initial,) = arguments("init")
        assert CliRunner().invoke(app, initial, catch_exceptions=False).exit_code == 0
    if call[1] == "distilled/student.yaml":
        (distillation,) = arguments("distil")
        quick = [*distillation, "data.pairs=200"]
        assert CliRunner().invoke(app, quick, catch_exceptions=False).exit_code == 0
    load_any(call[1].removeprefix("runs/"), [argument for argument in call[2:] if "=" in argument])


@pytest.mark.parametrize("text", blocks(README, "yaml"), ids=lambda text: text.partition("\n")[0][2:])
def test_a_recipe_of_the_page_is_valid(text: str, demo: Path):
    load_any(text.partition("\n")[0].removeprefix("# "), to_train=True)


@pytest.mark.parametrize("call", arguments("compare"), ids=" ".join)
def test_a_comparison_is_valid(call: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def run(trials: list[Trial], *_: object) -> dict[Trial, str]:
        return dict.fromkeys(trials, "not here.")

    monkeypatch.setattr("whyformer.experiments.grid.run", run)
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, call, catch_exceptions=False)
    assert "9 of 9 runs failed" in result.stderr


@pytest.mark.parametrize("call", arguments("why"), ids=" ".join)
def test_a_question_is_known(call: list[str]):
    listed = CliRunner().invoke(app, ["why"]).stdout
    numbers = [each for each in call[1:] if each.isdigit() and call[call.index(each) - 1] == "why"]
    assert all(re.search(rf"^ . +{number}  ", listed, re.MULTILINE) for number in numbers)


@pytest.mark.parametrize("code", blocks(README, "python"), ids=["translate", "listen"])
def test_the_python_runs(code: str, demo: Path):
    exec(code, {})  # noqa: S102  # the README's own lines
