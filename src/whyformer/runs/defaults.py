"""Recipes with all that they leave out decided: by their data, and by the number of steps that these make."""

from collections.abc import Sequence

from whyformer.config.defaults import merged
from whyformer.config.recipe_files import Source, read
from whyformer.runs.registry import find_task
from whyformer.tasks.decision import Decision, as_layer
from whyformer.tasks.recipe import Recipe
from whyformer.training.schedule import WARMUP_SHARE
from whyformer.training.settings import TrainingSpec


def load_decided(recipe: str, overrides: Sequence[str] = ()) -> tuple[Recipe, list[Decision]]:
    """The recipe as ``load_any`` gives it, and decisions on what it leaves out, made by its data.

    Raises:
        RecipeError: see ``load_recipe``.
        DataError: the data cannot be read.
    """
    return decided(read(recipe), overrides)


def decided(source: Source, overrides: Sequence[str] = ()) -> tuple[Recipe, list[Decision]]:
    """The recipe behind ``source``, and decisions on what it leaves out; see ``load_decided``."""
    task = find_task(source.task)
    said = source.said(overrides)
    below = task.provisional(said)
    spec = task.complete(source.spec(task.recipe_type, overrides, below or None))
    decisions = task.decide(spec, said)
    if not decisions:
        return spec, []
    opening = as_layer(decision for decision in decisions if decision.opens)
    above = [decision.override for decision in decisions if not decision.opens]
    spec = source.spec(task.recipe_type, [*overrides, *above], merged(below, opening))
    return task.complete(spec), decisions


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
