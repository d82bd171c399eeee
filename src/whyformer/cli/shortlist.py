"""``whyformer shortlist``: the few target pieces that translations of a sentence are looked for among."""

from typing import Annotated

import typer

from whyformer.cli.console import say
from whyformer.cli.options import (
    BatchOption,
    DeviceOption,
    EngineOption,
    PrecisionOption,
    RunArgument,
    ThreadsOption,
    WeightsOption,
)


def shortlist(
    run: RunArgument,
    frequent: Annotated[int, typer.Option(min=0, help="Most frequent target pieces, in every list.")] = 50,
    each: Annotated[int, typer.Option(min=1, help="Best target pieces of each source piece.")] = 50,
    rare: Annotated[
        int,
        typer.Option(
            min=0,
            help="A sentence with a piece trained on less often takes the whole vocabulary; 0: none does.",
        ),
    ] = 5,
    own: Annotated[
        bool,
        typer.Option(
            "--own",
            help="Learn also from what RUN itself writes for its training sentences: better, and slower.",
        ),
    ] = False,
    batch: BatchOption = 64,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    weights: WeightsOption = None,
    precision: PrecisionOption = "fp32",
    engine: EngineOption = "torch",
) -> None:
    """Make the lists that translate --shortlist is faster with.

    With a list, logits are computed of some hundred pieces and not of the whole vocabulary, which is faster.
    To see what is lost, the validation set is translated with the whole vocabulary, and it is counted how
    many of the pieces written are listed: 99.9 % should be. Greedy search translates a sentence of which all
    are listed as it does with the whole vocabulary.
    """
    from whyformer.runs.distillation.shortlist import COVERED, ListSize, make_shortlist
    from whyformer.runs.execution import Execution

    execution = Execution(device, threads, precision, engine)
    size = ListSize(frequent, each, rare)
    made = make_shortlist(run, size, execution=execution, weights=weights, batch=batch, own=own)
    say(f"{made.path}: the {frequent:,} most frequent pieces and the best {each:,} of each source piece")
    for tried, found in made.tried:
        say(
            f"--each {tried.each}: {found.pieces:.3%} of the pieces written for the validation set are "
            f"listed, all in {found.sentences:.1%} of the sentences; a list has {found.length:,.0f} of "
            f"{made.vocabulary:,} pieces, and {found.whole:.1%} of the sentences take all"
        )
    if made.tried[-1][1].pieces < COVERED:
        say(f"that is less than {COVERED:.1%} at any --each; raise --frequent")
    elif len(made.tried) > 1:
        say(f"only the last have {COVERED:.1%}; make lists as large with --each {made.tried[-1][0].each}")
