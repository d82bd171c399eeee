"""``whyformer page``: a run as a page that computes by itself in any browser."""

from pathlib import Path
from typing import Annotated

import typer

from whyformer.cli.console import say
from whyformer.cli.options import RunArgument, WeightsOption


def page(
    run: RunArgument,
    to: Annotated[
        Path, typer.Option(metavar="DIR", help="The folder to write: new, or that of an earlier page.")
    ],
    weights: WeightsOption = None,
) -> None:
    """Write RUN as a page that translates in any browser.

    It needs no server and no network: open index.html from disk, or put the folder on any web server. The
    model computes on the reader's own device, in int8; one types and sees every head, the search, and what
    becomes of the translation when a part is missing. Runs that translate by a Transformer, as for
    `--engine native`; what the engine cannot express is refused.
    """
    from whyformer.browser.page import INDEX, write_run_page

    sizes = write_run_page(run, to, weights=weights)
    megabytes = {name: size / 1e6 for name, size in sizes.items()}
    model, whole = megabytes["model.js"], sum(megabytes.values())
    say(f"open {to / INDEX} in a browser: {whole:.1f} MB in all, {model:.1f} MB of them the model")
