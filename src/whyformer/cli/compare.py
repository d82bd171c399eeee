"""``whyformer compare``: one recipe under changes, from several seeds, side by side."""

import json
import math
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
    from whyformer.experiments.trial import Conditions, Measured

_COSTS = ("parameters", "flops_per_token", "tokens_per_second", "steps")
_INTERVALS = "[low, high]: 95 % percentile bootstrap over the seeds, which is rough for a handful of them."
_DIFFERENCES = "Δ: difference from the first cell, paired by seed."


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
    same command resumes where it was stopped. Without --vary RECIPE itself is trained from each seed, which
    shows how far seeds alone lead apart. RUN/comparison is a page, a picture, and all figures as
    JSON. Where the recipe leaves the precision to the machine, it is fp32.
    """
    from whyformer.experiments.grid import Variation, equal_minutes, equal_steps, plan_trials
    from whyformer.experiments.grid import run as run_all
    from whyformer.experiments.results import chosen_figures, save_comparison
    from whyformer.experiments.trial import Conditions
    from whyformer.machine import examine

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
    shown = chosen_figures(trials, figure or [], conditions)
    plan = _Plan(trials, conditions, jobs)
    plan.announce()
    results = run_all(trials, conditions, jobs, plan.tell)
    lines = _lines(_table(results, shown), markdown)
    facts = {"recipe": recipe, "changes": changes, "vary": vary or [], "seeds": seeds, "jobs": jobs}
    request = facts | asdict(conditions) | {"machine": asdict(machine)}
    record = save_comparison(folder, results, request, shown, current_language())
    if as_json:
        typer.echo(json.dumps(record, ensure_ascii=False, indent=2))
    else:
        typer.echo("\n".join([*lines, ""]))
        for note in _notes(results, shown):
            say(note)
        say(f"More in {folder / 'comparison.html'}")
    if faults := [f"{trial}: {result}" for trial, result in results.items() if isinstance(result, str)]:
        raise TrainingError("\n  ".join([f"{len(faults)} of {len(trials)} runs failed:", *faults]))


def _say(line: str) -> None:
    tell(line)


class _Plan:
    """Trials that are to be run: how many, and how long that may take, as far as it is known."""

    def __init__(self, trials: "Sequence[Trial]", conditions: "Conditions", jobs: int) -> None:
        from whyformer.experiments.trial import read_result

        self._trials = trials
        self._jobs = jobs
        self._measured = {trial: read_result(trial.folder, conditions) for trial in trials}
        self._finished = {trial for trial, result in self._measured.items() if result is not None}
        self._waiting = len(trials) - len(self._finished)
        self._estimated = not self._waiting

    def announce(self) -> None:
        """Say before the first of them begins what will be trained, how many times and for how long."""
        cells, seeds = (len({*each}) for each in zip(*((t.cell, t.seed) for t in self._trials), strict=True))
        tell(f"{len(self._trials)} runs = {cells} × {seeds} (settings × seeds), {self._jobs} at a time")
        if cells == 1:
            tell(
                "nothing is varied: all of them train the same recipe, from other seeds; "
                "--vary KEY=VALUE,VALUE compares settings"
            )
        if seeds == 1:
            tell("one seed gives no interval, and what differs may be chance; --seeds 3 gives one")
        if self._finished:
            tell(f"{len(self._finished)} of them are finished already")
        if not self._waiting:
            return
        limits = " / ".join(dict.fromkeys(_limits(trial) for trial in self._trials))
        minutes = [trial.recipe.training.minutes for trial in self._trials if trial not in self._finished]
        known = [each for each in minutes if each is not None]
        if self._finished:
            self._estimate([self._measured[trial] for trial in self._finished])
        elif len(known) == len(minutes):
            bound = _duration(60 * max(known) * math.ceil(len(minutes) / self._jobs))
            tell(f"each trains for at most {limits}; together that may take {bound}")
        else:
            tell(
                f"each trains for at most {limits}; how long that takes is said after the first of them, and "
                "--steps or --minutes makes it shorter"
            )

    def tell(self, trial: "Trial", result: "Measured | str") -> None:
        """Say how a trial ended, and after the first how long the others may take."""
        said = "failed" if isinstance(result, str) else f"{result.steps} steps in {result.seconds:.0f} s"
        tell(f"{trial}: {said}")
        if trial in self._finished:
            return
        self._waiting -= 1
        if not (self._estimated or isinstance(result, str)):
            self._estimate([result])

    def _estimate(self, measured: "Sequence[Measured | None]") -> None:
        seconds = [each.seconds for each in measured if each is not None]
        self._estimated = True
        if self._waiting and seconds:
            rest = math.ceil(self._waiting / self._jobs) * sum(seconds) / len(seconds)
            tell(f"{self._waiting} runs are left, which may take some {_duration(rest)}")


def _limits(trial: "Trial") -> str:
    """Whatever ends the training of a trial."""
    training = trial.recipe.training
    named = {"steps": training.steps, "epochs": training.epochs, "minutes": training.minutes}
    given = {name: f"{value:,}".removesuffix(".0") for name, value in named.items() if value is not None}
    return ", ".join(f"{value} {translated(name)}" for name, value in given.items())


def _duration(seconds: float) -> str:
    if seconds < 90:
        return translated(f"{max(1.0, seconds):.0f} seconds")
    return translated(f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours")


def _notes(results: "Results", shown: Sequence[str]) -> Iterator[str]:
    """Meanings of the table's signs, as far as there are any in it."""
    from whyformer.experiments.results import rows

    found = [row for name in shown for row in rows(results, name)]
    if any("[" in _text(estimate, "") for row in found for estimate in (row.estimate, row.difference)):
        yield _INTERVALS
    elif len({trial.seed for trial in results}) == 1:
        yield "One seed gives no interval, and what differs may be chance; --seeds 3 gives one."
    if any(row.difference for row in found):
        yield _DIFFERENCES


def _table(results: "Results", shown: Sequence[str]) -> list[list[str]]:
    """Columns: the cells, each figure and its difference, what it cost."""
    from whyformer.experiments.results import rows

    cells = list(dict.fromkeys(trial.cell for trial in results))
    columns = [[translated("cell"), *cells]]
    for name in shown:
        found = rows(results, name)
        columns.append([name, *(_text(row.estimate, "") for row in found)])
        if len(cells) > 1:
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
