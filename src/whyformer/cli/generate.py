"""``whyformer generate``: the beginning of a text in, the text out."""

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from whyformer.cli.options import (
    BeamOption,
    CoveragePenaltyOption,
    DeviceOption,
    GreedyOption,
    LengthPenaltyOption,
    NoRepeatOption,
    PatienceOption,
    RankingOption,
    RunArgument,
    SampleOption,
    SeedOption,
    SpecialTokensOption,
    TemperatureOption,
    ThreadsOption,
    TopKOption,
    TopPOption,
    WeightsOption,
    open_as,
    search_choice,
)

if TYPE_CHECKING:
    from whyformer.decoding.search import SearchSpec
    from whyformer.tasks.causal_lm.generator import Generator
    from whyformer.tasks.output import TextOutput


def generate(
    run: RunArgument,
    prompt: Annotated[str, typer.Argument(help="How the text begins; left out, a new document begins.")] = "",
    tokens: Annotated[
        int | None,
        typer.Option(
            min=1, help="Maximum number of tokens to write behind PROMPT's pieces; the recipe's if left out."
        ),
    ] = None,
    samples: Annotated[
        int | None, typer.Option("--samples", "--n-best", min=1, help="Texts to write.")
    ] = None,
    stream: Annotated[
        bool, typer.Option("--stream/--no-stream", help="Show a single text while it is written.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print all texts as one JSON object.")] = False,
    special_tokens: SpecialTokensOption = False,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    weights: WeightsOption = None,
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
    """Write on from PROMPT.

    A text ends where the model ends it, or after --tokens, or where the model's reach ends. How to search is
    the recipe's choice unless the options below say otherwise. Several texts, likeliest first, stand under
    their numbers.
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
    from whyformer.runs.execution import Execution
    from whyformer.tasks.causal_lm.generator import Generator

    generator = open_as(Generator, run, Execution(device, threads), weights)
    if tokens is not None:
        lengths = {"longest_factor": 0.0, "longest_extra": tokens}
        search = replace(search, settings={**search.settings, **lengths})
    settings = search.over(generator.settings, n_best=samples)
    strategy = settings.build()
    if stream and not as_json and strategy.width * strategy.samples == 1:
        _stream(generator, prompt, settings, special_tokens)
        return
    begun = prompt.rstrip(" ")
    written = generator.generate([prompt], settings, special_tokens=special_tokens)[0]
    if as_json:
        shown = {"prompt": begun, "texts": [_record(each) for each in written]}
        typer.echo(json.dumps(shown, ensure_ascii=False))
        return
    for number, each in enumerate(written, start=1):
        if len(written) > 1:
            typer.echo(f"[{number}]")
        typer.echo(begun + each.text)


def _record(written: "TextOutput") -> dict[str, object]:
    """A text ready for JSON; ``completing`` of its tokens stand for the prompt's last piece, completed."""
    return {**written.record(), "completing": written.completing}


def _stream(generator: "Generator", prompt: str, settings: "SearchSpec", special_tokens: bool) -> None:
    waiting = [prompt.rstrip(" ")]

    def write(piece: str) -> None:
        # The prompt waits for the first piece: what cannot be done shows before anything is printed.
        typer.echo("".join([*waiting, piece]), nl=False)
        waiting.clear()

    generator.stream(prompt, write, settings, special_tokens=special_tokens)
    typer.echo()
