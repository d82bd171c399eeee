"""``whyformer evaluate``: how well a run translates its test sets, or yours."""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from whyformer.cli.options import BatchOption, Opening, RunArgument, set_threads, with_translation_options
from whyformer.cli.progress import sentence_bar
from whyformer.cli.tell import as_text
from whyformer.decoding.overrides import SearchChoice
from whyformer.errors import DataError

if TYPE_CHECKING:
    from whyformer.data.corpora.pair_files import Referenced
    from whyformer.decoding.search import SearchSpec
    from whyformer.runs.evaluate import Fit
    from whyformer.tasks.translation.evaluation import Evaluation, Translated
    from whyformer.tasks.translation.metrics import Tokenize
    from whyformer.tasks.translation.task import TranslationRecipe


@with_translation_options
def evaluate(
    run: RunArgument,
    opening: Opening,
    search: SearchChoice,
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
) -> None:
    """Score a run on its test sets, or on yours.

    The scores are BLEU, chrF and exact match (the share of translations that equal a reference), each
    with its signature. How to search is the recipe's choice unless the options below say otherwise.

    A run that does something else is scored by what it was trained for: perplexity and bits per character,
    hidden tokens and next sentences told right, or accuracy and macro F1.
    """
    from whyformer.runs.evaluate import fits
    from whyformer.runs.load import open_run, read_recipe
    from whyformer.tasks.translation.evaluation import evaluate_translator
    from whyformer.tasks.translation.task import TranslationRecipe

    recipe = read_recipe(open_run(run)[0])
    if not isinstance(recipe, TranslationRecipe):
        given = search != SearchChoice() or opening.engine != "torch" or opening.precision != "fp32"
        if given or source or reference or tokenize or examples or save:
            raise _nothing_written(run)
        set_threads(opening.threads)
        measured = fits(run, recipe, on or [], weights=opening.weights, device=opening.device, batch=batch)
        typer.echo(_fits_as_json(measured) if as_json else as_text(measured))
        return
    ways = _ways(tokenize or [])
    sets = _test_sets(recipe, on or [], source, reference or [])
    translator = opening.translator(run)
    settings = search.over(translator.settings)
    measure = partial(
        evaluate_translator, scoring=recipe.scoring, settings=settings, tokenize=ways, batch=batch
    )
    done: list[Evaluation] = []
    for name, pairs in sets.items():
        with sentence_bar(name, len(pairs)) as advance:
            done.append(measure(translator, name, pairs, advance=advance))
        if not as_json:
            typer.echo("\n".join(report(done[-1], examples)))
    if as_json:
        typer.echo(_as_json(settings, done, examples))
    if save is not None:
        _save(save, done)


def report(evaluation: "Evaluation", examples: int = 0) -> Iterator[str]:
    """What is printed of one test set."""
    seconds, count = evaluation.seconds, len(evaluation.sentences)
    rates = f"{count / seconds:,.1f} sentences/s, {evaluation.tokens / seconds:,.0f} tokens/s"
    yield f"{evaluation.name}: {count:,} sentences in {seconds:.1f} s ({rates})"
    for score in evaluation.scores:
        yield f"  {score.name:<6} {score.value:6.2f}  {score.signature}"
    for right, word in ((True, "right"), (False, "wrong")):
        for sentence in evaluation.examples(right, examples):
            yield f"  {word}"
            yield f"    source       {sentence.source}"
            yield f"    translation  {sentence.translation}"
            if not right:
                yield from (f"    reference    {reference}" for reference in sentence.references)


def _nothing_written(run: Path) -> DataError:
    return DataError(
        f"{run}: this run does not translate and is scored without writing any text; "
        "of the options it takes --on, --json, --batch, --device, --threads and --weights."
    )


def _fits_as_json(fits: "Mapping[str, Fit]") -> str:
    sets = [{"name": name, **vars(fit), **fit.figures} for name, fit in fits.items()]
    return json.dumps({"sets": sets}, ensure_ascii=False, indent=2)


def _test_sets(
    recipe: "TranslationRecipe", names: Sequence[str], source: Path | None, references: Sequence[Path]
) -> "dict[str, list[Referenced]]":
    from whyformer.data.corpora.parallel import load_held_out, read_test_set
    from whyformer.tasks.recipe import require_data

    if source is None and not references:
        return load_held_out(require_data(recipe.data), names)
    if source is None or not references or names:
        raise DataError("a test set of your own needs --source and --reference, and goes without --on.")
    return {source.name: read_test_set(source, references)}


def _ways(names: Sequence[str]) -> "list[Tokenize]":
    from whyformer.config.validation import check
    from whyformer.tasks.translation.metrics import ScoringSpec

    return [check(ScoringSpec, {"tokenize": name}, "--tokenize").tokenize for name in names]


def _as_json(settings: "SearchSpec", evaluations: "Sequence[Evaluation]", examples: int) -> str:
    sets = [evaluation.summary() for evaluation in evaluations]
    if examples:
        for shown, evaluation in zip(sets, evaluations, strict=True):
            for right, word in ((True, "right"), (False, "wrong")):
                shown[word] = [vars(sentence) for sentence in evaluation.examples(right, examples)]
    search = settings.model_dump(mode="json")
    return json.dumps({"search": search, "sets": sets}, ensure_ascii=False, indent=2)


def _save(path: Path, evaluations: "Sequence[Evaluation]") -> None:
    from whyformer.files import write_text

    def line(name: str, sentence: "Translated") -> str:
        return json.dumps({"set": name, **vars(sentence)}, ensure_ascii=False) + "\n"

    write_text(
        path, "".join(line(each.name, sentence) for each in evaluations for sentence in each.sentences)
    )
