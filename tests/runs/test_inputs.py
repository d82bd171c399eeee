"""Files of a recipe: looked for before any is read, all at once, by key and full path, from any folder."""

import gzip
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner, Result

from whyformer.cli.main import app
from whyformer.config.recipe_files import recipe_text
from whyformer.errors import DataError, RecipeError, WhyformerError
from whyformer.experiments.grid import Variation, plan_trials
from whyformer.files import check_writable
from whyformer.runs.load import read_recipe
from whyformer.runs.registry import load_any
from whyformer.runs.train import resume_run, start_run
from whyformer.training.storage.run import check_free

MODEL = """\
model:
  d_model: 16
  encoder: {layers: 1, block: {attention: {heads: {query: 1}}, feed_forward: {hidden: 16}}}
  decoder:
    layers: 1
    block: {attention: {heads: {query: 1}}, cross_attention: {heads: {query: 1}}, feed_forward: {hidden: 16}}
tokenizers: {kind: joint, both: {kind: word}}
training:
  steps: 4
  precision: fp32
  schedule: {warmup: 1}
  validation: {every: 2, sentences: 2, average: 1}
decoding: {kind: greedy}
"""
PAIRS = """\
data:
  kind: files
  train: {kind: text, source: text/train.en, target: text/train.de}
  valid: {kind: tsv, path: text/valid.tsv}
  test: {mine: {kind: tsv, path: text/test.tsv.gz}}
"""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    monkeypatch.setattr("whyformer.plots.curves.save_curves", lambda *_: None)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recipe with its files below it; the shell is elsewhere."""
    folder = tmp_path / "mine"
    (folder / "text").mkdir(parents=True)
    (folder / "mine.yaml").write_text(PAIRS + MODEL, encoding="utf-8")
    words = [f"w{number} w{number + 1}" for number in range(30)]
    (folder / "text/train.en").write_text("\n".join(words), encoding="utf-8")
    (folder / "text/train.de").write_text("\n".join(word.upper() for word in words), encoding="utf-8")
    apart = (f"w{number} w{number + 9}" for number in range(4))
    table = "\n".join(f"{text}\t{text.upper()}" for text in apart)
    (folder / "text/valid.tsv").write_text(table, encoding="utf-8")
    (folder / "text/test.tsv.gz").write_bytes(gzip.compress(table.encode()))
    (tmp_path / "shell").mkdir()
    monkeypatch.chdir(tmp_path / "shell")
    return folder


def whyformer(*call: object) -> Result:
    return CliRunner().invoke(app, [str(each) for each in call])


def faults(recipe: object, *changes: str) -> str:
    with pytest.raises(DataError) as caught:
        load_any(str(recipe), changes, to_train=True)
    return str(caught.value)


def test_a_run_can_be_used_from_anywhere(folder: Path, monkeypatch: pytest.MonkeyPatch):
    assert whyformer("train", "../mine/mine.yaml", "--run", "../runs/made").exit_code == 0
    run = folder.parent / "runs/made"
    assert f"source: {folder}/text/train.en\n" in (run / "recipe.yaml").read_text(encoding="utf-8")
    monkeypatch.chdir("/")
    assert whyformer("evaluate", run).exit_code == 0
    assert whyformer("inspect", run).exit_code == 0
    assert whyformer("train", run, "training.steps=6").exit_code == 0
    assert whyformer("profile", run, "--steps", "1", "--sentences", "1").exit_code == 0


@pytest.mark.parametrize(
    ("break_it", "told"),
    [
        (Path.unlink, "no such file."),
        (lambda path: (path.unlink(), path.mkdir()), "this is a folder, not a text file."),
        (lambda path: path.write_bytes(b""), "this file is empty."),
        (lambda path: (path.unlink(), path.symlink_to("nowhere")), "no such file."),
    ],
)
def test_all_faults_come_at_once_with_key_and_full_path(
    folder: Path, break_it: Callable[[Path], object], told: str
):
    for name in ("train.de", "valid.tsv", "test.tsv.gz"):
        break_it(folder / "text" / name)
    result = whyformer("train", "../mine/mine.yaml", "--run", "run")
    assert result.exit_code == 2
    assert result.stderr.splitlines() == [
        "error: 3 faults in the files of recipe ../mine/mine.yaml:",
        f"  data.train.target: {folder}/text/train.de: {told}",
        f"  data.valid.path: {folder}/text/valid.tsv: {told}",
        f"  data.test.mine.path: {folder}/text/test.tsv.gz: {told}",
    ]
    assert not Path("run").exists()


@pytest.mark.parametrize("verb", ["train", "check"])
@pytest.mark.parametrize("start", [False, True])
def test_faults_of_keys_come_with_those_of_files(folder: Path, verb: str, start: bool):
    (folder / "text/train.de").unlink()
    changes = ["training.sedd=3", "model.encoder.layers=0", *(["start=nowhere"] if start else [])]
    result = whyformer(verb, "../mine/mine.yaml", *changes)
    assert result.exit_code == 2
    told = result.stderr.splitlines()
    files = [f"  data.train.target: {folder}/text/train.de: no such file."]
    if start:
        # What the run would bring is not known, so neither is what the keys lack.
        here = Path.cwd()
        files.append(f"  start: {here}/nowhere is not the folder of a run (it has no recipe.yaml).")
        assert told == ["error: 2 faults in the files of recipe ../mine/mine.yaml:", *files]
        return
    assert told == [
        "error: 2 faults in recipe ../mine/mine.yaml with its overrides:",
        "  model.encoder.layers: is 0; should be int ≥ 1",
        "  training.sedd: unknown key; did you mean seed?",
        "1 fault in the files of recipe ../mine/mine.yaml:",
        *files,
    ]


def test_keys_that_the_data_decide_are_no_fault_of_a_recipe_whose_files_are_missing(folder: Path):
    (folder / "short.yaml").write_text(PAIRS, encoding="utf-8")
    (folder / "text/train.de").unlink()
    assert faults("../mine/short.yaml").startswith("1 fault in the files of recipe")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_told_of(folder: Path):
    (folder / "text/valid.tsv").chmod(0)
    assert "data.valid.path: " in faults("../mine/mine.yaml")


@pytest.mark.parametrize(
    ("recipe", "keys"),
    [
        ("task: causal_lm\ndata: {train: [a, b], valid: [c], test: {x: [d]}}",
         "train.0 train.1 valid.0 test.x.0"),
        ("task: masked_lm\ndata: {train: [a], valid: 0.1, test: {x: [d, e]}}", "train.0 test.x.0 test.x.1"),
        ("task: bidirectional_lm\ndata: {train: [a], valid: [b]}", "train.0 valid.0"),
        ("task: classification\nstart: s\ndata: {train: [a], test: {x: [b]}}", "train.0 test.x.0"),
        ("data: {kind: files, train: {kind: tsv, path: a}, valid: {kind: text, source: b, target: c}}",
         "train.path valid.source valid.target"),
    ],
)  # fmt: skip
def test_every_task_looks_for_every_file(folder: Path, recipe: str, keys: str):
    (folder / "it.yaml").write_text(f"{recipe}\ntraining: {{steps: 1}}\n", encoding="utf-8")
    told = faults(folder / "it.yaml")
    found = [line.strip().partition(":")[0] for line in told.splitlines()[1:]]
    assert [key for key in found if key != "start"] == [f"data.{key}" for key in keys.split()]
    assert ("start" in found) == ("start" in recipe)
    assert all(str(folder) in line for line in told.splitlines()[1:])


def test_overrides_count_from_the_shell_and_a_stray_file_is_found(folder: Path):
    shutil.move(folder / "text/valid.tsv", "v.tsv")
    assert "data.valid.path=" not in faults("../mine/mine.yaml")
    Path("text").mkdir()
    shutil.move("v.tsv", "text/valid.tsv")
    told = faults("../mine/mine.yaml")
    assert told.endswith("give it as data.valid.path=text/valid.tsv behind the recipe, or in full.")
    # The advice is good.
    recipe = load_any("../mine/mine.yaml", ["data.valid.path=text/valid.tsv"], to_train=True)
    assert recipe.data.valid.path == Path("text/valid.tsv").absolute()


def test_what_is_on_the_web_or_no_regular_file_is_left_alone(folder: Path):
    if not hasattr(os, "mkfifo"):
        pytest.skip("no pipes with names here")
    os.mkfifo(folder / "pipe")
    web = f"{{url: https://localhost/x.tsv, sha256: {64 * 'a'}}}"
    changes = [
        f"data.valid={{kind: tsv, path: {folder}/pipe}}",
        f"data.test={{w: {{kind: tsv, path: {web}}}}}",
    ]
    load_any("../mine/mine.yaml", changes, to_train=True)


def test_a_comparison_looks_for_its_files_before_it_begins(folder: Path):
    good = f"{folder}/text/valid.tsv"
    axis = Variation(("data.valid.path",), (good, "no.tsv"))
    with pytest.raises(RecipeError, match=r"1 of 2 cells cannot be trained") as caught:
        plan_trials("../mine/mine.yaml", [axis], [1], Path("grid"))
    assert f"data.valid.path: {Path('no.tsv').absolute()}: no such file." in str(caught.value)


def test_a_run_of_an_older_version_counts_from_the_shell(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(folder)
    start_run("mine.yaml", [], Path("run"), device="cpu", overwrite=False, say=print).train()
    recipe = Path("run/recipe.yaml")
    absolute = recipe.read_text(encoding="utf-8")
    recipe.write_text(absolute.replace(f"{folder}/", ""), encoding="utf-8")
    assert recipe_text(read_recipe(Path("run"))) == absolute
    resume_run(Path("run"), ["training.steps=5"], device="cpu", say=print).train()
    assert whyformer("evaluate", "run").exit_code == 0
    assert whyformer("train", "run/recipe.yaml", "--run", "again").exit_code == 0


def test_moved_files_are_named_with_the_way_to_go_on(folder: Path):
    start_run("../mine/mine.yaml", [], Path("run"), device="cpu", overwrite=False, say=print).train()
    before = Path("run/recipe.yaml").read_bytes()
    shutil.move(folder, "moved")
    assert whyformer("translate", "run", "w1 w2").exit_code == 0
    told = whyformer("train", "run", "training.steps=6").stderr
    assert f"data.train.source: {folder}/text/train.en: no such file." in told
    assert told.splitlines()[-1].endswith("as in `whyformer train run data.train.source=...`")
    assert Path("run/recipe.yaml").read_bytes() == before
    told = whyformer("evaluate", "run").stderr
    assert f"data.test.mine.path: {folder}/text/test.tsv.gz: no such file." in told
    assert "`whyformer evaluate run data.train.source=...`" in told
    shown = whyformer("evaluate", "run", "data.test.mine.path=moved/text/test.tsv.gz")
    assert (shown.exit_code, shown.stdout.startswith("mine: ")) == (0, True)
    table = "moved/text/valid.tsv"
    told = whyformer("evaluate", "run", "training.steps=9", "data.valid.path=" + table).stderr
    assert "only its data can be changed here" in told
    there = [
        f"data.train.{side}=moved/text/train.{end}" for side, end in (("source", "en"), ("target", "de"))
    ]
    there += [f"data.valid.path={table}", "data.test.mine.path=moved/text/test.tsv.gz"]
    gone_on = whyformer("train", "run", "training.steps=6", *there)
    assert gone_on.exit_code == 0, gone_on.stderr
    assert f"{Path('moved').absolute()}/text/train.en" in Path("run/recipe.yaml").read_text(encoding="utf-8")


def test_a_folder_that_cannot_be_written_is_found_before_anything_is_read(folder: Path):
    Path("file").write_text("", encoding="utf-8")
    for run, told in {
        "file": f"cannot be made, as {Path('file').absolute()} is a file",
        "file/run": f"cannot be made, as {Path('file').absolute()} is a file",
        "n" * 300: "cannot be written",
    }.items():
        with pytest.raises(WhyformerError, match=told):
            check_free(Path(run), overwrite=True)
    result = whyformer("train", "../mine/mine.yaml", "--run", "file/run")
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1].startswith("error: file/run: cannot be made")
    assert "pairs read" not in result.stderr
    check_writable(Path("new/folder/of/some/depth"))
    assert [path.name for path in Path().iterdir()] == ["file"]


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no folder that nobody may write to")
def test_a_folder_of_the_system_is_none_to_write_to():
    with pytest.raises(WhyformerError, match=r"/proc/run: cannot be written \(.*\); choose another folder"):
        check_writable(Path("/proc/run"))


def test_a_place_for_the_run_is_looked_for_before_the_data_decide(folder: Path):
    Path("file").write_text("", encoding="utf-8")
    short = folder / "short.yaml"
    short.write_text("data: {train: text/valid.tsv, valid: 0.3}", encoding="utf-8")
    for run, told in {
        "file": "cannot be made",
        "file/run": "cannot be made",
        str(folder): "neither empty nor a run",
    }.items():
        result = whyformer("train", str(short), "--run", run)
        assert (result.exit_code, result.stderr.count("\n")) == (2, 1), result.stderr
        assert told in result.stderr
