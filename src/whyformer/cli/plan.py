"""``whyformer plan``: what a training would need on other machines and more ranks, without them."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from whyformer.cli.console import say, tell
from whyformer.language import display_width, padded, translated

if TYPE_CHECKING:
    from whyformer.analysis.scaling.splits import ScalingPlan, StepSplit


def plan(
    recipe: Annotated[str, typer.Argument(help="A recipe's name, a recipe file, or the folder of a run.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Changes to the recipe, such as model.encoder.layers=4.")
    ] = None,
    ranks: Annotated[int, typer.Option(min=1, help="Devices that share out each step.")] = 1,
    device: Annotated[str, typer.Option(help="this, cpu, h100, h200 or a100.")] = "this",
    mfu: Annotated[
        float | None,
        typer.Option(min=0.001, max=1.0, help="Share of the device's peak that is reached, if you know it."),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(min=0.001, max=1e12, help="Tokens a second of one such device by itself, if measured."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Foresee memory and speed of training RECIPE on many ranks.

    Memory is that of the recipe's own model and batches on paper: shapes are worked out, nothing is computed.
    Speed is measured on this CPU, or follows from a device's data sheet and assumptions, which are printed.
    """
    from whyformer.analysis.scaling.devices import find_device
    from whyformer.analysis.scaling.splits import plan_scaling
    from whyformer.analysis.scaling.workload import read_workload
    from whyformer.machine import automatic_precision

    if mfu is not None and rate is not None:
        raise typer.BadParameter("--rate says how fast a device is, and so does --mfu; give one of them.")
    facts = find_device(device).with_mfu(mfu)
    planned = read_workload(recipe, overrides or [])
    if planned.lacks:
        tell(f"its data are not at hand, so batches are full rows of made-up tokens ({planned.lacks})")
    chosen = planned.recipe.training.precision
    if chosen == "auto":
        chosen = "bf16" if facts.is_accelerator else automatic_precision("cpu")[0]
    found = plan_scaling(
        planned,
        facts,
        ranks,
        chosen,
        rate=rate,
        say=tell,
    )
    if as_json:
        typer.echo(json.dumps(_record(found), ensure_ascii=False, indent=2))
    else:
        for line in _plan_lines(found, rate):
            say(line)
    if found.best is None:
        raise typer.Exit(1)


def _record(found: "ScalingPlan") -> dict[str, object]:
    splits = [{**asdict(s), "needed": s.needed, "fits": s.fits} for s in found.splits]
    return {**asdict(found), "splits": splits, "verdict": [translated(line) for line in found.reasons()]}


def _plan_lines(found: "ScalingPlan", rate: float | None) -> Iterator[str]:
    facts = found.device
    yield (
        f"{found.parameters:,} parameters, {found.flops / 1e6:,.4g} million operations a token; "
        f"{found.ranks} ranks of {facts.name}, {found.precision}"
    )
    yield ""
    yield from _memory_table(found.best or found.splits[0])
    yield ""
    yield from _split_table(found)
    yield ""
    yield from found.reasons()
    if rate is not None:
        yield f"speed of a rank: {rate:,.6g} tokens/s, as you say"
    elif found.measured:
        yield "speed of a rank: measured here, by some batches of this recipe"
    else:
        peak = facts.peak[found.precision] / 1e12
        yield (
            f"assumed: {facts.pace.mfu:.0%} of the peak of {peak:,.4g} TFLOP/s (--mfu), at least "
            f"{1e6 * facts.pace.latency:.3g} µs an operation, nothing compiled"
        )
    links = facts.links
    link, network, neighbours = links.machine / 1e9, links.network / 1e9, links.neighbours
    yield (
        f"assumed: {facts.usable:.0%} of {facts.memory / 1e9:,.0f} GB of memory can be used; a rank sends "
        f"{link:,.4g} GB/s within its machine of {neighbours} and {network:,.4g} GB/s to others, of "
        "which 80 % are reached"
    )
    yield (
        "assumed: without shards gradients are summed when all are there; with shards all but the first and "
        "last of them travel while others are computed"
    )


def _memory_table(split: "StepSplit") -> Iterator[str]:
    """A line for each part, layers of a stack together."""
    parts: dict[str, int] = {}
    layers: dict[str, int] = {}
    for name, size in split.memory.items():
        whole = name.partition(".")[0]
        parts[whole] = parts.get(whole, 0) + size
        layers[whole] = layers.get(whole, 0) + (name != whole)
    words = {
        "weights": translated("weights"),
        "gradients": translated("gradients"),
        "optimizer": translated("optimizer"),
        "loss": translated("loss"),
        "backward": translated("in the backward pass"),
        "communication": translated("communication"),
    }
    heading, names = translated("memory of a rank"), [words.get(name, name) for name in parts]
    width = max(map(display_width, [heading, *names]))
    yield f"{padded(heading, width)}  {'MiB':>12}"
    for name, part in zip(names, parts, strict=True):
        size, count = parts[part], layers[part]
        each = f"  {count} × {size / count / 2**20:,.2f}" if count else ""
        yield f"{padded(name, width)}  {size / 2**20:>12,.2f}  {size / split.needed:>6.1%}{each}"
    yield f"{padded(translated('all'), width)}  {split.needed / 2**20:>12,.2f}"


def _split_table(found: "ScalingPlan") -> Iterator[str]:
    """A line for each way, the best first."""
    heads = (
        *(translated("shard"), translated("tokens"), translated("batches"), "GiB", translated("fits")),
        *("ms", translated("sent MB"), translated("exposed ms"), "tokens/s"),
    )
    yield _row(heads)
    for split in found.splits:
        yield _row(
            (
                *(split.shard, f"{split.tokens:,}", f"{split.batches}", f"{split.needed / 2**30:,.2f}"),
                *("✓" if split.fits else "✗", f"{1e3 * split.traffic.computing:,.1f}"),
                *(f"{split.traffic.sent / 1e6:,.1f}", f"{1e3 * split.traffic.exposed:,.2f}"),
                f"{split.tokens_per_second:,.0f}",
            )
        )


def _row(cells: Sequence[str]) -> str:
    return "  ".join(" " * (10 - display_width(cell)) + cell for cell in cells)
