"""``whyformer translate``: sentences in, translations out."""

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from whyformer.cli.console import say, tell, tell_labelled
from whyformer.cli.inputs import (
    LEFT_OUT,
    FileOption,
    InputFilesOption,
    OnErrorOption,
    OutputFolderOption,
    TextsArgument,
    finish,
    read_inputs,
)
from whyformer.cli.options import (
    BatchOption,
    BeamOption,
    CoveragePenaltyOption,
    DeviceOption,
    GreedyOption,
    LengthPenaltyOption,
    NoRepeatOption,
    PatienceOption,
    PrecisionOption,
    RankingOption,
    RunArgument,
    SampleOption,
    SeedOption,
    ShortlistOption,
    TemperatureOption,
    ThreadsOption,
    TopKOption,
    TopPOption,
    WeightsOption,
    open_as,
    search_choice,
)
from whyformer.cli.progress import sentence_bar
from whyformer.errors import DataError, DecodingError

if TYPE_CHECKING:
    from whyformer.progress import Advance
    from whyformer.runs.bulk.bulk import Distributor
    from whyformer.runs.bulk.job import BulkJob
    from whyformer.tasks.translation.lines import LineTranslator


def translate(
    run: RunArgument,
    text: TextsArgument = None,
    file: FileOption = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A file to write, whole or not at all.")
    ] = None,
    input_files: InputFilesOption = None,
    to: OutputFolderOption = None,
    by: Annotated[
        Literal["processes", "ray"] | None,
        typer.Option(help="What --input is shared out by: processes of this machine, or a Ray cluster."),
    ] = None,
    processes: Annotated[
        int | None, typer.Option(min=1, help="Processes for --input; one for each core if left out.")
    ] = None,
    n_best: Annotated[
        int | None,
        typer.Option(min=1, help="Translations of each sentence; above 1: LINE, SCORE, TEXT in columns."),
    ] = None,
    prefix: Annotated[str, typer.Option(help="How every translation begins; it may end inside a word.")] = "",
    scores: Annotated[
        bool, typer.Option("--scores", help="Print SCORE (in nats, or agreement) and TEXT in columns.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object for each sentence.")] = False,
    split: Annotated[
        bool, typer.Option("--split", help="Cut lines into sentences, translate each, and join them again.")
    ] = False,
    on_error: OnErrorOption = None,
    batch: BatchOption = 64,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    weights: WeightsOption = None,
    precision: PrecisionOption = "fp32",
    engine: Annotated[
        Literal["auto", "torch", "native", "ctranslate2", "ray"],
        typer.Option(
            help="What computes: native is C++ for Transformers; ctranslate2 converts the run once; auto is "
            "native with --precision auto where that can be, else torch. ray is auto with --by ray."
        ),
    ] = "auto",
    shortlist: ShortlistOption = False,
    beam: BeamOption = None,
    greedy: GreedyOption = False,
    sample: SampleOption = False,
    temperature: TemperatureOption = None,
    top_k: TopKOption = None,
    top_p: TopPOption = None,
    seed: SeedOption = None,
    length_penalty: LengthPenaltyOption = None,
    coverage_penalty: CoveragePenaltyOption = None,
    ranking: RankingOption = None,
    patience: PatienceOption = None,
    no_repeat_ngram: NoRepeatOption = None,
) -> None:
    """Translate sentences, one a line, into one line each.

    An empty line gives an empty line. So does one that cannot be translated, as --on-error says. With
    --n-best above 1 a sentence gives as many lines, best first: its line number from 1, the score by which
    translations are ranked, and the text, separated by tabs. How to search is the recipe's choice unless the
    options below say otherwise.

    With --input and --to each file becomes a file, exactly once: the same command goes on where it was
    stopped, and keeps what is there. A file manifest.json says what was made of what.
    """
    if engine == "ray":
        engine, by = "auto", by or "ray"
    is_bulk = _asks_for_bulk(input_files, to, given=bool(text or file or output), by=by, processes=processes)
    if text and file:
        raise DataError("texts come from the command line or from --file, not from both; leave one out.")
    if split and n_best is not None and n_best > 1:
        raise DecodingError("--n-best lists translations of one sentence; leave out --split.")
    search = search_choice(
        beam,
        greedy,
        sample,
        temperature,
        top_k,
        top_p,
        seed,
        length_penalty,
        coverage_penalty,
        ranking,
        patience,
        no_repeat_ngram,
    )
    from whyformer.runs.execution import Execution
    from whyformer.tasks.translation.lines import LineForm, LineTranslator
    from whyformer.tasks.translation.translator import Translator

    execution = Execution(device, threads, precision, engine, shortlist)
    translator = open_as(Translator, run, execution, weights)
    settings = search.over(translator.settings, n_best=n_best, openings=translator.openings(prefix))
    form = LineForm(scores, as_json, split)
    if is_bulk and input_files is not None and to is not None:
        from whyformer.runs.bulk.job import BulkJob

        del translator
        job = BulkJob(
            *(to.absolute(), run.absolute(), weights and weights.absolute()),
            *(execution, settings, form, batch, on_error or "skip"),
        )
        _translate_files(job, input_files, by or "processes", processes)
        return
    lines = LineTranslator(translator, settings, form, batch)
    if not text and file is None and sys.stdin.isatty():
        _converse(lines)
        return
    inputs = read_inputs(text, file, on_error)
    _note_columns(file, inputs.texts)
    _give(lines.lines(inputs.texts, inputs.bad, _shown), output)
    finish(inputs.bad, len(inputs.texts))


