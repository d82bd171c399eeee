"""Options that several verbs share."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

import typer

from whyformer.decoding.overrides import SearchChoice, SearchKind
from whyformer.errors import DecodingError
from whyformer.machine import EngineName, PrecisionName

if TYPE_CHECKING:
    from whyformer.runs.execution import Execution
    from whyformer.tasks.task import Runner

    RunnerT = TypeVar("RunnerT", bound=Runner)

RunArgument = Annotated[Path, typer.Argument(help="The folder of a trained run.")]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
ThreadsOption = Annotated[int | None, typer.Option(min=1, help="CPU threads; torch's choice if left out.")]
WeightsOption = Annotated[
    Path | None, typer.Option(help="Other weights of the run, such as a snapshot; its best if left out.")
]
PlotOption = Annotated[
    Path | None, typer.Option(help="Draw it: a .png or an .html file, or a folder for both.")
]
BatchOption = Annotated[
    int, typer.Option(min=1, help="Sentences side by side; it changes the speed, not the result.")
]
PrecisionOption = Annotated[
    PrecisionName,
    typer.Option(help="Of products on a CPU: fp32 is exact, auto is what pays here (see doctor)."),
]
EngineOption = Annotated[
    EngineName,
    typer.Option(
        help="What computes: native is C++ for Transformers; ctranslate2 converts the run once; auto is "
        "native with --precision auto where that can be, else torch."
    ),
]
ShortlistOption = Annotated[
    bool, typer.Option("--shortlist", help="Look among the likely pieces alone; see `whyformer shortlist`.")
]

SpecialTokensOption = Annotated[
    bool,
    typer.Option("--special-tokens", help="Take the names of special tokens for the tokens, not for text."),
]

BeamOption = Annotated[
    int | None,
    typer.Option(min=1, help="Beam search with this many hypotheses; else as the recipe has it."),
]
GreedyOption = Annotated[bool, typer.Option("--greedy", help="Take the likeliest token each time.")]
SampleOption = Annotated[bool, typer.Option("--sample", help="Draw each token by its probability.")]
TemperatureOption = Annotated[
    float | None, typer.Option(help="With --sample: below 1 sharpens, above 1 flattens.")
]
TopKOption = Annotated[int | None, typer.Option(help="With --sample: draw from this many likeliest tokens.")]
TopPOption = Annotated[
    float | None, typer.Option(help="With --sample: draw from the likeliest tokens of this probability.")
]
SeedOption = Annotated[int | None, typer.Option(help="With --sample: settles every draw.")]
LengthPenaltyOption = Annotated[
    float | None, typer.Option(help="With --beam: the power alpha of the length penalty.")
]
CoveragePenaltyOption = Annotated[
    float | None, typer.Option(help="With --beam: the weight beta of the coverage penalty.")
]
RankingOption = Annotated[
    Literal["score", "minimum_bayes_risk"] | None,
    typer.Option(help="With --beam: what is best, the highest score or what is most like all that is found."),
]
PatienceOption = Annotated[
    float | None,
    typer.Option(
        help="With --beam: stop as soon as so many times its size have finished; 1 does as most toolkits do. "
        "Recipes go on until nothing better can come.",
    ),
]
NoRepeatOption = Annotated[
    int | None, typer.Option(help="Let no n-gram of this many tokens come twice in a translation.")
]


def patience_rule(factor: float) -> dict[str, object]:
    """The stopping rule that --patience asks for."""
    return {"kind": "patience", "factor": factor}


def search_choice(
    beam: int | None,
    greedy: bool,
    sample: bool,
    temperature: float | None,
    top_k: int | None,
    top_p: float | None,
    seed: int | None,
    length_penalty: float | None,
    coverage_penalty: float | None,
    ranking: str | None,
    patience: float | None,
    no_repeat_ngram: int | None,
) -> SearchChoice:
    """The way to search that the options ask for.

    Raises:
        DecodingError: two ways are asked for at once.
    """
    asked: dict[SearchKind, bool] = {"beam": beam is not None, "greedy": greedy, "sampling": sample}
    kinds: list[SearchKind] = [kind for kind, wanted in asked.items() if wanted]
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
        "ranking": None if ranking is None else {"kind": ranking},
        "stopping": None if patience is None else patience_rule(patience),
        "no_repeat_ngram": no_repeat_ngram,
    }
    return SearchChoice(kinds[0] if kinds else None, {k: v for k, v in settings.items() if v is not None})


def open_as(
    kind: "type[RunnerT]", run: Path, execution: "Execution", weights: Path | None = None
) -> "RunnerT":
    """The runner in the folder ``run``, in a process that does nothing else; see ``load_as`` for errors."""
    from whyformer.machine import keep_freed_memory
    from whyformer.runs.load import load_as

    keep_freed_memory()
    return load_as(kind, run, execution, weights)
