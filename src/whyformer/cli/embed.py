"""``whyformer embed``: texts in, one vector for each out."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

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
)
from whyformer.cli.progress import sentence_bar
from whyformer.errors import DataError
from whyformer.tasks.output import as_json_line

if TYPE_CHECKING:
    from torch import Tensor


def embed(
    run: RunArgument,
    text: TextsArgument = None,
    file: FileOption = None,
    to: Annotated[
        str, typer.Option(help="A file, OUT.npy or OUT.jsonl; - prints a JSON object for each text.")
    ] = "-",
    pooling: Annotated[
        Literal["mean", "first", "last"],
        typer.Option(help="What stands for a text: the mean of its tokens, its first, or its last."),
    ] = "mean",
    layer: Annotated[
        int | None, typer.Option(min=0, help="The layer to read; 0 are the embeddings, the last if left out.")
    ] = None,
    on_error: OnErrorOption = None,
    batch: BatchOption = 64,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    weights: WeightsOption = None,
) -> None:
    """Turn texts, one a line, into vectors, by a pretrained run.

    The vectors stand in the order of the lines: as rows of an array (.npy, fp32), or each with its text in
    a JSON object. A blank line has none: its row is NaN, its vector null.
    """
    if to != "-" and not to.endswith((".npy", ".jsonl")):
        raise DataError(
            f"--to {to}: the name of the file must end in .npy or .jsonl, or be - for the screen."
        )
    from whyformer.runs.execution import Execution
    from whyformer.runs.load import load_embedder

    inputs = read_inputs(*file_or_texts(text, file), on_error)
    embedder = load_embedder(run, Execution(device, threads), weights, pooling=pooling, layer=layer)
    texts, bad = inputs
    with sentence_bar("embedding", len(texts)) as advance:
        vectors = embedder.embed(texts, batch=batch, advance=advance, bad=bad)
    if to.endswith(".npy"):
        _save(Path(to), vectors)
    elif to == "-":
        for line in _written(texts, vectors):
            typer.echo(line)
    else:
        from whyformer.files import write_text

        write_text(Path(to), "".join(f"{line}\n" for line in _written(texts, vectors)))
    finish(bad, len(texts))


def _written(texts: list[str], vectors: "Tensor") -> Iterator[str]:
    blank: list[bool] = vectors.isnan().all(dim=1).tolist()
    for text, vector, none in zip(texts, vectors.tolist(), blank, strict=True):
        yield as_json_line({"text": text, "vector": None if none else vector})


def _save(path: Path, vectors: "Tensor") -> None:
    import numpy as np

    from whyformer.files import write_atomically

    def write(temporary: Path) -> None:
        with temporary.open("wb") as out:
            np.save(out, vectors.numpy(), allow_pickle=False)

    write_atomically(path, write)
