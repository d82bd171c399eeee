"""Evaluation of a run on held-out data, by what it was trained for."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from whyformer.config.paths import paths_of
from whyformer.errors import DataError, RecipeError
from whyformer.runs.execution import Execution
from whyformer.runs.inputs import check_inputs_of_run
from whyformer.runs.load import OpenRun, load_runner, open_run
from whyformer.runs.registry import load_any
from whyformer.tasks.recipe import Recipe
from whyformer.tasks.task import EvaluationOptions, Metrics


def evaluate_run(
    run: Path,
    names: Sequence[str] = (),
    options: EvaluationOptions | None = None,
    *,
    execution: Execution | None = None,
    weights: Path | None = None,
    overrides: Sequence[str] = (),
    say: Callable[[str], None] = lambda _line: None,
) -> Iterator[tuple[str, Metrics]]:
    """Metrics of the run in the folder ``run`` on its held-out sets, one set after another.

    Args:
        run: its folder.
        names: of its recipe's test sets, ``valid`` among them; without names all test sets, or ``valid``
            where there are none.
        options: way to evaluate.
        execution: device, threads, precision and engine.
        weights: other weights of the same run.
        overrides: ``path=value`` each, of its data.
        say: told how a file of the overrides is read, where these leave it to the file.

    Raises:
        RecipeError: an override changes something else.
        WhyformerError: see ``load_runner`` and ``Task.evaluate``.
    """
    opened = open_run(run)
    task, recipe = opened.task, recipe_with_data(opened, overrides, say)
    options = EvaluationOptions() if options is None else options
    task.check_options(options, run)
    try:
        yield from task.evaluate(recipe, load_runner(run, execution, weights), names, options)
    except DataError:
        # A file of the user's own is told of as it is.
        if options.source is None:
            check_inputs_of_run(paths_of(recipe), run, "evaluate")
        raise


def recipe_with_data(opened: OpenRun, overrides: Sequence[str], say: Callable[[str], None]) -> Recipe:
    """The recipe of the run that was ``opened``, with its data changed by ``overrides``.

    ``say`` is told how a file of the overrides is read, where these leave it to the file.

    Raises:
        RecipeError: an override changes something else.
    """
    folder, before = opened.folder, opened.recipe
    recipe = load_any(str(folder.recipe), overrides, say=say) if overrides else before
    if recipe.model_copy(update={"data": before.data}) != before:
        raise RecipeError(
            f"{folder.path}: only its data can be changed here; train a recipe of your own for the rest."
        )
    return recipe
