"""Results of a comparison: figures by cell with intervals, ``comparison.json``, page and picture."""

import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from whyformer.bootstrap import Estimate, estimate, paired_difference
from whyformer.errors import RecipeError
from whyformer.experiments.grid import Results, Trial
from whyformer.experiments.trial import COSTS, Conditions, Measured, check_test_sets
from whyformer.files import write_text
from whyformer.machine import code_version
from whyformer.plots.chart import Language
from whyformer.runs.registry import task_of


@dataclass(frozen=True)
class Row:
    """One figure of one cell."""

    cell: str
    values: dict[int, float]
    """Values by seed; trials that failed, or lack the figure, are missing."""
    estimate: Estimate | None
    """Mean over the seeds; None where there is no value."""
    difference: Estimate | None
    """Difference from the first cell, seed by seed; None for that cell, and where no seed is shared."""


def rows(results: Results, figure: str) -> list[Row]:
    """Values of ``figure``, a row for each cell.

    Raises:
        RecipeError: no trial has this figure, though some have others.
    """
    known = _figures(results)
    if known and figure not in known:
        raise RecipeError(f"there is no figure {figure}; there are: {', '.join(known)}.")
    cells: dict[str, dict[int, float]] = {trial.cell: {} for trial in results}
    for trial, result in results.items():
        if isinstance(result, Measured) and figure in result.figures:
            cells[trial.cell][trial.seed] = result.figures[figure]
    first = next(iter(cells.values()))
    return [
        Row(
            cell,
            values,
            estimate([*values.values()]) if values else None,
            None if values is first else _difference(values, first),
        )
        for cell, values in cells.items()
    ]


def save_comparison(
    folder: Path,
    results: Results,
    request: Mapping[str, object],
    shown: Sequence[str],
    lang: Language = "en",
) -> dict[str, Any]:
    """Write ``comparison.json``, ``comparison.html`` and ``comparison.png`` into ``folder``.

    Args:
        folder: made if missing.
        results: of all trials.
        request: what was asked for, and where; it is written down as it is.
        shown: names of the figures that are drawn.
        lang: the language of page and picture.

    Returns:
        The content of the JSON.
    """
    # Altair takes a second to import.
    from whyformer.plots.comparison import comparison_page

    record: dict[str, Any] = {
        **request,
        "code": code_version(),
        "runs": [
            {
                "cell": trial.cell,
                "settings": trial.settings,
                "seed": trial.seed,
                "folder": str(trial.folder),
                **(asdict(result) if isinstance(result, Measured) else {"error": result}),
            }
            for trial, result in results.items()
        ],
        "figures": {name: [asdict(row) for row in rows(results, name)] for name in _figures(results)},
    }
    write_text(folder / "comparison.json", json.dumps(record, ensure_ascii=False, indent=2) + "\n")
    drawn = {name: record["figures"][name] for name in shown if name in record["figures"]}
    settings = {trial.cell: trial.settings for trial in results}
    subject = Path(str(request["recipe"])).stem if "recipe" in request else folder.name
    comparison_page(subject, drawn, settings, lang).save(folder)
    return record


def chosen_figures(trials: Sequence[Trial], wanted: Sequence[str], conditions: Conditions) -> list[str]:
    """The figures to show of ``trials`` that are still to be run: those ``wanted``, else those of their task.

    Raises:
        RecipeError: the trials will have no such figure, or no test set to score.
        DataError: a test set cannot be read.
    """
    known = ["loss", "nll", "perplexity"]
    for trial in trials:
        known += task_of(trial.recipe).measures(trial.recipe)
    scores = task_of(trials[0].recipe).measures(trials[0].recipe)
    if conditions.test:
        known += [f"{name}.{score}" for name in check_test_sets(trials[0].recipe) for score in scores]
    known = list(dict.fromkeys([*known, *COSTS]))
    for figure in wanted:
        if figure in known:
            continue
        of_test = "" if conditions.test else _of_test(figure, scores)
        near = difflib.get_close_matches(figure, known, n=1)
        hint = of_test or (f"did you mean {near[0]}? " if near else "")
        raise RecipeError(f"there is no figure {figure}; {hint}there are: {', '.join(known)}.")
    return [*(wanted or task_of(trials[0].recipe).figures)]


def _of_test(figure: str, scores: Sequence[str]) -> str:
    return (
        "test sets are scored with --test; " if figure.rpartition(".")[2] in scores and "." in figure else ""
    )


def _figures(results: Results) -> list[str]:
    """The names of all figures that some trial has."""
    measured = [result for result in results.values() if isinstance(result, Measured)]
    return list(dict.fromkeys(name for result in measured for name in result.figures))


def _difference(values: Mapping[int, float], first: Mapping[int, float]) -> Estimate | None:
    seeds = [seed for seed in values if seed in first]
    if not seeds:
        return None
    return paired_difference([values[seed] for seed in seeds], [first[seed] for seed in seeds])
