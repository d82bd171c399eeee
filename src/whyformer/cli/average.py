"""``whyformer average``: one set of weights from a run's last snapshots."""

from pathlib import Path
from typing import Annotated

import typer

from whyformer.cli.options import BatchOption, DeviceOption, RunArgument, ThreadsOption, open_translator
from whyformer.cli.progress import sentence_bar
from whyformer.errors import CheckpointError


def average(
    run: RunArgument,
    snapshots: Annotated[
        list[Path] | None, typer.Argument(help="Files of weights; the run's snapshots if left out.")
    ] = None,
    last: Annotated[
        int | None, typer.Option(min=1, help="Only so many of the latest snapshots; all if left out.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The file to write; RUN/average.safetensors if left out."),
    ] = None,
    evaluate: Annotated[
        bool, typer.Option("--evaluate", help="Score it on the validation set, beside the run's own weights.")
    ] = False,
    batch: BatchOption = 64,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
) -> None:
    """Write the mean of snapshots' weights, for use with --weights."""
    from whyformer.runs.average import last_snapshots, write_average

    if snapshots and last is not None:
        raise CheckpointError(
            "--last picks among the run's snapshots, and files were named; leave one of them out."
        )
    chosen = snapshots or last_snapshots(run, last)
    path = write_average(run, chosen, output)
    typer.echo(f"{path}: the mean of {len(chosen)} snapshot{'s' if len(chosen) > 1 else ''}")
    if evaluate:
        for weights in (None, path):
            _evaluate(run, weights, device, threads, batch)


def _evaluate(run: Path, weights: Path | None, device: str, threads: int | None, batch: int) -> None:
    from whyformer.cli.evaluate import report
    from whyformer.cli.options import set_threads
    from whyformer.cli.tell import as_text
    from whyformer.data.corpora.parallel import VALID, load_held_out
    from whyformer.runs.evaluate import fits
    from whyformer.runs.load import open_run, read_recipe
    from whyformer.tasks.recipe import require_data
    from whyformer.tasks.translation.evaluation import evaluate_translator
    from whyformer.tasks.translation.task import TranslationRecipe

    folder, _ = open_run(run)
    recipe = read_recipe(folder)
    name = f"{VALID}, {(weights or folder.weights).name}"
    if not isinstance(recipe, TranslationRecipe):
        set_threads(threads)
        measured = fits(run, recipe, [VALID], weights=weights, device=device, batch=batch)
        typer.echo(as_text({name: measured[VALID]}))
        return
    pairs = load_held_out(require_data(recipe.data), [VALID])[VALID]
    translator = open_translator(run, weights, device, threads)
    with sentence_bar(name, len(pairs)) as advance:
        evaluation = evaluate_translator(
            translator, name, pairs, recipe.scoring, batch=batch, advance=advance
        )
    typer.echo("\n".join(report(evaluation)))
