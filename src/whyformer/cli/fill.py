"""``whyformer fill``: texts with holes in, what fits them out."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from whyformer.cli.options import (
    BatchOption,
    DeviceOption,
    RunArgument,
    SpecialTokensOption,
    ThreadsOption,
    WeightsOption,
    open_as,
)

if TYPE_CHECKING:
    from whyformer.tasks.masked_lm.filler import Filled


def fill(
    run: RunArgument,
    text: Annotated[
        list[str],
        typer.Argument(help="Texts with [MASK], or the model's own name of it, in place of what is missing."),
    ],
    top: Annotated[int, typer.Option(min=1, help="Guesses for each hole.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object for each text.")] = False,
    special_tokens: SpecialTokensOption = False,
    batch: BatchOption = 64,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    weights: WeightsOption = None,
) -> None:
    """Fill the holes of TEXT.

    Each text is printed with the likeliest piece in every hole, and below it, for each hole, the likeliest
    pieces with their probabilities. One piece may be less than a word. Several holes are filled
    independently.
    """
    from whyformer.runs.execution import Execution
    from whyformer.tasks.masked_lm.filler import Filler

    filler = open_as(Filler, run, Execution(device, threads), weights)
    found = filler.fill(text, top, batch=batch, special_tokens=special_tokens)
    for given, filled in zip(text, found, strict=True):
        if as_json:
            typer.echo(json.dumps({"given": given, **asdict(filled)}, ensure_ascii=False))
        else:
            typer.echo("\n".join(_lines(filled)))


def _lines(filled: "Filled") -> Iterator[str]:
    yield filled.text
    for number, guesses in enumerate(filled.holes, start=1):
        for guess in guesses:
            yield f"  [{number}]  {guess.probability:6.1%}  {guess.token}"
