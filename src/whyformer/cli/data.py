"""``whyformer data``: text made ready once for many trainings."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from whyformer.cli.console import say, tell
from whyformer.cli.verb import Verb

app = typer.Typer(
    help="Make a text ready for training, be it larger than memory.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command(cls=Verb)
def build(
    to: Annotated[Path, typer.Option(help="Folder of the store.")],
    files: Annotated[
        list[Path] | None, typer.Argument(help="Text files in UTF-8; .gz may be packed.")
    ] = None,
    target: Annotated[
        list[Path] | None,
        typer.Option(help="The translations, a file for each of FILES, line by line; once for each file."),
    ] = None,
    split: Annotated[
        Literal["blank_lines", "lines"] | None,
        typer.Option(help="Ends of documents in text without translations; blank lines if left out."),
    ] = None,
    from_datasets: Annotated[
        str | None,
        typer.Option(
            help="Instead of FILES a data set: .parquet, .arrow or .jsonl, a folder, a name of a hub."
        ),
    ] = None,
    field: Annotated[
        list[str] | None,
        typer.Option(help="Its column of texts; a second one, of translations, for pairs."),
    ] = None,
    part: Annotated[str | None, typer.Option(help="Part of it that is read; train if left out.")] = None,
    tokenizer: Annotated[
        Path | None,
        typer.Option(
            "--tokenizer", "-t", help="A tokenizer's file, or the folder of a run or store; else new ones."
        ),
    ] = None,
    kind: Annotated[
        Literal["bpe", "unigram", "wordpiece", "word", "character"] | None,
        typer.Option(help="How new tokenizers cut text; bpe if left out."),
    ] = None,
    vocabulary: Annotated[int | None, typer.Option(help="Maximum number of pieces of new ones.")] = None,
    coverage: Annotated[float | None, typer.Option(help="Share of characters that are pieces.")] = None,
    separate: Annotated[
        bool, typer.Option("--separate", help="Train a tokenizer for each side, not one for both.")
    ] = False,
    sample: Annotated[
        int, typer.Option(min=1, help="Maximum number of examples that new tokenizers are trained on.")
    ] = 200_000,
    held_out: Annotated[
        int,
        typer.Option(
            min=0, help="Examples that are held out as validation set, at most a twentieth; 0: none."
        ),
    ] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Settles which examples those are.")] = 1,
    processes: Annotated[
        int | None, typer.Option(min=1, help="Processes that cut text; one for each core if left out.")
    ] = None,
) -> None:
    """Write FILES as token ids into a store to train from.

    A recipe names it as its data: {kind: store, path: STORE}. What was stopped goes on where it stopped when
    the same command is run again; files that are damaged are made anew.
    """
    from whyformer.data.store.options import TokenizerChoice, dataset_inputs, text_inputs, write_store
    from whyformer.errors import DataError

    if from_datasets is None:
        if field:
            raise DataError("--field is a column of --from-datasets; name that, too.")
        if part is not None:
            raise DataError("--part is a part of --from-datasets; name that, too.")
        inputs = text_inputs(files or [], target or [], split)
    elif files or target or split:
        raise DataError("a store is built of FILES or --from-datasets, not of both; leave one out.")
    else:
        inputs = dataset_inputs(from_datasets, "train" if part is None else part, field or [])
    manifest = write_store(
        inputs,
        to,
        tokenizers=TokenizerChoice(tokenizer, kind, vocabulary, separate, coverage),
        sample=sample,
        held_out=held_out,
        seed=seed,
        processes=processes,
        say=tell,
    )
    tokens = sum(shard.tokens for shard in manifest.shards)
    say(f"{to}: {manifest.examples:,} {manifest.kind}, {tokens:,} tokens in {len(manifest.shards):,} shards")
    for reason, count in manifest.dropped.items():
        say(f"{count:,} left out: {reason}")
