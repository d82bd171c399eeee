"""``whyformer translate``: sentences in, translations out."""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from whyformer.cli.console import tell, tell_labelled
from whyformer.cli.options import (
    BatchOption,
    BeamOption,
    CoveragePenaltyOption,
    DeviceOption,
    EngineOption,
    GreedyOption,
    LengthPenaltyOption,
    NoRepeatOption,
    PrecisionOption,
    RunArgument,
    SampleOption,
    SeedOption,
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
    from whyformer.decoding.search import SearchSpec
    from whyformer.tasks.output import TextOutput
    from whyformer.tasks.translation.translator import Translator

# Sentences are sorted by length within a part; what is done of a long text is printed part by part.
PART = 16_384


def translate(
    run: RunArgument,
    text: Annotated[list[str] | None, typer.Argument(help="Sentences; else standard input's lines.")] = None,
    file: Annotated[
        Path | None, typer.Option("--file", "-f", help="A file to read, a sentence a line.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A file to write, whole or not at all.")
    ] = None,
    n_best: Annotated[
        int | None,
        typer.Option(min=1, help="Translations of each sentence; above 1: LINE, SCORE, TEXT in columns."),
    ] = None,
    prefix: Annotated[str, typer.Option(help="Whole words that every translation begins with.")] = "",
    scores: Annotated[
        bool, typer.Option("--scores", help="Print SCORE (in nats) and TEXT in columns.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object for each sentence.")] = False,
    batch: BatchOption = 64,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    weights: WeightsOption = None,
    precision: PrecisionOption = "fp32",
    engine: EngineOption = "torch",
    beam: BeamOption = None,
    greedy: GreedyOption = False,
    sample: SampleOption = False,
    temperature: TemperatureOption = None,
    top_k: TopKOption = None,
    top_p: TopPOption = None,
    seed: SeedOption = None,
    length_penalty: LengthPenaltyOption = None,
    coverage_penalty: CoveragePenaltyOption = None,
    no_repeat_ngram: NoRepeatOption = None,
) -> None:
    """Translate sentences, one a line, into one line each.

    An empty line gives an empty line. With --n-best above 1 a sentence gives as many lines, best first:
    its line number from 1, the score by which translations are ranked, and the text, separated by tabs.
    How to search is the recipe's choice unless the options below say otherwise.
    """
    if text and file:
        raise DataError("sentences come from the command line or from --file, not from both; leave one out.")
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
        no_repeat_ngram,
    )
    from whyformer.runs.execution import Execution
    from whyformer.tasks.translation.translator import Translator

    translator = open_as(Translator, run, Execution(device, threads, precision, engine), weights)
    settings = search.over(translator.settings, n_best=n_best, prefix=translator.prefix(prefix))
    _print(_Printer(translator, settings, batch, scores=scores, as_json=as_json), text, file, output)


def _print(printer: "_Printer", text: list[str] | None, file: Path | None, output: Path | None) -> None:
    if not text and file is None and sys.stdin.isatty():
        printer.converse()
        return
    sentences = text or list(_standard_input()) if file is None else _file(file)
    if output is None:
        for line in printer.lines(sentences):
            typer.echo(line)
    else:
        from whyformer.files import write_text

        write_text(output, "".join(f"{line}\n" for line in printer.lines(sentences)))


class _Printer:
    """Turns sentences into lines of output."""

    def __init__(
        self, translator: "Translator", settings: "SearchSpec", batch: int, *, scores: bool, as_json: bool
    ) -> None:
        self._translator = translator
        self._settings = settings
        self._batch = batch
        self._scores = scores
        self._as_json = as_json
        strategy = settings.build()
        self._numbered = strategy.n_best * strategy.samples > 1

    def lines(self, sentences: Sequence[str]) -> Iterator[str]:
        """The output for ``sentences``, in their order."""
        for start in range(0, len(sentences), PART):
            part = sentences[start : start + PART]
            with sentence_bar("translating", len(part)) as advance:
                found = self._translator.translate(
                    part, self._settings, batch=self._batch, first=start + 1, advance=advance
                )
            for line, (source, candidates) in enumerate(zip(part, found, strict=True), start=start + 1):
                yield from self._written(line, source, candidates)

    def converse(self) -> None:
        """Translate each line as soon as it is typed."""
        tell("Type a sentence and press Enter; Ctrl-D ends.")
        for line, sentence in enumerate(_standard_input(), start=1):
            try:
                candidates = self._translator.translate([sentence], self._settings, first=line)[0]
            except DecodingError as error:
                tell_labelled("error", str(error))
                continue
            for written in self._written(line, sentence, candidates):
                typer.echo(written)

    def _written(self, line: int, source: str, candidates: Sequence["TextOutput"]) -> Iterator[str]:
        if self._as_json:
            yield json.dumps(
                {"source": source, "translations": [c.record() for c in candidates]}, ensure_ascii=False
            )
            return
        for candidate in candidates if self._numbered else candidates[:1]:
            # A model that spells bytes can write a line end, but one line in is one line out.
            text = candidate.text.replace("\n", " ")
            columns = [str(line)] if self._numbered else []
            columns += [f"{candidate.score:.4f}"] if self._numbered or self._scores else []
            yield "\t".join([*columns, text])


def _file(path: Path) -> list[str]:
    from whyformer.data.corpora.lines import read_lines

    return read_lines(path)


def _standard_input() -> Iterator[str]:
    from whyformer.data.corpora.lines import read_stream

    return read_stream(sys.stdin.buffer, "standard input")
