"""``whyformer shortlist``, and the verbs that translate with what it has made."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from typer.testing import Result

from whyformer.runs.distillation import shortlist as making
from whyformer.runs.shortlist_file import shortlist_path
from whyformer.training.storage.checkpoint import load_tensors, save_tensors

Program = Callable[..., Result]
ENGINES = ["torch", "native"]


@pytest.fixture
def run(reverse_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(reverse_run, tmp_path / "run"))


@pytest.fixture
def listed(whyformer: Program, run: Path) -> Path:
    assert whyformer("shortlist", run, "--threads", 1).exit_code == 0
    return run


def test_where_lists_have_too_little_larger_ones_are_measured(
    whyformer: Program, run: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(making, "COVERED", 1.1)  # this model's lists are complete
    told = whyformer("shortlist", run, "--frequent", 0, "--each", 1, "--rare", 0, "--threads", 1)
    assert told.exit_code == 0
    first, *tried, last = told.stdout.splitlines()
    assert first == f"{shortlist_path(run)}: the 0 most frequent pieces and the best 1 of each source piece"
    assert [line.partition(":")[0] for line in tried] == [
        "--each 1",
        "--each 2",
        "--each 4",
        "--each 8",
        "--each 16",
    ]
    assert last == "that is less than 110.0% at any --each; raise --frequent"


@pytest.mark.parametrize("own", [(), ("--own",)])
def test_large_lists_have_everything(whyformer: Program, run: Path, own: tuple[str, ...]):
    told = whyformer("shortlist", run, "--threads", 1, *own)
    assert told.exit_code == 0
    assert "--each 50: 100.000% of the pieces written for the validation set are listed" in told.stdout
    assert "less than" not in told.stdout


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("search", [("--greedy",), ("--beam", 3)])
def test_translations_are_the_same(whyformer: Program, listed: Path, engine: str, search: tuple[object, ...]):
    told = [
        whyformer("translate", listed, "0 1 2", "4 3", "2", "--engine", engine, *search, *more)
        for more in ((), ("--shortlist",))
    ]
    if "was not compiled" in told[0].stderr:
        pytest.skip("needs the native engine compiled")
    assert told[0].stdout == told[1].stdout != ""
    scored = whyformer("evaluate", listed, "--engine", engine, *search, "--shortlist", "--threads", 1)
    assert scored.exit_code == 0
    assert "  bleu " in scored.stdout


def test_without_a_file_the_cure_is_named(whyformer: Program, run: Path):
    told = whyformer("translate", run, "0 1", "--shortlist")
    assert told.exit_code == 2
    assert f"{run}: has no shortlist, which --shortlist reads; make it by `whyformer shortlist" in told.stderr


def test_a_damaged_file_is_one_sentence(whyformer: Program, listed: Path):
    path = shortlist_path(listed)
    tensors, facts = load_tensors(path)
    whole = path.read_bytes()
    changes = {
        "shorter": {**tensors, "first": tensors["first"][:-1]},
        "beyond": {**tensors, "target": tensors["target"] + 99},
        "backwards": {**tensors, "first": tensors["first"].flip(0)},
        "other numbers": {**tensors, "counts": tensors["counts"].float()},
        "another table": {"weights": torch.zeros(3)},
    }
    for changed in changes.values():
        save_tensors(path, changed, facts)
        _refused(whyformer("translate", listed, "0 1", "--shortlist"), path)
    for changed in ({**facts, "rare": "often"}, {key: facts[key] for key in ("assets", "rare")}):
        save_tensors(path, tensors, changed)
        _refused(whyformer("translate", listed, "0 1", "--shortlist"), path)
    path.write_bytes(whole[:-9])
    _refused(whyformer("translate", listed, "0 1", "--shortlist"), path)


def _refused(told: Result, path: Path) -> None:
    assert (told.exit_code, told.stdout) == (2, "")
    assert f"{path}: the file is damaged or no shortlist; make it by `whyformer shortlist" in told.stderr


def test_the_table_of_another_tokenizer_is_refused(whyformer: Program, listed: Path):
    tensors, facts = load_tensors(shortlist_path(listed))
    save_tensors(shortlist_path(listed), tensors, {**facts, "assets": ["another"]})
    told = whyformer("translate", listed, "0 1", "--shortlist")
    assert told.exit_code == 2
    assert "has the ids of another tokenizer than the one in" in told.stderr


def test_where_it_cannot_work_it_is_refused(whyformer: Program, listed: Path, counting_run: Path):
    other = whyformer("translate", listed, "0 1", "--shortlist", "--engine", "ctranslate2")
    assert other.exit_code == 2
    assert "--shortlist is for our own engines" in other.stderr
    text = whyformer("evaluate", counting_run, "--shortlist")
    assert text.exit_code == 2
    assert "--shortlist are for runs that translate" in text.stderr
    made = whyformer("shortlist", counting_run)
    assert made.exit_code == 2
    assert f"{counting_run}: this run" in made.stderr
