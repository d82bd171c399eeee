"""Keys and tensors that were renamed: the old names still work, and whoever writes a recipe is told once."""

import warnings
from pathlib import Path

import pytest
import torch

from whyformer.config.recipe_files import recipe_text
from whyformer.config.schema import Node
from whyformer.errors import RecipeError, WhyformerNote
from whyformer.models.bert import BERTSpec
from whyformer.runs.load import read_recipe
from whyformer.runs.registry import TASKS, load_any
from whyformer.tasks.masked_lm.task import MaskedLMRecipe
from whyformer.training.storage.checkpoint import load_tensors, save_tensors

RECIPE = "task: masked_lm\ndata: {{train: [text]}}\ntraining: {{steps: 1}}\nmodel: {{{model}}}\n{more}\n"
OLD = {"layouts": "duplicates", "model.kinds": "token_types", "model.trunk": "backbone"}


def written(folder: Path, model: str, more: str = "") -> str:
    path = folder / "mine.yaml"
    path.write_text(RECIPE.format(model=model, more=more), encoding="utf-8")
    return str(path)


def read(path: str, *overrides: str) -> MaskedLMRecipe:
    recipe = load_any(path, overrides)
    assert isinstance(recipe, MaskedLMRecipe)
    return recipe


def test_an_old_key_means_the_new_one_and_says_so(tmp_path: Path):
    with pytest.warns(WhyformerNote) as notes:
        recipe = read(written(tmp_path, "kinds: 3", "layouts: 5"))
    assert (recipe.model.token_types, recipe.duplicates) == (3, 5)
    assert {str(note.message) for note in notes} == {
        "the key kinds is called token_types now; please rename it.",
        "the key layouts is called duplicates now; please rename it.",
    }
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = tmp_path / "again.yaml"
        again.write_text(recipe_text(recipe), encoding="utf-8")
        assert read(str(again)) == recipe


def test_an_old_key_in_an_override_goes_over_a_new_one_in_the_recipe(tmp_path: Path):
    path = written(tmp_path, "token_types: 3", "duplicates: 5")
    with pytest.warns(WhyformerNote):
        recipe = read(path, "layouts=2", "model.kinds=4")
    assert (recipe.model.token_types, recipe.duplicates) == (4, 2)


def test_an_old_key_is_checked_as_the_new_one(tmp_path: Path):
    with (
        pytest.warns(WhyformerNote),
        pytest.raises(RecipeError, match=r"duplicates: is 0; should be int ≥ 1"),
    ):
        read(written(tmp_path, "", "layouts: 0"))


def test_a_run_is_not_asked_to_rename_its_keys(tmp_path: Path):
    (tmp_path / "recipe.yaml").write_text(
        RECIPE.format(model="kinds: 3", more="layouts: 5"), encoding="utf-8"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_recipe(tmp_path).model == BERTSpec(token_types=3)


def renamed(node: Node, path: str = "") -> dict[str, str]:
    """All old keys of a recipe by their paths, with the new names."""
    found = {f"{path}{old}": new for old, new in node.renamed.items()}
    for key, inner in node.keys.items():
        for spec in inner.alternatives:
            if spec.schema.get("title") not in ("Both", "Either"):  # masks are made of masks
                found |= renamed(spec, f"{path}{key}.")
    return found


def test_no_renamed_key_is_without_a_test():
    found = [renamed(Node.root(task.recipe_type)) for task in TASKS.values()]
    assert {key for each in found for key in each if "backbone" not in key} == OLD.keys()


def test_tensors_are_read_by_their_present_names(tmp_path: Path):
    old = {
        "kind.weight": torch.ones(1),
        "model.trunk.kind.weight": torch.ones(2),
        "trunk.stack.blocks.0.attention.key.weight": torch.ones(3),
        "mankind.weight": torch.ones(4),
    }
    save_tensors(tmp_path / "model.safetensors", old, {})
    found, _ = load_tensors(tmp_path / "model.safetensors")
    assert {name: len(tensor) for name, tensor in found.items()} == {
        "token_type.weight": 1,
        "model.backbone.token_type.weight": 2,
        "backbone.stack.blocks.0.attention.key.weight": 3,
        "mankind.weight": 4,
    }
