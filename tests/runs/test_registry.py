"""A recipe's task decides which spec reads it."""

from pathlib import Path

import pytest

from whyformer.config.recipe_files import read
from whyformer.errors import DataError, RecipeError
from whyformer.runs.registry import find_task, load_any, load_undecided
from whyformer.tasks.translation.task import TranslationRecipe


def test_a_recipe_translates_unless_it_or_a_base_says_otherwise(tmp_path: Path):
    lowest, middle, top = (tmp_path / f"{name}.yaml" for name in ("lowest", "middle", "top"))
    lowest.write_text("task: something\n")
    middle.write_text("base: lowest.yaml\n")
    top.write_text("base: middle.yaml\n")
    assert read(str(top)).task == "something"
    lowest.write_text("training: {epochs: 1}\n")
    assert read(str(top)).task == "translation"
    lowest.write_text("base: top.yaml\n")
    with pytest.raises(RecipeError, match="its own base"):
        load_any(str(top))


def test_shipped_recipes_are_read_by_their_task():
    assert isinstance(load_any("reverse", ["training.epochs=1"]), TranslationRecipe)


def test_an_unknown_task_is_refused():
    with pytest.raises(RecipeError, match=r"there is no task cooking; a recipe's `task` is .*translation"):
        find_task("cooking")


@pytest.mark.parametrize(
    ("recipe", "overrides"),
    [
        ("demo", ["model.preset=tiny"]),
        ("cldr-en-zh", ["model.preset=small"]),
        ("demo", ["model={kind: transformer, preset: base}"]),
        (
            "reverse",
            ["tokenizers={kind: separate, source: {kind: word}, target: {kind: word}}", "model.preset=tiny"],
        ),
    ],
)
def test_a_preset_does_not_bring_a_table_that_separate_vocabularies_cannot_share(
    recipe: str, overrides: list[str]
):
    told = list[str]()
    spec = load_any(recipe, overrides, say=told.append)
    assert spec.model.embedding.tie == "output"
    assert [line.partition("  (")[0] for line in told] == ["model.embedding.tie=output"]


@pytest.mark.parametrize("tie", ["none", "output"])
def test_a_table_that_is_named_is_as_it_is_named(tie: str):
    told = list[str]()
    spec = load_any("demo", ["model.preset=tiny", f"model.embedding.tie={tie}"], say=told.append)
    assert (spec.model.embedding.tie, told) == (tie, [])
    with pytest.raises(RecipeError, match=r"tokenizers.kind is separate, but model.embedding.tie is all"):
        load_any("demo", ["model.preset=tiny", "model.embedding.tie=all"])


@pytest.mark.parametrize(
    ("recipe", "asked", "instead"),
    [
        ("bert-tiny", "classification", "take a recipe of task classification or write one"),
        ("gpt-tiny", "masked_lm", r"take a recipe of task masked_lm \(bert-tiny\) or write one"),
        ("demo", "causal_lm", r"recipe demo is of task translation.*\(gpt-tiny\)"),
    ],
)
def test_another_task_is_no_change_to_a_recipe(recipe: str, asked: str, instead: str):
    for load in (load_any, load_undecided):
        with pytest.raises(RecipeError, match=f"^task={asked}: .*{instead}"):
            load(recipe, [f"task={asked}"])


def test_an_unknown_task_is_told_with_those_that_exist():
    with pytest.raises(RecipeError, match=r"there is no task speling; a recipe's `task` is translation, "):
        load_any("demo", ["task=speling"])
    assert load_any("bert-tiny", ["task=masked_lm"]).task == "masked_lm"


@pytest.mark.parametrize("said", ["model: {preset: tiny}", "scoring: {lowercase: true}", "task: translation"])
def test_only_the_data_is_missing_where_it_decides_the_training(said: str, tmp_path: Path):
    path = tmp_path / "mine.yaml"
    path.write_text(said + "\n", encoding="utf-8")
    for load in (lambda: load_any(str(path), to_train=True), lambda: load_undecided(str(path))):
        with pytest.raises(RecipeError, match=r"^1 fault in recipe .*:\n  data: missing; should be"):
            load()


@pytest.mark.parametrize("overrides", [["training.clip=x"], ["training.clip=x", "model.width=3"]])
def test_what_is_inherited_is_no_fault_and_told_once(overrides: list[str], tmp_path: Path):
    base, mine = tmp_path / "base.yaml", tmp_path / "mine.yaml"
    base.write_text(
        "task: causal_lm\ntraining: {epochs: 1}\ndata: {train: [mine.yaml], split: file}\n", encoding="utf-8"
    )
    mine.write_text("base: base.yaml\ndata: {train: [base.yaml]}\n", encoding="utf-8")
    told = list[str]()
    with pytest.raises(RecipeError) as caught:
        load_any(str(mine), overrides, to_train=True, say=told.append)
    head, *lines = str(caught.value).split("\n")
    faults, notes = lines[: len(overrides)], lines[len(overrides) :]
    assert head.startswith(f"{len(overrides)} fault")
    assert all(line.startswith("  ") for line in faults)
    assert [note.partition(" names files")[0] for note in notes] == [f"recipe {mine}"]
    assert told == []
    load_any(str(mine), say=told.append)
    assert told == notes
    told.clear()
    with pytest.raises(DataError, match="no such file"):
        load_any(str(mine), ["data.valid=[gone]"], to_train=True, say=told.append)
    assert told[0] == notes[0]
