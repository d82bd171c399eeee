"""Options that several verbs share."""

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from whyformer.decoding.overrides import SearchChoice, SearchKind
from whyformer.errors import DecodingError

if TYPE_CHECKING:
    from whyformer.tasks.causal_lm.generator import Generator
    from whyformer.tasks.masked_lm.filler import Filler
    from whyformer.tasks.translation.translator import Translator

RunArgument = Annotated[Path, typer.Argument(help="The folder of a trained run.")]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
ThreadsOption = Annotated[int | None, typer.Option(min=1, help="CPU threads; torch's choice if left out.")]
WeightsOption = Annotated[
    Path | None, typer.Option(help="Other weights of the run, such as a snapshot; its best if left out.")
]
BatchOption = Annotated[
    int, typer.Option(min=1, help="Sentences side by side; it changes the speed, not the result.")
]


@dataclass(frozen=True)
class Opening:
    """Where and how a translator computes."""

    device: str = "auto"
    threads: int | None = None
    weights: Path | None = None
    precision: Literal["auto", "fp32", "bf16", "int8"] = "fp32"
    engine: Literal["torch", "native", "ctranslate2"] = "torch"

    def translator(self, run: Path) -> "Translator":
        """The translator in the folder ``run``; see ``load_translator`` for errors."""
        from whyformer.machine import keep_freed_memory
        from whyformer.runs.load import load_translator

        set_threads(self.threads)
        keep_freed_memory()
        return load_translator(
            run, device=self.device, weights=self.weights, precision=self.precision, engine=self.engine
        )


def opening(
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    weights: WeightsOption = None,
    precision: Annotated[
        Literal["auto", "fp32", "bf16", "int8"],
        typer.Option(help="Of products on a CPU: fp32 is exact, auto is what pays here (see doctor)."),
    ] = "fp32",
    engine: Annotated[
        Literal["torch", "native", "ctranslate2"],
        typer.Option(
            help="What computes: native is C++ for Transformers; ctranslate2 converts the run once."
        ),
    ] = "torch",
) -> Opening:
    """What the options say about where and how to compute."""
    return Opening(device, threads, weights, precision, engine)


def open_translator(run: Path, weights: Path | None, device: str, threads: int | None) -> "Translator":
    """The translator in the folder ``run``, in fp32; see ``whyformer.load`` for errors."""
    return Opening(device, threads, weights).translator(run)


def open_generator(run: Path, weights: Path | None, device: str, threads: int | None) -> "Generator":
    """The generator in the folder ``run``; see ``whyformer.load`` for errors."""
    from whyformer.runs.load import load_as
    from whyformer.tasks.causal_lm.generator import Generator

    set_threads(threads)
    return load_as(Generator, run, device=device, weights=weights)


def open_filler(run: Path, weights: Path | None, device: str, threads: int | None) -> "Filler":
    """The filler of holes in the folder ``run``; see ``whyformer.load`` for errors."""
    from whyformer.runs.load import load_as
    from whyformer.tasks.masked_lm.filler import Filler

    set_threads(threads)
    return load_as(Filler, run, device=device, weights=weights)


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
    asked: dict[SearchKind, bool] = {"beam": beam is not None, "greedy": greedy, "sampling": sample}
    kinds: list[SearchKind] = [kind for kind, given in asked.items() if given]
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


def with_translation_options(verb: Callable[..., None]) -> Callable[..., None]:
    """Give ``verb`` the options of ``opening`` and ``search_choice``; it gets ``opening`` and ``search``."""
    return _with_options(verb, {"opening": opening, "search": search_choice})


def with_search_options(verb: Callable[..., None]) -> Callable[..., None]:
    """Give ``verb`` the options of ``search_choice`` as well; it gets their outcome as ``search``."""
    return _with_options(verb, {"search": search_choice})


# `Any`, because typer reads the values from the command line and has checked them by then.
def _with_options(verb: Callable[..., None], groups: Mapping[str, Callable[..., Any]]) -> Callable[..., None]:
    own = inspect.signature(verb, eval_str=True).parameters
    shared = {name: inspect.signature(group, eval_str=True).parameters for name, group in groups.items()}

    @functools.wraps(verb)
    def run(**given: Any) -> None:
        taken = {name: {each: given.pop(each) for each in shared[name]} for name in groups}
        verb(**given, **{name: group(**taken[name]) for name, group in groups.items()})

    kept = [parameter for name, parameter in own.items() if name not in groups]
    added = [parameter for parameters in shared.values() for parameter in parameters.values()]
    every = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in (*kept, *added)]
    run.__signature__ = inspect.Signature(every)  # pyright: ignore[reportAttributeAccessIssue]
    return run
