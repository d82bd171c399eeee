"""``whyformer classify``: texts in, a label for each out."""

import json
from typing import Annotated

import typer

from whyformer.cli.embed import Lines, lines_of
from whyformer.cli.options import (
    BatchOption,
    DeviceOption,
    RunArgument,
    ThreadsOption,
    WeightsOption,
    open_as,
)
from whyformer.cli.progress import sentence_bar


def classify(
    run: RunArgument,
    file: Lines = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON object for each line, with all probabilities.")
    ] = False,
    batch: BatchOption = 64,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    weights: WeightsOption = None,
) -> None:
    """Tell the label of texts, one a line, or of pairs.

    A run that was trained on pairs reads them with a tab between the two.

    Each line gives one: the likeliest label, a tab, its probability.
    """
    from whyformer.runs.execution import Execution
    from whyformer.tasks.classification.classifier import Classifier

    classifier = open_as(Classifier, run, Execution(device, threads), weights)
    texts = [tuple(line.split("\t")) for line in lines_of(file)]
    with sentence_bar("classifying", len(texts)) as advance:
        verdicts = classifier.classify(texts, batch=batch, advance=advance)
    for text, verdict in zip(texts, verdicts, strict=True):
        if as_json:
            shown = {"texts": text, "label": verdict.label, "probabilities": verdict.probabilities}
            typer.echo(json.dumps(shown, ensure_ascii=False))
        else:
            typer.echo(f"{verdict.label}\t{verdict.probability:.4f}")
