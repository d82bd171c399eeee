"""``whyformer embed``: texts in, one vector for each out."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from whyformer.cli.options import (
    BatchOption,
    DeviceOption,
    RunArgument,
    ThreadsOption,
    WeightsOption,
)
from whyformer.cli.progress import sentence_bar
from whyformer.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor

Lines = Annotated[
    Path | None, typer.Argument(help="A file to read, a text a line; standard input if left out.")
]


def embed(
    run: RunArgument,
    file: Lines = None,
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
    batch: BatchOption = 64,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    weights: WeightsOption = None,
) -> None:
    """Turn texts, one a line, into vectors, by a pretrained run.

    The vectors stand in the order of the lines: as rows of an array (.npy, fp32), or each with its text in
    a JSON object.
    """
    if to != "-" and not to.endswith((".npy", ".jsonl")):
        raise DataError(
            f"--to {to}: the name of the file must end in .npy or .jsonl, or be - for the screen."
        )
    from whyformer.runs.execution import Execution
    from whyformer.runs.load import load_embedder

    embedder = load_embedder(run, Execution(device, threads), weights, pooling=pooling, layer=layer)
    texts = lines_of(file)
    with sentence_bar("embedding", len(texts)) as advance:
        vectors = embedder.embed(texts, batch=batch, advance=advance)
    if to.endswith(".npy"):
        _save(Path(to), vectors)
        return
    written = [
        json.dumps({"text": text, "vector": vector}, ensure_ascii=False)
        for text, vector in zip(texts, vectors.tolist(), strict=True)
    ]
    if to == "-":
        for line in written:
            typer.echo(line)
        return
    from whyformer.files import write_text

    write_text(Path(to), "".join(f"{line}\n" for line in written))


def lines_of(file: Path | None) -> list[str]:
    """The lines of ``file``, or of standard input."""
    from whyformer.data.corpora.lines import read_lines, read_stream

    return list(read_stream(sys.stdin.buffer, "standard input")) if file is None else read_lines(file)


def _save(path: Path, vectors: "Tensor") -> None:
    import numpy as np

    from whyformer.files import write_atomically

    def write(temporary: Path) -> None:
        with temporary.open("wb") as out:
            np.save(out, vectors.numpy(), allow_pickle=False)

    write_atomically(path, write)
