"""A recipe's task decides which spec reads it."""

from pathlib import Path

import pytest

from whyformer.config.recipe_files import read
from whyformer.errors import RecipeError
from whyformer.runs.registry import find_task, load_any
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