def _give(lines: Iterable[str], output: Path | None) -> None:
    """Print ``lines`` as they come, or write all to the file ``output``."""
    if output is None:
        for line in lines:
            typer.echo(line)
        return
    from whyformer.files import write_text

    write_text(output, "".join(f"{line}\n" for line in lines))


def _asks_for_bulk(
    pattern: str | None, to: Path | None, *, given: bool, by: str | None, processes: int | None
) -> bool:
    """Whether files are to become files.

    Raises:
        DataError: the options do not go together.
    """
    if pattern is None and to is None:
        if by is not None or processes is not None:
            raise DataError(
                "--by, --processes and --engine ray share out files; name them by --input and --to."
            )
        return False
    if pattern is None or to is None:
        raise DataError("--input names files and --to the folder of their translations; give both.")
    if given:
        raise DataError(
            "--input takes one pattern in quotes, such as 'shards/*.txt.gz', and no texts, --file or "
            "--output beside it."
        )
    return True


def _translate_files(job: "BulkJob", pattern: str, by: "Distributor", processes: int | None) -> None:
    """Translate all files of a pattern, and say what is there and how fast it was."""
    from whyformer.runs.bulk.bulk import translate_shards
    from whyformer.runs.bulk.job import find_shards

    began = time.perf_counter()
    result = translate_shards(job, find_shards(pattern, job.folder), by, processes)
    speed = result.new_lines / (time.perf_counter() - began)
    lines = sum(record.lines for record in result.records)
    say(f"{job.folder}: {len(result.records):,} files, {lines:,} lines")
    if result.new_shards:
        say(f"{result.new_shards:,} of them translated now, {speed:,.1f} lines/s")
    cut, left_out = (sum(getattr(each, name) for each in result.records) for name in ("cut", "left_out"))
    for record in result.records:
        for reason in record.reasons[:1]:
            tell(f"  {record.input}: {reason}")
    if cut:
        tell(f"of {lines:,} lines, {cut:,} were too long and only begun; manifest.json names the files")
    if left_out:
        tell(f"of {lines:,} lines, {left_out:,} were left out; manifest.json names the files")
        raise typer.Exit(LEFT_OUT)


def _note_columns(file: Path | None, texts: Sequence[str]) -> None:
    """Say that a file has columns, where it has: a table is no list of sentences."""
    from whyformer.data.corpora.formats.tables import columns_note

    if file is not None and (note := columns_note(file, texts)):
        tell_labelled("note", note)


def _shown(count: int) -> "AbstractContextManager[Advance]":
    return sentence_bar("translating", count)


def _converse(lines: "LineTranslator") -> None:
    """Translate each line as soon as it is typed."""
    tell("Type a sentence and press Enter; Ctrl-D ends.")
    for number, sentence in enumerate(_standard_input(), start=1):
        try:
            written = lines.line(sentence, number)
        except DecodingError as error:
            tell_labelled("error", str(error))
            continue
        for line in written:
            typer.echo(line)


def _standard_input() -> Iterator[str]:
    from whyformer.data.corpora.lines import read_stream

    return read_stream(sys.stdin.buffer, "standard input")
