"""``whyformer parts``: every alternative there is, and which do not go together."""

import dataclasses
import json
from itertools import groupby
from typing import Annotated

import typer

from whyformer.cli.console import say
from whyformer.language import translated


def parts(
    as_json: Annotated[bool, typer.Option("--json", help="Print the catalogue as JSON.")] = False,
) -> None:
    """List all parts, and the pairs that a recipe cannot have.

    The pairs come from the validator that checks recipes.
    """
    from whyformer.analysis.catalogue import catalogue

    known = catalogue()
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(known), indent=2, ensure_ascii=False))
        return
    width = max(len(part.name) for part in known.parts)
    for room, members in groupby(known.parts, key=lambda part: part.room):
        # A key of recipes, in any language.
        typer.echo(room)
        for part in members:
            meaning = translated(part.meaning).replace("``", "`")
            typer.echo(f"  {part.name:<{width}}  {meaning} [{part.origin}]")
    say(f"\nOf {known.pairs} pairs, {len(known.refused)} are refused:")
    for refusal in known.refused:
        pair = f"{refusal.first} {translated('with')} {refusal.second}"
        typer.echo(f"  {pair}: {translated(refusal.reason)}")
