"""``whyformer export``: the model of a run, as others read it."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from whyformer.cli.console import say
from whyformer.cli.options import RunArgument, WeightsOption


def export(
    run: RunArgument,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder to write: new, or empty.")],
    to: Annotated[Literal["huggingface"], typer.Option(help="The format.")],
    weights: WeightsOption = None,
) -> None:
    """Write the model of RUN in the format of Hugging Face.

    Its tokenizer goes with it. A bert becomes a BERT, or what it was imported as, a gpt a GPT-2, a classifier
    one of these with a head, and a transformer (post-norm, sinusoidal, one tokenizer) a Marian model, which
    CTranslate2 converts too. A model that the format cannot express is refused.
    """
    from whyformer.huggingface.transfer import export_model

    say(export_model(run, folder, weights=weights))
