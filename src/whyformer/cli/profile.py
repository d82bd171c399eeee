"""``whyformer profile``: where a training step, or a translated sentence, spends its time."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from whyformer.cli.console import say, tell
from whyformer.cli.options import (
    BatchOption,
    BeamOption,
    CoveragePenaltyOption,
    GreedyOption,
    LengthPenaltyOption,
    NoRepeatOption,
    PatienceOption,
    RankingOption,
    RunArgument,
    SampleOption,
    SeedOption,
    TemperatureOption,
    ThreadsOption,
    TopKOption,
    TopPOption,
    open_as,
    search_choice,
)
from whyformer.decoding.overrides import SearchChoice
from whyformer.errors import DataError
from whyformer.language import current_language, display_width, padded, translated

if TYPE_CHECKING:
    from whyformer.analysis.profile import Profile, Share
    from whyformer.tasks.translation.task import TranslationRecipe

_SENTENCES = 32


def profile(
    run: RunArgument,
    steps: Annotated[int, typer.Option(min=0, help="Training steps to profile; 0 for none.")] = 5,
    sentences: Annotated[
        int | None, typer.Option(min=0, help="Sentences to translate; 32 where the run translates; 0: none.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", "-f", help="Take them from here; else from the validation set.")
    ] = None,
    batch: BatchOption = 64,
    precision: Annotated[
        Literal["auto", "fp32", "bf16", "int8"], typer.Option(help="Of a translation's products.")
    ] = "fp32",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder of the page and picture; RUN/profile if left out."),
    ] = None,
    threads: ThreadsOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
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
    """See where training and translation spend their time.

    Training continues from the run's weights, on its data, in memory alone: nothing of the run changes. Each
    moment belongs to one part of the model and to one kind of operation, so that shares sum to the whole;
    backward is the time of the part's gradients. The CPU is profiled. RUN/profile is a page and a picture.
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
    from whyformer.analysis.profile import profile_training, profile_translation
    from whyformer.runs.execution import Execution
    from whyformer.runs.load import read_recipe
    from whyformer.tasks.translation.task import TranslationRecipe
    from whyformer.tasks.translation.translator import Translator

    execution = Execution("cpu", threads, precision, "torch")
    recipe, texts = read_recipe(run), list[str]()
    if recipe.data is None and (steps or file is None):
        raise DataError(
            f"{run}: the model was imported and has no data; profile a run that you train, or how a run "
            "translates a file of yours by --steps 0 --file FILE."
        )
    if isinstance(recipe, TranslationRecipe):
        texts = _texts(recipe, file)[: _SENTENCES if sentences is None else sentences]
    elif sentences is not None or file or search != SearchChoice():
        raise DataError(
            f"{run}: this run does not translate, so only its training is profiled; leave out --sentences, "
            "--file and how to search."
        )
    if not (steps or texts):
        raise DataError("there is nothing to profile; give --steps or --sentences above 0.")
    execution.apply_threads()
    done: list[Profile] = []
    if steps:
        done.append(profile_training(run, steps, tell))
    if texts:
        translator = open_as(Translator, run, execution)
        settings = search.over(translator.settings)
        done.append(profile_translation(translator, texts, settings, batch=batch))
    _show(run, done, run / "profile" if output is None else output, as_json=as_json)


def _texts(recipe: "TranslationRecipe", file: Path | None) -> list[str]:
    from whyformer.data.corpora.held_out import VALID
    from whyformer.data.corpora.lines import read_lines
    from whyformer.data.store.pair_data import held_out_pairs
    from whyformer.tasks.recipe import require_data

    if file is not None:
        return read_lines(file)
    return [pair.source for pair in held_out_pairs(require_data(recipe.data), [VALID])[VALID]]


def _show(run: Path, profiles: "Sequence[Profile]", folder: Path, *, as_json: bool) -> None:
    from whyformer.plots.profile import profile_page

    records = [profile.record() for profile in profiles]
    files = [str(file) for file in profile_page(run.resolve().name, records, current_language()).save(folder)]
    if as_json:
        typer.echo(json.dumps({"profiles": records, "files": files}, ensure_ascii=False, indent=2))
    else:
        for profile in profiles:
            for line in _lines(profile):
                say(line)
        typer.echo("\n".join(files))


def _lines(profile: "Profile") -> Iterator[str]:
    from whyformer.plots.profile_words import PROFILE_WORDS

    speed, unit = profile.speed, profile.unit
    work = PROFILE_WORDS[current_language()].works[profile.work]
    yield f"{work}: {profile.count} {unit}s, {profile.conditions}"
    yield from _table(profile, "part", profile.parts)
    yield ""
    yield from _table(profile, "kind", profile.operations)
    yield ""
    yield f"{1e3 * speed.seconds:,.4g} ms a {unit} undisturbed, {1e3 * profile.seconds:,.4g} ms traced"
    peak = speed.peak_memory
    memory = "peak memory unknown here" if peak is None else f"peak memory {peak / 2**30:.2f} GiB"
    mfu = "" if speed.mfu is None else f", MFU {speed.mfu:.1%}"
    yield f"{speed.tokens_per_second:,.0f} tokens/s, {memory}{mfu}"
    yield ""


def _table(profile: "Profile", heading: str, shares: "Sequence[Share]") -> Iterator[str]:
    """A line for each share; milliseconds, forwards and backwards apart where there is a backward pass."""
    from whyformer.plots.profile_words import PROFILE_WORDS

    words = PROFILE_WORDS[current_language()]
    both = any(share.backward for share in shares)
    names = [words.columns[heading], *(words.name(share.name) for share in shares)]
    width = max(map(display_width, names))
    told = [*(words.passes if both else ()), words.per[profile.unit], words.columns["share"]]
    columns = [9, 9, 13, 6] if both else [13, 6]
    calls = f"  {_right(translated('calls'), 6)}" if heading == "part" else ""
    head = "".join(f"  {_right(word, column)}" for word, column in zip(told, columns, strict=True))
    yield f"{padded(names[0], width)}{head}{calls}"
    for name, share in zip(names[1:], shares, strict=True):
        ways = f"  {1e3 * share.forward:>9.2f}  {1e3 * share.backward:>9.2f}" if both else ""
        part = share.seconds / profile.seconds
        calls = f"  {share.calls:>6.3g}" if share.calls else ""
        yield f"{padded(name, width)}{ways}  {1e3 * share.seconds:>13.2f}  {part:>6.1%}{calls}"


def _right(text: str, width: int) -> str:
    return " " * (width - display_width(text)) + text
