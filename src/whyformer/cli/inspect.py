"""``whyformer inspect``: what a run is made of, or what goes on inside it for one sentence."""

import json
from collections.abc import Iterator
from math import exp
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from whyformer.cli.options import EngineOption, PrecisionOption, RunArgument, WeightsOption, open_as
from whyformer.errors import DataError, DecodingError
from whyformer.language import current_language, padded, translated

if TYPE_CHECKING:
    from whyformer.analysis.inspection import Inspection
    from whyformer.analysis.summary import ModelSummary
    from whyformer.plots.inspection.map import WrittenToken


def inspect(
    run: RunArgument,
    text: Annotated[
        str | None, typer.Argument(help="A sentence to look at; the parameters are listed if left out.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder of the page and picture; RUN/inspect if left out."),
    ] = None,
    translation: Annotated[
        str | None, typer.Option(help="Inspection at this translation of TEXT instead of the run's own.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    weights: WeightsOption = None,
    precision: PrecisionOption = "fp32",
    engine: EngineOption = "auto",
) -> None:
    """List a run's parameters, or look inside one translation.

    With TEXT: how likely each token was (ln P) and what the model would rather have written; and a page
    and a picture of who attends to whom, in every layer and head.
    """
    if text is None:
        if (translation, output, engine, precision) != (None, None, "auto", "fp32"):
            raise DataError(
                "--translation, --output, --engine and --precision are about a sentence; give one after "
                "the run."
            )
        _print_anatomy(run, weights, as_json=as_json)
        return
    from whyformer.analysis.inspection import inspect_translation
    from whyformer.plots.inspection.page import attention_page
    from whyformer.runs.execution import Execution
    from whyformer.tasks.translation.translator import Translator

    if engine == "ctranslate2" or (engine != "native" and precision != "fp32"):
        raise DecodingError(
            "attention is seen by torch in fp32, and by the native engine; leave out --precision, or add "
            "--engine native."
        )
    translator = open_as(Translator, run, Execution("cpu", precision=precision, engine=engine), weights)
    seen = inspect_translation(translator, text, translation)
    page = attention_page(
        seen.attention,
        source=text,
        translation=seen.translation,
        written=_written(seen),
        lang=current_language(),
    )
    files = page.save(run / "inspect" if output is None else output)
    if page.note is not None:
        typer.echo(page.note, err=True)
    if as_json:
        typer.echo(
            json.dumps({**_steps(seen), "files": [str(file) for file in files]}, ensure_ascii=False, indent=2)
        )
    else:
        typer.echo("\n".join([*_look_lines(seen), *map(str, files)]))


def _print_anatomy(run: Path, weights: Path | None, *, as_json: bool) -> None:
    from whyformer.analysis.summary import summarize

    anatomy = summarize(run, weights)
    if as_json:
        shown = {
            "recipe": anatomy.recipe,
            "parameters": anatomy.numbers,
            "parts": anatomy.parts,
            "weights": [vars(weight) for weight in anatomy.weights],
        }
        typer.echo(json.dumps(shown, ensure_ascii=False, indent=2))
    else:
        typer.echo("\n".join(_anatomy_lines(anatomy)))


def _anatomy_lines(anatomy: "ModelSummary") -> Iterator[str]:
    yield from (
        f"{padded(translated(name), 10)} {translated(value)}" for name, value in anatomy.recipe.items()
    )
    yield ""
    width = max(len(weight.name) for weight in anatomy.weights)
    for weight in anatomy.weights:
        yield f"{weight.name:<{width}}  {' × '.join(map(str, weight.shape)):>14}  {weight.numbers:>12,}"
    yield ""
    for part, numbers in anatomy.parts.items():
        yield f"{part:<{width}}  {numbers / anatomy.numbers:>14.1%}  {numbers:>12,}"
    yield f"{padded(translated('all'), width)}  {'':>14}  {anatomy.numbers:>12,}"


def _look_lines(seen: "Inspection") -> Iterator[str]:
    yield f"{padded(translated('source'), 11)}  {' '.join(seen.source_tokens)}"
    yield f"{padded(translated('translation'), 11)}  {seen.translation}"
    yield f"{'ln P':<11}  {seen.log_probability:.3f}"
    for step in seen.steps:
        rather = ""
        if step.likeliest != step.token:
            rather = f"  {translated('rather')} {step.likeliest} {step.likeliest_log_probability:.3f}"
        yield f"  {step.log_probability:>8.3f}  {step.token}{rather}"


def _written(seen: "Inspection") -> "list[WrittenToken]":
    from whyformer.plots.inspection.map import Alternative, WrittenToken

    return [
        WrittenToken(
            step.token,
            exp(step.log_probability),
            [Alternative(token, exp(value)) for token, value in step.others],
        )
        for step in seen.steps
    ]


def _steps(seen: "Inspection") -> dict[str, object]:
    return {
        "source": seen.source,
        "translation": seen.translation,
        "source_tokens": seen.source_tokens,
        "log_probability": seen.log_probability,
        "steps": [vars(step) for step in seen.steps],
    }
