"""``whyformer init``: from a file of pairs to a recipe that fits it."""

from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from whyformer.cli.console import tell, tell_labelled


def init(
    files: Annotated[
        list[Path],
        typer.Argument(help="A table of pairs (TSV, CSV, JSON lines), or two texts side by side."),
    ],
    to: Annotated[Path, typer.Option(help="The recipe file to write.")],
    source: Annotated[int | None, typer.Option(min=1, help="Number of the source column.")] = None,
    target: Annotated[int | None, typer.Option(min=1, help="Number of the target column.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there.")] = False,
) -> None:
    """Write a recipe that fits FILES, each value with its reason."""
    from whyformer.errors import RecipeError
    from whyformer.files import write_text
    from whyformer.runs.beginning.new_recipe import recipe_for

    if len(files) > 2:
        raise typer.BadParameter("give one table of pairs, or two texts; put more into one file.")
    if (source is None) != (target is None) or (source is not None and len(files) == 2):
        raise typer.BadParameter("--source and --target go together, and are for the columns of one table.")
    if to.suffix not in (".yaml", ".yml"):
        raise typer.BadParameter(f"{to}: a recipe's name must end in .yaml.")
    if to.exists() and not overwrite:
        raise RecipeError(f"{to}: is there already; choose another name, or replace it by --overwrite.")
    columns = None if source is None or target is None else (source, target)
    recipe = recipe_for(files, to.parent, columns)
    for finding in recipe.findings:
        tell_labelled(finding.level, finding.text)
    write_text(to, recipe.text)
    typer.echo(recipe.text, nl=False)
    tell(f"{to}: written; train it with `whyformer train {quote(str(to))}`.")
