"""Options that several verbs share."""

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from whyformer.errors import DecodingError
from whyformer.tasks.search_choice import Kind, SearchChoice

if TYPE_CHECKING:
    from whyformer.tasks.filler import Filler
    from whyformer.tasks.generator import Generator
    from whyformer.tasks.translator import Translator

Run = Annotated[Path, typer.Argument(help="The folder of a trained run.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
Threads = Annotated[int | None, typer.Option(min=1, help="CPU threads; torch's choice if left out.")]
Weights = Annotated[
    Path | None, typer.Option(help="Other weights of the run, such as a snapshot; its best if left out.")
]
Batch = Annotated[
    int, typer.Option(min=1, help="Sentences side by side; it changes the speed, not the result.")
]


def open_translator(run: Path, weights: Path | None, device: str, threads: int | None) -> "Translator":
    """The translator in the folder ``run``; see ``whyformer.load`` for errors."""
    from whyformer.tasks.load import load_translator

    set_threads(threads)
    return load_translator(run, device=device, weights=weights)


def open_generator(run: Path, weights: Path | None, device: str, threads: int | None) -> "Generator":
    """The generator in the folder ``run``; see ``whyformer.load`` for errors."""
    from whyformer.tasks.load import load_generator

    set_threads(threads)
    return load_generator(run, device=device, weights=weights)


def open_filler(run: Path, weights: Path | None, device: str, threads: int | None) -> "Filler":
    """The filler of holes in the folder ``run``; see ``whyformer.load`` for errors."""
    from whyformer.tasks.load import load_filler

    set_threads(threads)
    return load_filler(run, device=device, weights=weights)


def set_threads(threads: int | None) -> None:
    """Let torch compute with so many threads, or with as many as it chooses."""
    import torch

    if threads is not None:
        torch.set_num_threads(threads)


def search_choice(
    beam: Annotated[
        int | None,
        typer.Option(min=1, help="Beam search with this many hypotheses; else as the recipe has it."),
    ] = None,
    greedy: Annotated[bool, typer.Option("--greedy", help="Take the likeliest token each time.")] = False,
    sample: Annotated[bool, typer.Option("--sample", help="Draw each token by its probability.")] = False,
    temperature: Annotated[
        float | None, typer.Option(help="With --sample: below 1 sharpens, above 1 flattens.")
    ] = None,
    top_k: Annotated[
        int | None, typer.Option(help="With --sample: draw from this many likeliest tokens.")
    ] = None,
    top_p: Annotated[
        float | None, typer.Option(help="With --sample: draw from the likeliest tokens of this probability.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="With --sample: settles every draw.")] = None,
    length_penalty: Annotated[
        float | None, typer.Option(help="With --beam: the power alpha of the length penalty.")
    ] = None,
    coverage_penalty: Annotated[
        float | None, typer.Option(help="With --beam: the weight beta of the coverage penalty.")
    ] = None,
    no_repeat_ngram: Annotated[
        int | None, typer.Option(help="Let no n-gram of this many tokens come twice in a translation.")
    ] = None,
) -> SearchChoice:
    """What the search options say.

    Raises:
        DecodingError: two ways to search are asked for at once.
    """
    asked: dict[Kind, bool] = {"beam": beam is not None, "greedy": greedy, "sampling": sample}
    kinds: list[Kind] = [kind for kind, given in asked.items() if given]
    if len(kinds) > 1:
        raise DecodingError("--beam, --greedy and --sample are three ways to search; give one of them.")
    settings = {
        "size": beam,
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
        "seed": seed,
        "length_penalty": length_penalty,
        "coverage_penalty": coverage_penalty,
        "no_repeat_ngram": no_repeat_ngram,
    }
    return SearchChoice(kinds[0] if kinds else None, {k: v for k, v in settings.items() if v is not None})


def with_search_options(verb: Callable[..., None]) -> Callable[..., None]:
    """Give ``verb`` the options of ``search_choice`` as well; it gets their outcome as ``search``."""
    own = inspect.signature(verb, eval_str=True).parameters
    shared = inspect.signature(search_choice, eval_str=True).parameters

    # `Any`, because typer reads the values from the command line and has checked them by then.
    @functools.wraps(verb)
    def run(**given: Any) -> None:
        choice = search_choice(**{name: given.pop(name) for name in shared})
        verb(**given, search=choice)

    taken = [parameter for name, parameter in own.items() if name != "search"]
    every = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in (*taken, *shared.values())
    ]
    run.__signature__ = inspect.Signature(every)  # pyright: ignore[reportAttributeAccessIssue]
    return run
