"""``whyformer classify``: texts in, a label for each out."""

from typing import Annotated

import typer

from whyformer.cli.inputs import (
    FileOption,
    OnErrorOption,
    TextsArgument,
    file_or_texts,
    finish,
    read_inputs,
)
from whyformer.cli.options import (
    BatchOption,
    DeviceOption,
    RunArgument,
    ThreadsOption,
    WeightsOption,
    open_as,
)
from whyformer.cli.progress import sentence_bar
from whyformer.tasks.output import as_json_line


def classify(
    run: RunArgument,
    text: TextsArgument = None,
    file: FileOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON object for each line, with all probabilities.")
    ] = False,
    on_error: OnErrorOption = None,
    batch: BatchOption = 64,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    weights: WeightsOption = None,
) -> None:
    """Tell the label of texts, one a line, or of pairs.

    A run that was trained on pairs reads them with a tab between the two.

    Each line gives one: the likeliest label, a tab, its probability. A blank line gives a blank one.
    """
    from whyformer.runs.execution import Execution
    from whyformer.tasks.classification.classifier import Classifier

    inputs = read_inputs(*file_or_texts(text, file), on_error)
    classifier = open_as(Classifier, run, Execution(device, threads), weights)
    texts = [tuple(line.split("\t")) for line in inputs.texts]
    with sentence_bar("classifying", len(texts)) as advance:
        verdicts = classifier.classify(texts, batch=batch, advance=advance, bad=inputs.bad)
    for columns, verdict in zip(texts, verdicts, strict=True):
        if as_json:
            shown = {"texts": columns, "label": verdict.label, "probabilities": verdict.probabilities}
            typer.echo(as_json_line(shown))
        else:
            typer.echo("" if verdict.label is None else f"{verdict.label}\t{verdict.probability:.4f}")
    finish(inputs.bad, len(texts))
