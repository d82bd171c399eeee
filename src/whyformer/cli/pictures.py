"""Pictures that verbs draw beside what they print."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from whyformer.plots.chart import Page


def tell_page(page: "Page", path: Path) -> None:
    """Save ``page`` as ``path`` says, and tell on standard error which files that made."""
    files = page.save_as(path)
    if page.note is not None:
        typer.echo(page.note, err=True)
    typer.echo("\n".join(map(str, files)), err=True)
