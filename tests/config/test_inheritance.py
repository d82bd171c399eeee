"""Files of a base: which of them a recipe that names some of its own still has, and what is said of that."""

from pathlib import Path
from typing import Any

import pytest

from whyformer.config.recipe_files import read
from whyformer.errors import RecipeError
from whyformer.runs.registry import find_task, load_any

BASES = {
    "pairs": """\
data:
  kind: files
  train: {kind: tsv, path: b-train, source_column: 3, target_column: 4}
  valid: {kind: tsv, path: b-valid}
  test:
    one: {kind: tsv, path: b-one, several_references: true}
    two: {kind: text, source: b-two.en, target: b-two.de}
  cleaning: {longest: 77}
training: {epochs: 1}
""",
    "documents": """\
task: causal_lm
data: {train: [b-train], valid: [b-valid], test: {one: [b-one], two: [b-two]}, split: file}
training: {epochs: 1}
""",
    "labelled": """\
task: classification
start: s
model: {backbone: {kind: gpt}}
data: {train: [b-train], valid: 0.3, test: {one: [b-one]}, labels: [x, y], header: true}
training: {epochs: 1}
""",
    "reverse": "data: {kind: reverse}\ntraining: {epochs: 1}\n",
}


@pytest.fixture(autouse=True)
def bases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in BASES.items():
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)


def derived(base: str, data: str, *overrides: str) -> tuple[Any, list[str]]:
    """The data of a recipe that derives from ``base``, and what is said of it."""
    Path("mine.yaml").write_text(f"base: {base}.yaml\ndata: {data}\n", encoding="utf-8")
    source = read("mine.yaml")
    kind = find_task(source.task).recipe_type
    notes = source.notes(kind, overrides)
    return source.spec(kind, overrides).data.model_dump(mode="json"), notes


def names(value: object) -> object:
    """Paths by their names alone."""
    match value:
        case dict():
            return {key: names(inner) for key, inner in value.items()}
        case list():
            return [names(inner) for inner in value]
        case str():
            return Path(value).name
        case _:
            return value


def test_test_sets_of_ones_own_are_all_there_are():
    data, notes = derived("pairs", "{test: {mine: {kind: tsv, path: m}}}")
    assert [*data["test"]] == ["mine"]
    assert notes == [
        "recipe mine.yaml names files of its own for data.test and keeps data.train, data.valid and "
        "data.cleaning of recipe pairs."
    ]
    data, notes = derived("documents", "{test: {two: [m]}}")
    assert names(data["test"]) == {"two": ["m"]}
    assert "keeps data.train, data.valid and data.split of recipe documents" in notes[0]


def test_no_test_sets_are_a_choice():
    assert derived("pairs", "{test: {}}")[0]["test"] == {}
    assert derived("documents", "{test: {}}")[0]["test"] == {}


def test_text_to_train_on_decides_about_the_other_sets():
    data, notes = derived("documents", "{train: [m]}")
    assert names([data["train"], data["valid"], data["test"], data["split"]]) == [["m"], 0.05, {}, "file"]
    assert notes == [
        "recipe mine.yaml names files of its own for data.train, keeps data.split of recipe documents, and "
        "does without data.valid and data.test: name such files, too, where they are needed."
    ]
    data, _ = derived("pairs", "{train: {kind: tsv, path: m}, valid: {kind: tsv, path: n}}")
    assert names([data["train"]["path"], data["valid"]["path"], data["test"]]) == ["m", "n", {}]
    assert data["cleaning"]["longest"] == 77


def test_a_share_and_settings_are_of_any_text():
    data, notes = derived("labelled", "{train: [m]}")
    assert (data["valid"], data["test"], data["labels"], data["header"]) == (0.3, {}, ["x", "y"], True)
    assert "does without data.test" in notes[0]
    data, _ = derived("pairs", "{train: {path: m}, valid: {path: n}}")
    # The form of a set of the same kind is inherited, its files are not.
    assert names(data["train"]["path"]) == "m"
    assert (data["train"]["source_column"], data["valid"]["source_column"]) == (3, 1)
    with pytest.raises(RecipeError, match=r"data\.valid\.path: missing"):
        derived("pairs", "{train: {path: m}, valid: {header: true}}")


def test_half_of_a_pair_of_files_is_no_pair():
    with pytest.raises(RecipeError, match=r"data\.test\.two\.target: missing"):
        derived("pairs", "{test: {two: {source: m}}}")


def test_nothing_is_said_where_no_file_is_named():
    for data in ("{cleaning: {ratio: 5}}", "{train: {source_column: 9}}", "{test: {one: {header: true}}}"):
        merged, notes = derived("pairs", data)
        assert notes == []
        assert [*merged["test"]] == ["one", "two"]
        assert merged["cleaning"]["longest"] == 77
    assert derived("reverse", "{pairs: 90}")[1] == []


def test_a_set_of_another_kind_is_taken_whole():
    data, _ = derived("pairs", "{valid: {kind: text, source: m, target: n}}")
    assert names(data["valid"]) == {"kind": "text", "source": "m", "target": "n"}
    data, notes = derived(
        "reverse", "{kind: files, train: {kind: tsv, path: m}, valid: {kind: tsv, path: n}}"
    )
    assert names(data["train"]["path"]) == "m"
    assert notes == []


def test_overrides_are_no_recipe_of_their_own():
    """Beside theirs the sets stay, and it is said which."""
    data, notes = derived("documents", "{}", "data.train=[m]", "data.repeated=true")
    assert names([data["train"], data["valid"]]) == [["m"], ["b-valid"]]
    assert names(data["test"]) == {"one": ["b-one"], "two": ["b-two"]}
    assert (data["split"], data["repeated"]) == ("file", True)
    assert notes == [
        "the command line names files of its own for data.train and keeps data.valid, data.test and "
        "data.split of recipe mine.yaml."
    ]
    data, notes = derived("documents", "{}", "data.test.mine=[m]")
    assert names(data["test"]) == {"mine": ["m"]}
    assert "keeps data.train, data.valid and data.split" in notes[0]
    # One that there is is changed, as any key is.
    data, _ = derived("pairs", "{}", "data.test.one.path=m")
    assert [*data["test"]] == ["one", "two"]
    assert data["test"]["one"]["several_references"]
    data, notes = derived("pairs", "{}", "data.cleaning.longest=5")
    assert (data["cleaning"]["longest"], notes) == (5, [])


def test_each_layer_is_told_of():
    Path("middle.yaml").write_text("base: pairs.yaml\ndata: {test: {m: {kind: tsv, path: m}}}\n", "utf-8")
    data, notes = derived("middle", "{valid: {path: v}}")
    assert [*data["test"]] == ["m"]
    assert [note.partition(" names")[0] for note in notes] == ["recipe middle", "recipe mine.yaml"]
    assert "keeps data.train, data.test and data.cleaning of recipe middle" in notes[1]


def test_what_is_missing_for_it_is_told_with_the_reason(monkeypatch: pytest.MonkeyPatch):
    Path("mine.yaml").write_text("base: multi30k-en-de\ndata: {test: {m: {kind: tsv, path: m}}}\n", "utf-8")
    said: list[str] = []
    recipe = load_any("mine.yaml", say=said.append)
    assert [*recipe.data.test] == ["m"]
    assert said[0].endswith("keeps data.train and data.valid of recipe multi30k-en-de.")
    monkeypatch.chdir("/")
    with pytest.raises(RecipeError, match="unknown key") as caught:
        load_any("multi30k-en-de", ["data.train.sourc=m", "data.test.m={kind: tsv, path: m}"])
    assert "the command line names files of its own for data.test" in str(caught.value)
