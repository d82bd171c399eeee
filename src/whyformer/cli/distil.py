"""``whyformer distil``: training data for a student, written by its teacher."""

from pathlib import Path
from shlex import quote
from typing import Annotated, Literal

import typer

from whyformer.cli.console import say, tell
from whyformer.cli.options import (
    BatchOption,
    BeamOption,
    CoveragePenaltyOption,
    DeviceOption,
    GreedyOption,
    LengthPenaltyOption,
    NoRepeatOption,
    PatienceOption,
    PrecisionOption,
    RankingOption,
    RunArgument,
    SampleOption,
    SeedOption,
    TemperatureOption,
    ThreadsOption,
    TopKOption,
    TopPOption,
    WeightsOption,
    search_choice,
)
from whyformer.machine import EngineName


def distil(
    run: RunArgument,
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Changes to its data, such as data.train=more.tsv.")
    ] = None,
    *,
    to: Annotated[Path, typer.Option(metavar="DIR", help="The folder to write: new, or empty.")],
    closest: Annotated[
        Literal["bleu", "chrf"] | None,
        typer.Option(help="Of all translations of the beam, take the one closest to the true one by this."),
    ] = None,
    with_originals: Annotated[
        bool, typer.Option("--with-originals", help="Train on the true pairs, too.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a distillation that lies in the folder.")
    ] = False,
    batch: BatchOption = 64,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    weights: WeightsOption = None,
    precision: PrecisionOption = "fp32",
    engine: Annotated[
        EngineName | None,
        typer.Option(help="What computes; left out, native where it can compute the model, else torch."),
    ] = None,
    beam: BeamOption = None,
    greedy: GreedyOption = False,
    sample: SampleOption = False,
    temperature: TemperatureOption = None,
    top_k: TopKOption = None,
    top_p: TopPOption = None,
    seed: SeedOption = None,
    length_penalty: LengthPenaltyOption = None,
    coverage_penalty: CoveragePenaltyOption = None,
    ranking: RankingOption = None,
    patience: PatienceOption = None,
    no_repeat_ngram: NoRepeatOption = None,
) -> None:
    """Translate the training sources of RUN, for a smaller model.

    A student learns the one answer of its teacher more easily than the many answers of people (sequence-level
    knowledge distillation, Kim and Rush 2016). The folder gets texts side by side and student.yaml, a recipe
    with the teacher's tokenizers, settings and held-out sets; how small the student is, is said when it is
    trained. What was stopped goes on by the same command. How to search is the recipe's choice unless the
    options below say otherwise.
    """
    search = search_choice(
        beam,
        greedy,
        sample,
        temperature,
        top_k,
        top_p,
        seed,
        length_penalty,
        coverage_penalty,
        ranking,
        patience,
        no_repeat_ngram,
    )
    from whyformer.machine import keep_freed_memory
    from whyformer.runs.distillation.distil import DistillationOptions, TeacherExecution, distil_run

    keep_freed_memory()
    done = distil_run(
        run,
        to,
        DistillationOptions(search, closest, with_originals),
        execution=TeacherExecution(device, threads, precision, engine, batch),
        weights=weights,
        overrides=overrides or (),
        overwrite=overwrite,
        say=tell,
    )
    say(f"{to}: {done.pairs:,} pairs, their targets by {run}")
    for reason, count in done.left_out.items():
        tell(f"{count:,} pairs left out: {reason}")
    tell(
        "next: train a student that is as small as you like, as in "
        f"`whyformer train {quote(str(done.recipe))} model.decoder.layers=2 --run runs/student`"
    )
