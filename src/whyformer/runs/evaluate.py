"""Evaluation of a run on held-out data, by what it was trained for."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from whyformer.runs.execution import Execution
from whyformer.runs.load import load_runner, open_run
from whyformer.tasks.task import EvaluationOptions, Metrics


def evaluate_run(
    run: Path,
    names: Sequence[str] = (),
    options: EvaluationOptions | None = None,
    *,
    execution: Execution | None = None,
    weights: Path | None = None,
) -> Iterator[tuple[str, Metrics]]:
    """Metrics of the run in the folder ``run`` on its held-out sets, one set after another.

    Args:
        run: its folder.
        names: of its recipe's test sets, ``valid`` among them; without names all test sets, or ``valid``
            where there are none.
        options: way to evaluate.
        execution: device, threads, precision and engine.
        weights: other weights of the same run.

    Raises:
        WhyformerError: see ``load_runner`` and ``Task.evaluate``.
    """
    recipe, task = open_run(run)[1:3]
    options = EvaluationOptions() if options is None else options
    task.check_options(options, run)
    yield from task.evaluate(recipe, load_runner(run, execution, weights), names, options)
