"""``whyformer evaluate``: how well a run translates its test sets, or yours."""

import json
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from whyformer.cli.options import (
    Batch,
    Device,
    Run,
    Threads,
    Weights,
    open_generator,
    open_translator,
    with_search_options,
)
from whyformer.cli.progress import sentence_bar
from whyformer.errors import DataError
from whyformer.tasks.search_choice import SearchChoice

if TYPE_CHECKING:
    from whyformer.data.text.pairs import Referenced
    from whyformer.decoding.search import SearchSpec
    from whyformer.tasks.causal_lm import CausalLMRecipe, Fit
    from whyformer.tasks.evaluate import Evaluation, Translated
    from whyformer.tasks.score import Tokenize
    from whyformer.tasks.translation import TranslationRecipe


@with_search_options
def evaluate(
    run: Run,
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
    batch: Batch = 64,
    device: Device = "auto",
    threads: Threads = None,
    weights: Weights = None,
) -> None:
    """Score a run on its test sets, or on yours.

    The scores are BLEU, chrF and exact match (the share of translations that equal a reference), each
    with the signature that makes it comparable. How to search is the recipe's choice unless the options
    below say otherwise.

    A run that generates text is scored by perplexity (per token) and bits per character.
    """
    from whyformer.tasks.causal_lm import CausalLMRecipe
    from whyformer.tasks.evaluate import evaluate
    from whyformer.tasks.load import open_run, read_recipe

    recipe = read_recipe(open_run(run)[0])
    if isinstance(recipe, CausalLMRecipe):
        if search != SearchChoice() or source or reference or tokenize or examples or save:
            raise _nothing_written(run)
        fits = foresee(run, recipe, on or [*recipe.data.test] or ["valid"], weights, device, threads, batch)
        typer.echo(_fits_as_json(fits) if as_json else "\n".join(fit_lines(fits)))
        return
    ways = _ways(tokenize or [])
    sets = _test_sets(recipe, on or [], source, reference or [])
    translator = open_translator(run, weights, device, threads)
    settings = search.over(translator.settings)
    measure = partial(evaluate, scoring=recipe.scoring, settings=settings, tokenize=ways, batch=batch)
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


def foresee(
    run: Path,
    recipe: "CausalLMRecipe",
    names: Sequence[str],
    weights: Path | None,
    device: str,
    threads: int | None,
    batch: int,
) -> "dict[str, Fit]":
    """How well a run that generates text foresees its test sets called ``names``."""
    from whyformer.tasks.causal_lm import HeldOut

    documents = {name: recipe.data.held_out(name) for name in names}
    generator = open_generator(run, weights, device, threads)
    model, tokenizer = generator.model, generator.tokenizer
    return {
        name: HeldOut(texts, tokenizer, model.longest).fit(model, batch=batch)
        for name, texts in documents.items()
    }


def _nothing_written(run: Path) -> DataError:
    return DataError(
        f"{run}: this run generates text and is scored without writing any; "
        "of the options it takes --on, --json, --batch, --device, --threads and --weights."
    )


def fit_lines(fits: "dict[str, Fit]") -> Iterator[str]:
    """What is printed of documents."""
    for name, fit in fits.items():
        yield f"{name}: {fit.documents:,} documents, {fit.characters:,} characters, {fit.tokens:,} tokens"
        yield f"  bits per character  {fit.bits_per_character:.4f}"
        yield f"  perplexity          {fit.perplexity:.2f} per token"


def _fits_as_json(fits: "dict[str, Fit]") -> str:
    sets = [{"name": name, **vars(fit), **fit.figures} for name, fit in fits.items()]
    return json.dumps({"sets": sets}, ensure_ascii=False, indent=2)


def _test_sets(
    recipe: "TranslationRecipe", names: Sequence[str], source: Path | None, references: Sequence[Path]
) -> "dict[str, list[Referenced]]":
    from whyformer.tasks.corpus import load_held_out, read_test_set

    if source is None and not references:
        return load_held_out(recipe.data, names)
    if source is None or not references or names:
        raise DataError("a test set of your own needs --source and --reference, and goes without --on.")
    return {source.name: read_test_set(source, references)}


def _ways(names: Sequence[str]) -> "list[Tokenize]":
    from whyformer.tasks.score import ScoringSpec
    from whyformer.validation import check

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
