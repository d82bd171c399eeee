"""``whyformer compare``: one recipe under changes, from several seeds, side by side."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from whyformer.cli.console import say, tell
from whyformer.cli.options import DeviceOption
from whyformer.errors import RecipeError, TrainingError
from whyformer.language import current_language, display_width, padded, translated

if TYPE_CHECKING:
    from whyformer.bootstrap import Estimate
    from whyformer.experiments.grid import Results, Trial
    from whyformer.experiments.trial import Measured

_COSTS = ("parameters", "flops_per_token", "tokens_per_second", "steps")
_NOTES = (
    "[low, high]: 95 % percentile bootstrap over the seeds, which is rough for a handful of them.",
    "Δ: difference from the first cell, paired by seed.",
)


def compare(
    recipe: Annotated[str, typer.Argument(help="A recipe's name, or a recipe file.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Changes for all runs, such as training.clip=1.")
    ] = None,
    vary: Annotated[
        list[str] | None, typer.Option(help="KEY=VALUE,VALUE or KEY,KEY=VALUE,VALUE; again for a grid.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each cell, with the seeds from 1.")] = 3,
    steps: Annotated[int | None, typer.Option(help="Train all runs for so many steps.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Train all runs for so many minutes.")] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Runs at a time; as many as there are cores if left out.")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads of a run.")] = 1,
    run: Annotated[Path | None, typer.Option(help="Folder; runs/compare-RECIPE if left out.")] = None,
    device: DeviceOption = "auto",
    test: Annotated[bool, typer.Option("--test", help="Score the test sets as well.")] = False,
    figure: Annotated[
        list[str] | None, typer.Option(help="What to show, such as nll, bleu or test.bleu; again for more.")
    ] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the table as Markdown.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print all figures as JSON.")] = False,
) -> None:
    """Compare RECIPE under changes, seed by seed.

    Every combination of the varied values is a cell, trained into RUN/CELL/seed-N from each seed. The
    same command resumes where it was stopped. RUN/comparison is a page, a picture, and all figures as
    JSON. Where the recipe leaves the precision to the machine, it is fp32.
    """
    from whyformer.experiments.grid import Variation, equal_minutes, equal_steps, plan_trials
    from whyformer.experiments.grid import run as run_all
    from whyformer.experiments.results import save_comparison
    from whyformer.experiments.trial import Conditions
    from whyformer.machine import examine
    from whyformer.runs.registry import task_of

    if steps is not None and minutes is not None:
        raise RecipeError("--steps makes the runs equal in steps, --minutes in time; give one of them.")
    changes = [] if steps is None else equal_steps(steps)
    changes += [] if minutes is None else equal_minutes(minutes)
    changes += overrides or []
    folder = run or Path("runs") / f"compare-{Path(recipe).stem}"
    axes, conditions = [Variation.of(text) for text in vary or []], Conditions(device, threads, test)
    trials = plan_trials(recipe, axes, range(1, seeds + 1), folder, changes, say=_say)
    machine = examine()
    jobs = jobs or max(1, machine.processor.usable_cores // threads)
    tell(f"{len(trials)} runs, {jobs} at a time")
    results = run_all(trials, conditions, jobs, _tell)
    shown = figure or task_of(trials[0].recipe).figures
    lines = _lines(_table(results, shown), markdown)
    facts = {"recipe": recipe, "changes": changes, "vary": vary or [], "seeds": seeds, "jobs": jobs}
    request = facts | asdict(conditions) | {"machine": asdict(machine)}
    record = save_comparison(folder, results, request, shown, current_language())
    if as_json:
        typer.echo(json.dumps(record, ensure_ascii=False, indent=2))
    else:
        typer.echo("\n".join([*lines, ""]))
        for note in _NOTES:
            say(note)
        say(f"More in {folder / 'comparison.html'}")
    if faults := [f"{trial}: {result}" for trial, result in results.items() if isinstance(result, str)]:
        raise TrainingError("\n  ".join([f"{len(faults)} of {len(trials)} runs failed:", *faults]))


def _say(line: str) -> None:
    tell(line)


def _tell(trial: "Trial", result: "Measured | str") -> None:
    said = "failed" if isinstance(result, str) else f"{result.steps} steps in {result.seconds:.0f} s"
    tell(f"{trial}: {said}")


def _table(results: "Results", shown: Sequence[str]) -> list[list[str]]:
    """Columns: the cells, each figure and its difference, what it cost."""
    from whyformer.experiments.results import rows

    columns = [[translated("cell"), *dict.fromkeys(trial.cell for trial in results)]]
    for name in shown:
        found = rows(results, name)
        columns.append([name, *(_text(row.estimate, "") for row in found)])
        columns.append([f"Δ {name}", *(_text(row.difference, "+") for row in found)])
    for name in _COSTS:
        means = [row.estimate.mean if row.estimate else None for row in rows(results, name)]
        columns.append([translated(name), *("" if mean is None else f"{mean:,.0f}" for mean in means)])
    return columns


def _text(estimate: "Estimate | None", sign: str) -> str:
    """A mean and its interval, unless that has no width, as over a single seed."""
    if estimate is None:
        return ""
    mean, low, high = (f"{value:{sign}.4g}" for value in (estimate.mean, estimate.low, estimate.high))
    return mean if estimate.low == estimate.high else f"{mean} [{low}, {high}]"


def _lines(columns: Sequence[Sequence[str]], markdown: bool) -> Iterator[str]:
    """The columns side by side, the first to the left, the others to the right."""
    widths = [max(map(display_width, column)) for column in columns]
    for number, cells in enumerate(zip(*columns, strict=True)):
        first, *others = [
            " " * (width - display_width(cell)) + cell for cell, width in zip(cells, widths, strict=True)
        ]
        line = [padded(first.strip(), widths[0]), *others]
        yield f"| {' | '.join(line)} |" if markdown else "  ".join(line)
        if markdown and number == 0:
            yield "|".join(["", "---", *("---:" for _ in others), ""])
