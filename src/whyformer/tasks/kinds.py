"""Which recipe belongs to which task."""

from collections.abc import Sequence

from whyformer.errors import RecipeError
from whyformer.tasks.causal_lm import CausalLMRecipe
from whyformer.tasks.recipes import load_recipe, task_of
from whyformer.tasks.translation import TranslationRecipe

AnyRecipe = TranslationRecipe | CausalLMRecipe


def recipe_type(task: str) -> type[AnyRecipe]:
    """The type of the recipes for ``task``.

    Raises:
        RecipeError: there is no such task.
    """
    match task:
        case "translation":
            return TranslationRecipe
        case "causal_lm":
            return CausalLMRecipe
        case _:
            raise RecipeError(f"there is no task {task}; a recipe's `task` is translation or causal_lm.")


def load_any(recipe: str, overrides: Sequence[str] = ()) -> AnyRecipe:
    """The recipe by name or file, whatever its task; see ``load_recipe`` for errors."""
    return load_recipe(recipe_type(task_of(recipe)), recipe, overrides)
