"""The verb ``check``: what it prints of files and recipes, and that it ends as training would."""

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from whyformer.cli.main import app

RECIPE = """
data: {train: a.tsv, valid: 0.1}
tokenizers: {both: {kind: bpe, vocabulary: 400}}
model: {preset: tiny}
training: {epochs: 1}
"""
ROWS = [f"The cat number {n} sits here.\tDie Katze Nummer {n} sitzt da." for n in range(40)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.tsv").write_text("\n".join(["en\tde", *ROWS, "\tleer"]), encoding="utf-8")
    (tmp_path / "latin.tsv").write_bytes("\n".join(f"x {row} für" for row in ROWS).encode("latin-1"))
    (tmp_path / "mine.yaml").write_text(RECIPE, encoding="utf-8")
    return tmp_path


def test_a_file_is_described(folder: Path) -> None:
    done = CliRunner().invoke(app, ["check", "a.tsv"])
    assert done.exit_code == 0
    assert "a.tsv: utf-8, 42 lines, columns parted by tabs, with a header, without quotes" in done.output
    assert "column 2 de: text in latin letters," in done.output
    assert "source and target are likely columns 1 and 2" in done.output
    assert "note: a.tsv: column 1 is empty on 1 lines (42)." in done.output


@pytest.mark.parametrize("arguments", [["latin.tsv"], ["mine.yaml", "data.train=latin.tsv"]])
def test_it_ends_with_2_where_training_would_be_refused(arguments: list[str], folder: Path) -> None:
    done = CliRunner().invoke(app, ["check", *arguments])
    assert done.exit_code == 2
    assert "iconv -f CP1252 -t UTF-8" in done.output


def test_a_recipe_is_described(folder: Path) -> None:
    done = CliRunner().invoke(app, ["check", "mine.yaml"])
    assert done.exit_code == 0, done.output
    assert "data.train.header=True  (the first line names the columns)" in done.output
    assert "41 pairs read, 40 kept; dropped: 1 empty" in done.output
    assert "4 of them held out as valid" in done.output
    assert "train: 36 examples; source " in done.output


def test_a_header_that_is_said_to_be_a_pair_is_doubted(folder: Path) -> None:
    done = CliRunner().invoke(app, ["check", "mine.yaml", "data.train={path: a.tsv, header: false}"])
    assert done.exit_code == 0, done.output
    assert "42 pairs read, 41 kept; dropped: 1 empty" in done.output
    assert "warning: " in done.output
    assert "may name the columns (en, de)" in done.output


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("tokenizers.both.vocabulary=20", "vocabulary"),
        ("data.valid=no.tsv", "no such file"),
    ],
)
def test_what_training_finds_before_its_first_step_is_found(change: str, said: str, folder: Path) -> None:
    done = CliRunner().invoke(app, ["check", "mine.yaml", change])
    assert said in done.output
    assert done.exit_code == 2


def test_pairs_that_do_not_fit_the_model_are_counted(folder: Path) -> None:
    with (folder / "a.tsv").open("a", encoding="utf-8") as file:
        file.write(f"\n{'dog ' * 90}\t{'Hund ' * 90}")
    done = CliRunner().invoke(app, ["check", "mine.yaml", "model.longest=60"])
    assert re.search(r"longer than model\.longest \(60 tokens\): 1 training pair", done.output)


def test_json_is_one_object(folder: Path) -> None:
    of_file = json.loads(CliRunner().invoke(app, ["check", "a.tsv", "--json"]).stdout)
    assert of_file["form"] == {"kind": "tsv", "delimiter": "\t", "header": True, "quotes": False}
    assert of_file["refused"] is False
    of_recipe = json.loads(CliRunner().invoke(app, ["check", "mine.yaml", "--json"]).stdout)
    assert [each["name"] for each in of_recipe["sets"]] == ["train", "valid"]
    assert of_recipe["findings"] == []


@pytest.mark.parametrize(("target", "said"), [("no.tsv", "no such file"), ("no.yaml", "no such recipe")])
def test_what_is_not_there_is_one_sentence(target: str, said: str, folder: Path) -> None:
    done = CliRunner().invoke(app, ["check", target])
    assert done.exit_code == 2
    assert said in done.output


@pytest.mark.parametrize(
    "recipe",
    [
        "data: {train: a.tsv, valid: 0.1}",
        "data: {train: a.tsv, valid: 0.1}\nmodel: {preset: tiny}",
        "data: {train: a.tsv, valid: 0.1}\ntraining: {seed: 3}",
        "base: cldr-en-de\ndata: {kind: files, train: a.tsv, valid: 0.1}",
    ],
)
def test_what_a_recipe_leaves_to_its_text_is_no_fault(recipe: str, folder: Path) -> None:
    (folder / "short.yaml").write_text(recipe, encoding="utf-8")
    done = CliRunner().invoke(app, ["check", "short.yaml"])
    assert done.exit_code == 0, done.output
    assert "41 pairs read, 40 kept" in done.output
    assert done.output.count("data.train.header=True") == 1


def test_faults_of_files_come_at_once(folder: Path) -> None:
    (folder / "short.yaml").write_text("data: {train: no.tsv, valid: neither.tsv}", encoding="utf-8")
    done = CliRunner().invoke(app, ["check", "short.yaml"])
    assert done.exit_code == 2
    assert "data.train" in done.output
    assert "data.valid" in done.output


def test_a_folder_without_a_run_is_called_that(folder: Path) -> None:
    done = CliRunner().invoke(app, ["check", str(folder)])
    assert done.exit_code == 2
    assert "is not the folder of a run" in done.output


def test_what_a_recipe_does_without_is_said(folder: Path) -> None:
    (folder / "base.yaml").write_text(
        "data: {train: a.tsv, valid: a.tsv, test: {one: a.tsv}}", encoding="utf-8"
    )
    (folder / "short.yaml").write_text("base: base.yaml\ndata: {train: a.tsv}", encoding="utf-8")
    done = CliRunner().invoke(app, ["check", "short.yaml"])
    assert "does without data.valid and data.test" in done.output


@pytest.mark.filterwarnings("ignore::whyformer.errors.WhyformerNote")  # of the header
def test_a_start_is_checked_as_training_checks_it(folder: Path) -> None:
    quick = ["training.steps=1", "model.d_model=32", "training.validation.sentences=2"]
    begun = CliRunner().invoke(app, ["train", "mine.yaml", "--run", "begun", *quick])
    assert begun.exit_code == 0, begun.output
    further = "start: begun\ndata: {train: a.tsv, valid: 0.1}\ntraining: {epochs: 1}\n"
    (folder / "further.yaml").write_text(further, encoding="utf-8")
    assert CliRunner().invoke(app, ["check", "further.yaml"]).exit_code == 0
    for change in ("model.d_model=64", "model.encoder.layers=1", "tokenizers.both.vocabulary=500"):
        done = CliRunner().invoke(app, ["check", "further.yaml", change])
        assert done.exit_code == 2, done.output
        trained = CliRunner().invoke(app, ["train", "further.yaml", "--run", "new", change])
        assert trained.output.splitlines()[-1] == done.output.splitlines()[-1]
