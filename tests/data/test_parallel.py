"""Held-out sets come by name, from the recipe or from files, and only what is asked for is read."""

from pathlib import Path

import pytest

from whyformer.data.corpora.pair_files import Referenced, TsvPairs
from whyformer.data.corpora.parallel import FilesSpec, load_corpus, load_held_out, read_test_set
from whyformer.errors import DataError


@pytest.fixture
def files(tmp_path: Path) -> FilesSpec:
    for name in ("train", "valid", "news"):
        (tmp_path / f"{name}.tsv").write_text(f"{name} a\tA\n{name} a\tB\n{name} c\tC\n", encoding="utf-8")
    train, valid, news = (TsvPairs(path=tmp_path / f"{name}.tsv") for name in ("train", "valid", "news"))
    several = news.model_copy(update={"several_references": True})
    missing = TsvPairs(path=tmp_path / "missing.tsv")
    return FilesSpec(train=train, valid=valid, test={"news": several, "absent": missing})


def test_only_the_sets_that_are_asked_for_are_read(files: FilesSpec):
    sets = load_held_out(files, ["news", "valid"])
    assert sets["news"] == [Referenced("news a", ["A", "B"]), Referenced("news c", ["C"])]
    assert [pair.source for pair in sets["valid"]] == ["valid a", "valid a", "valid c"]


def test_all_test_sets_are_read_if_none_is_named(files: FilesSpec):
    with pytest.raises(DataError, match=r"missing\.tsv: no such file"):
        load_held_out(files)
    present = files.model_copy(update={"test": {"news": files.test["news"]}})
    assert list(load_held_out(present)) == ["news"]
    assert load_corpus(present).test == load_held_out(present)


@pytest.mark.parametrize(
    ("name", "hint"), [("new", r"did you mean news\?"), ("xyz", "there are: valid, news, absent")]
)
def test_an_unknown_name_is_told_the_nearest(files: FilesSpec, name: str, hint: str):
    with pytest.raises(DataError, match=f"there is no test set {name}; {hint}"):
        load_held_out(files, [name])


def test_a_recipe_without_test_sets_says_so(files: FilesSpec):
    with pytest.raises(
        DataError, match="the recipe names no test set; score its validation set by --on valid, or files"
    ):
        load_held_out(files.model_copy(update={"test": {}}))


def test_a_test_set_may_not_be_called_valid(files: FilesSpec):
    with pytest.raises(ValueError, match="test has a set named valid"):
        FilesSpec(train=files.train, valid=files.valid, test={"valid": files.train})


def test_files_side_by_side_make_a_test_set(tmp_path: Path):
    source, first, second = (tmp_path / name for name in ("source", "first", "second"))
    source.write_text("a\nb\n", encoding="utf-8")
    first.write_text("A\nB\n", encoding="utf-8")
    second.write_text("AA\n\n", encoding="utf-8")
    assert read_test_set(source, [first, second]) == [Referenced("a", ["A", "AA"]), Referenced("b", ["B"])]
    assert read_test_set(source, [second]) == [Referenced("a", ["AA"]), Referenced("b", [""])]
    second.write_text("AA\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"source has 2 lines but .*second has 1"):
        read_test_set(source, [first, second])
