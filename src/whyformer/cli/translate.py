"""``whyformer translate``: sentences in, translations out."""

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from whyformer.cli.console import tell, tell_labelled
from whyformer.cli.inputs import FileOption, OnErrorOption, TextsArgument, as_json_line, finish, read_inputs
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
    from whyformer.cli.inputs import Inputs
    from whyformer.decoding.search import SearchSpec
    from whyformer.tasks.bad_lines import BadLines
    from whyformer.tasks.output import TextOutput
    from whyformer.tasks.translation.translator import Translator

# Sentences are sorted by length within a part; what is done of a long text is printed part by part.
PART = 16_384


def translate(
    run: RunArgument,
    text: TextsArgument = None,
    file: FileOption = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A file to write, whole or not at all.")
    ] = None,
    n_best: Annotated[
        int | None,
        typer.Option(min=1, help="Translations of each sentence; above 1: LINE, SCORE, TEXT in columns."),
    ] = None,
    prefix: Annotated[str, typer.Option(help="How every translation begins; it may end inside a word.")] = "",
    scores: Annotated[
        bool, typer.Option("--scores", help="Print SCORE (in nats) and TEXT in columns.")
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
    engine: EngineOption = "auto",
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
    no_repeat_ngram: NoRepeatOption = None,
) -> None:
    """Translate sentences, one a line, into one line each.

    An empty line gives an empty line. So does one that cannot be translated, as --on-error says. With
    --n-best above 1 a sentence gives as many lines, best first: its line number from 1, the score by which
    translations are ranked, and the text, separated by tabs. How to search is the recipe's choice unless the
    options below say otherwise.
    """
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
        no_repeat_ngram,
    )
    from whyformer.runs.execution import Execution
    from whyformer.tasks.translation.translator import Translator

    translator = open_as(Translator, run, Execution(device, threads, precision, engine, shortlist), weights)
    settings = search.over(translator.settings, n_best=n_best, openings=translator.openings(prefix))
    printer = _Printer(translator, settings, batch, scores=scores, as_json=as_json, split=split)
    if not text and file is None and sys.stdin.isatty():
        printer.converse()
        return
    inputs = read_inputs(text, file, on_error)
    _note_columns(file, inputs.texts)
    if output is None:
        for line in printer.lines(inputs):
            typer.echo(line)
    else:
        from whyformer.files import write_text

        write_text(output, "".join(f"{line}\n" for line in printer.lines(inputs)))
    finish(inputs.bad, len(inputs.texts))


def _note_columns(file: Path | None, texts: Sequence[str]) -> None:
    """Say that a file has columns, where it has: a table is no list of sentences."""
    from whyformer.data.corpora.formats.tables import columns_note

    if file is not None and (note := columns_note(file, texts)):
        tell_labelled("note", note)


class _Printer:
    """Turns sentences into lines of output."""

    def __init__(
        self,
        translator: "Translator",
        settings: "SearchSpec",
        batch: int,
        *,
        scores: bool,
        as_json: bool,
        split: bool,
    ) -> None:
        self._translator = translator
        self._settings = settings
        self._batch = batch
        self._scores = scores
        self._as_json = as_json
        self._split = split
        strategy = settings.build()
        self._numbered = strategy.n_best * strategy.samples > 1

    def lines(self, inputs: "Inputs") -> Iterator[str]:
        """The output for all inputs, in their order."""
        texts, bad = inputs
        for start in range(0, len(texts), PART):
            part = texts[start : start + PART]
            with sentence_bar("translating", len(part)) as advance:
                found = self._translated(part, start + 1, bad, advance)
            for line, (source, candidates) in enumerate(zip(part, found, strict=True), start=start + 1):
                yield from self._written(line, source, candidates, bad.left_out.get(line))

    def _translated(
        self, texts: list[str], first: int, bad: "BadLines | None", advance: Callable[[int], None] | None
    ) -> "list[list[TextOutput]]":
        shows_scores = self._scores or self._as_json or self._numbered
        return self._translator.translate(
            texts,
            self._settings,
            batch=self._batch,
            first=first,
            advance=advance,
            scores=shows_scores,
            split=self._split,
            bad=bad,
        )

    def converse(self) -> None:
        """Translate each line as soon as it is typed."""
        tell("Type a sentence and press Enter; Ctrl-D ends.")
        for line, sentence in enumerate(_standard_input(), start=1):
            try:
                candidates = self._translated([sentence], line, None, None)[0]
            except DecodingError as error:
                tell_labelled("error", str(error))
                continue
            for written in self._written(line, sentence, candidates, None):
                typer.echo(written)

    def _written(
        self, line: int, source: str, candidates: Sequence["TextOutput"], error: str | None
    ) -> Iterator[str]:
        if self._as_json:
            told = {"source": source, "translations": [] if error else [c.record() for c in candidates]}
            yield as_json_line(told if error is None else {**told, "error": error})
            return
        for candidate in candidates if self._numbered else candidates[:1]:
            # A model that spells bytes can write a line end, but one line in is one line out.
            text = candidate.text.replace("\n", " ")
            columns = [str(line)] if self._numbered else []
            if self._numbered or self._scores:
                columns.append("" if error else f"{candidate.score:.4f}")
            yield "\t".join([*columns, text])


def _standard_input() -> Iterator[str]:
    from whyformer.data.corpora.lines import read_stream

    return read_stream(sys.stdin.buffer, "standard input")
