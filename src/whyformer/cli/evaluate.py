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
    PrecisionOption,
    RunArgument,
    SampleOption,
    SeedOption,
    TemperatureOption,
    ThreadsOption,
    TopKOption,
    TopPOption,
    WeightsOption,
    search_choice,
)
from whyformer.cli.progress import sentence_bar

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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
    examples: Annotated[
        int, typer.Option(min=0, help="Show up to so many right and so many wrong translations.")
    ] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
    save: Annotated[Path | None, typer.Option(help="A file for all translations, one JSON a line.")] = None,
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
    """Score a run on its test sets, or on yours.

    The scores are BLEU, chrF and exact match (the share of translations that equal a reference), each
    with its signature. How to search is the recipe's choice unless the options below say otherwise.

    A run that does something else is scored by what it was trained for: perplexity and bits per character,
    hidden tokens and next sentences predicted right, or accuracy and macro F1.
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
        no_repeat_ngram,
    )
    from whyformer.machine import keep_freed_memory
    from whyformer.runs.evaluate import evaluate_run
    from whyformer.runs.execution import Execution
    from whyformer.tasks.task import EvaluationOptions

    options = EvaluationOptions(
        batch=batch,
        search=search,
        tokenize=tuple(tokenize or ()),
        source=source,
        references=tuple(reference or ()),
        shows_text=bool(examples or save),
        progress=sentence_bar,
    )
    keep_freed_memory()
    found = evaluate_run(
        run,
        on or (),
        options,
        execution=Execution(device, threads, precision, engine),
        weights=weights,
        overrides=overrides or (),
        say=tell,
    )
    _print(found, examples, as_json=as_json, save=save)


def _print(
    found: "Iterator[tuple[str, Metrics]]", examples: int, *, as_json: bool, save: Path | None
) -> None:
    done: dict[str, Metrics] = {}
    # A reader that has seen enough ends the program, so what is to be kept is written before.
    for name, metrics in found if save is None else list(found):
        done[name] = metrics
        if save is not None:
            _save(save, done)
        if not as_json:
            say("\n".join(metrics.lines(name, examples)))
    if as_json:
        typer.echo(_as_json(done, examples))


def _as_json(done: "Mapping[str, Metrics]", examples: int) -> str:
    settings: dict[str, object] = {}
    for metrics in done.values():
        settings |= metrics.settings
    sets = [{"name": name, **metrics.record(examples)} for name, metrics in done.items()]
    return json.dumps({**settings, "sets": sets}, ensure_ascii=False, indent=2)


def _save(path: Path, done: "Mapping[str, Metrics]") -> None:
    from whyformer.files import write_text

    lines = (
        json.dumps({"set": name, **output}, ensure_ascii=False)
        for name, metrics in done.items()
        for output in metrics.outputs()
    )
    write_text(path, "".join(f"{line}\n" for line in lines))
