"""``whyformer import``: a model of Hugging Face becomes a run."""

from pathlib import Path
from typing import Annotated

import typer

from whyformer.cli.console import say


def import_model(
    folder: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="The folder of a Hugging Face model."),
    ],
    run: Annotated[Path | None, typer.Option(help="Folder of the new run; runs/NAME if left out.")] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a run that lies in the folder.")
    ] = False,
) -> None:
    """Make a run of a model in the format of Hugging Face.

    It may be a BERT, RoBERTa, DistilBERT, GPT-2 or Marian model, or one of the first four that classifies
    texts. The run is used like one that was trained here. It has no data of its own; a recipe that names some
    can start from it (`start: runs/NAME`). What is not as the files say is told in lines that begin with
    note. Pickles are never read: the weights have to be safetensors. docs/exchange.md lists what was tried.
    """
    from whyformer.huggingface.transfer import import_model

    say(import_model(folder, run, overwrite=overwrite))
