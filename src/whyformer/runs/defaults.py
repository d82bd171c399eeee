"""Recipes with all that they leave out decided: by their data, and by the number of steps that these make."""

from collections.abc import Sequence
from typing import Any

from whyformer.config.defaults import merged
from whyformer.config.recipe_files import RecipeLayer, Source
from whyformer.tasks.decision import Decision, as_layer
from whyformer.tasks.recipe import Recipe
from whyformer.tasks.task import Task
from whyformer.training.optimization.schedule import WARMUP_SHARE
from whyformer.training.settings import TrainingSpec


def decided(
    task: Task[Any, Any, Any], source: Source, overrides: Sequence[str] = (), below: RecipeLayer | None = None
) -> tuple[Recipe, list[Decision]]:
    """The recipe behind ``source``, and decisions on what it leaves out, made by its data.

    Args:
        task: the one that it is for.
        source: its files.
        overrides: ``path=value`` each.
        below: keys that stand where nothing else is said, as those of a run that it starts from.

    Raises:
        RecipeError: see ``load_recipe``.
        DataError: the data cannot be read.
    """
    said = source.said(overrides)
    provisional = task.provisional(said)
    spec, forms = task.found(
        source.spec(task.recipe_type, overrides, merged(provisional, below or {}) or None)
    )
    decisions = task.decide(task.complete(spec), said)
    if not decisions:
        # What is not decided has to be said.
        whole = source.spec(task.recipe_type, overrides, below) if provisional else spec
        return task.complete(whole.model_copy(update={"data": spec.data})), forms
    opening = as_layer(decision for decision in decisions if decision.opens)
    above = [decision.override for decision in decisions if not decision.opens]
    whole = source.spec(task.recipe_type, [*overrides, *above], merged(below or {}, opening))
    return task.complete(whole.model_copy(update={"data": spec.data})), [*forms, *decisions]


def warmup_decision(training: TrainingSpec, steps: int | None) -> Decision | None:
    """Decision on the steps of warm-up in a training of so many ``steps``; None where the recipe says them.

    Where ``steps`` is None, only minutes end the training, and they are not known.
    """
    if training.schedule.warmup is not None:
        return None
    warmup = training.schedule.settled(steps).warmup_steps
    if steps is None:
        reason = "as usual; how many steps the minutes leave time for is not known"
    elif warmup < WARMUP_SHARE * steps:
        reason = f"no more is needed in any training; this one has {steps:,} steps"
    else:
        reason = f"{WARMUP_SHARE:.0%} of {steps:,} steps"
    return Decision("training.schedule.warmup", warmup, reason)
