"""The tasks, by name: the one table that lists them. A new task is a folder in ``tasks`` and a row here."""

from collections.abc import Sequence
from typing import Any

from whyformer.config.recipe_files import read
from whyformer.errors import RecipeError
from whyformer.tasks.bidirectional_lm.task import BidirectionalLMTask
from whyformer.tasks.causal_lm.task import CausalLMTask
from whyformer.tasks.classification.task import ClassificationTask
from whyformer.tasks.masked_lm.task import MaskedLMTask
from whyformer.tasks.recipe import Recipe
from whyformer.tasks.task import Task
from whyformer.tasks.translation.task import TranslationTask

# Each has recipes, assets and runners of its own, which only it can tell apart: hence `Any`.
AnyTask = Task[Any, Any, Any]

TASKS: dict[str, AnyTask] = {
    task.name: task
    for task in (
        TranslationTask(),
        CausalLMTask(),
        MaskedLMTask(),
        BidirectionalLMTask(),
        ClassificationTask(),
    )
}


def find_task(name: str) -> AnyTask:
    """The task called ``name``.

    Raises:
        RecipeError: there is none.
    """
    if name not in TASKS:
        *most, last = TASKS
        raise RecipeError(f"there is no task {name}; a recipe's `task` is {', '.join(most)} or {last}.")
    return TASKS[name]


def task_of(recipe: Recipe) -> AnyTask:
    """The task that ``recipe`` is for."""
    return find_task(recipe.task)


def load_any(recipe: str, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe by name or file, whatever its task, with what it leaves to other files filled in.

    Raises:
        RecipeError: see ``load_recipe``.
        DataError: a file that it is to be completed from cannot be read.
    """
    source = read(recipe)
    task = find_task(source.task)
    return task.complete(source.spec(task.recipe_type, overrides))
