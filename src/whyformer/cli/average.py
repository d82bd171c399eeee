"""``whyformer average``: one set of weights from a run's last snapshots."""

from pathlib import Path
from typing import Annotated

import typer

from whyformer.cli.console import say
from whyformer.cli.options import BatchOption, DeviceOption, RunArgument, ThreadsOption
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
    say(f"{path}: the mean of {len(chosen)} snapshot{'s' if len(chosen) > 1 else ''}")
    if evaluate:
        for weights in (None, path):
            _evaluate(run, weights, device, threads, batch)


def _evaluate(run: Path, weights: Path | None, device: str, threads: int | None, batch: int) -> None:
    from whyformer.data.corpora.held_out import VALID
    from whyformer.runs.evaluate import evaluate_run
    from whyformer.runs.execution import Execution
    from whyformer.tasks.task import EvaluationOptions
    from whyformer.training.storage.run import RunFolder

    options = EvaluationOptions(batch=batch, progress=sentence_bar)
    execution = Execution(device, threads)
    for name, metrics in evaluate_run(run, [VALID], options, execution=execution, weights=weights):
        say("\n".join(metrics.lines(f"{name}, {(weights or RunFolder(run).weights).name}")))
