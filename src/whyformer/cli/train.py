"""``whyformer train``: from a recipe to a trained run."""

from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from whyformer.cli.console import say, tell
from whyformer.cli.options import DeviceOption, ThreadsOption


def train(
    recipe: Annotated[
        str, typer.Argument(help="A recipe's name, a recipe file, or the folder of a run to resume.")
    ],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Changes to the recipe, such as model.encoder.layers=4.")
    ] = None,
    run: Annotated[Path | None, typer.Option(help="Folder of the new run; runs/RECIPE if left out.")] = None,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a run that lies in the folder.")
    ] = False,
    accept_data: Annotated[
        bool, typer.Option("--accept-data", help="Resume even where the data has changed since it began.")
    ] = False,
    timeout: Annotated[
        float, typer.Option(min=1.0, help="Seconds that processes of torchrun wait for one another.")
    ] = 600.0,
) -> None:
    """Train RECIPE into a run folder, or resume a stopped run."""
    from whyformer.config.recipe_files import read, shipped
    from whyformer.runs.execution import Execution
    from whyformer.runs.registry import find_task
    from whyformer.runs.train import resume_run, start_run
    from whyformer.training.ranks.group import join_ranks

    Execution(threads=threads).apply_threads()
    changes, folder = overrides or [], Path(recipe)
    # A folder may happen to have the name of a recipe; a run folder goes before, any other behind.
    is_run = (folder / "recipe.yaml").is_file() or (folder.is_dir() and recipe not in shipped())
    if is_run and (run is not None or overwrite):
        raise typer.BadParameter(f"{folder} is a run to go on with; --run and --overwrite are for a new run.")
    if accept_data and not is_run:
        raise typer.BadParameter(f"--accept-data is for a run that goes on, and {recipe} begins one.")
    with join_ranks(device, timeout) as group:
        if is_run:
            trainer = resume_run(
                folder, changes, device=device, say=_say, accept_data=accept_data, group=group
            )
        else:
            trainer = start_run(
                recipe, changes, run, device=device, overwrite=overwrite, say=_say, group=group
            )
        progress = trainer.train()
    if not group.ranks.writes:
        return
    best = "  ".join(f"{name} {value:.4g}" for name, value in progress.best.scores.items())
    measure = trainer.task.chosen_by(progress.best.scores)
    folder, chosen = trainer.run.path, progress.best
    say(f"{folder}: {progress.step} steps, best at step {chosen.step} by {measure}: {best}")
    verb = find_task(read(str(trainer.run.recipe)).task).verb
    tell(
        f"next: `whyformer {verb} {quote(str(folder))}`, or `whyformer evaluate {quote(str(folder))} --on "
        "valid`"
    )


def _say(line: str) -> None:
    tell(line)
