"""``whyformer evaluate``: how well a run does on its test sets, or yours."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from whyformer.cli.console import say, tell
from whyformer.cli.options import (
    BatchOption,
    BeamOption,
    CoveragePenaltyOption,
    DeviceOption,
    EngineOption,
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
    search_choice,
)
from whyformer.cli.pictures import tell_page
from whyformer.cli.progress import sentence_bar
from whyformer.errors import DataError
from whyformer.language import current_language

if TYPE_CHECKING:
    from collections.abc import Iterator

    from whyformer.tasks.task import Metrics


def evaluate(
    run: RunArgument,
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Changes to its data, such as data.test.mine.path=mine.tsv.")
    ] = None,
    on: Annotated[
        list[str] | None, typer.Option(help="A test set of the recipe, or valid; all test sets if left out.")
    ] = None,
    source: Annotated[Path | None, typer.Option(help="A test set of your own: its sentences.")] = None,
    reference: Annotated[
        list[Path] | None, typer.Option(help="Their translations, line by line; again for alternatives.")
    ] = None,
    tokenize: Annotated[
        list[str] | None, typer.Option(help="BLEU's words: 13a, zh, char, intl or none; again for one more.")
    ] = None,
    chunk: Annotated[
        list[str] | None,
        typer.Option(
            help="Of speech and video: duration of a chunk, such as 320ms, or full; again for one more."
        ),
    ] = None,
    left: Annotated[
        list[str] | None,
        typer.Option(help="Chunks to the left of each: 4 or all; again for one more."),
    ] = None,
    examples: Annotated[
        int, typer.Option(min=0, help="Show up to so many right and so many wrong translations.")
    ] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
    save: Annotated[Path | None, typer.Option(help="A file for all translations, one JSON a line.")] = None,
    plot: Annotated[
        Path | None,
        typer.Option(help="Of speech and video: draw error against latency; .png, .html, or a folder."),
    ] = None,
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
    ranking: RankingOption = None,
    patience: PatienceOption = None,
    no_repeat_ngram: NoRepeatOption = None,
) -> None:
    """Score a run on its test sets, or on yours.

    The scores are BLEU, chrF and exact match (the share of translations that equal a reference), each
    with its signature. How to search is the recipe's choice unless the options below say otherwise.

    A run that does something else is scored by what it was trained for: perplexity and bits per character,
    hidden tokens and next sentences predicted right, or accuracy and macro F1.

    Of speech and video: word error rate, latencies, and what a stream costs, for every --chunk with every
    --left.
    """
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
    from whyformer.machine import keep_freed_memory
    from whyformer.plots.chart import check_plot_path
    from whyformer.runs.evaluate import evaluate_run
    from whyformer.runs.execution import Execution
    from whyformer.runs.load import open_run
    from whyformer.tasks.task import EvaluationOptions, StreamChoice

    options = EvaluationOptions(
        batch=batch,
        search=search,
        tokenize=tuple(tokenize or ()),
        source=source,
        references=tuple(reference or ()),
        shows_text=bool(examples or save),
        streams=StreamChoice(tuple(chunk or ()), tuple(left or ())),
        progress=sentence_bar,
    )
    if plot is not None:
        check_plot_path(plot)
        _, _, task, _ = open_run(run)
        if not task.recognises_streams:
            raise DataError(f"{run}: this run {task.does}; --plot is for runs that hear or watch.")
    keep_freed_memory()
    found = evaluate_run(
        run,
        on or (),
        options,
        execution=Execution(device, threads, precision, engine, shortlist),
        weights=weights,
        overrides=overrides or (),
        say=tell,
    )
    done = _print(found, examples, as_json=as_json, save=save)
    if plot is not None:
        _draw(run, done, plot)


_Done = list[tuple[str, "Metrics"]]
"""Evaluations with the names of their sets, of which one may come again, in other chunks."""


def _draw(run: Path, done: _Done, path: Path) -> None:
    from whyformer.plots.streams.error_latency import error_latency_page

    sets: dict[str, list[dict[str, object]]] = {}
    for name, metrics in done:
        sets.setdefault(name, []).append(metrics.record())
    tell_page(error_latency_page(run.resolve().name, sets, current_language()), path)


def _print(
    found: "Iterator[tuple[str, Metrics]]", examples: int, *, as_json: bool, save: Path | None
) -> _Done:
    # A set comes once for each size of chunks.
    done: _Done = []
    # A reader that has seen enough ends the program, so what is to be kept is written before.
    for name, metrics in found if save is None else list(found):
        done.append((name, metrics))
        if save is not None:
            _save(save, done)
        if not as_json:
            say("\n".join(metrics.lines(name, examples)))
    if as_json:
        typer.echo(_as_json(done, examples))
    return done


def _as_json(done: _Done, examples: int) -> str:
    settings: dict[str, object] = {}
    for _, metrics in done:
        settings |= metrics.settings
    sets = [{"name": name, **metrics.record(examples)} for name, metrics in done]
    return json.dumps({**settings, "sets": sets}, ensure_ascii=False, indent=2)


def _save(path: Path, done: _Done) -> None:
    from whyformer.files import write_text

    lines = (
        json.dumps({"set": name, **output}, ensure_ascii=False)
        for name, metrics in done
        for output in metrics.outputs()
    )
    write_text(path, "".join(f"{line}\n" for line in lines))
