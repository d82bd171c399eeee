"""``whyformer doctor``: is everything installed, and how fast is this machine?"""

import dataclasses
import json
from typing import TYPE_CHECKING, Annotated

import typer

from whyformer.cli.console import say
from whyformer.language import padded, translated

if TYPE_CHECKING:
    from whyformer.machine import Machine


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Report versions, hardware and measured speed.

    The exit code is 1 if something that is needed is missing.
    """
    from whyformer.machine import examine

    machine = examine()
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(machine), indent=2))
    else:
        for name, value in _rows(machine):
            typer.echo(f"{padded(translated(name), 10)} {translated(value)}")
        if not (machine.problems or machine.advice):
            say("all is well")
    if machine.problems:
        raise typer.Exit(1)


def _rows(machine: "Machine") -> list[tuple[str, str]]:
    """Rows of the report: the name of each, and what there is."""
    from whyformer.engines.native.library import missing
    from whyformer.machine import automatic_cpu_precision

    versions = ", ".join(f"{name} {version or 'MISSING'}" for name, version in machine.packages.items())
    processor, storage, arithmetic = machine.processor, machine.storage, machine.arithmetic
    memory = f"{_size(storage.memory)}, {_size(storage.memory_available)} are available"
    table = {
        "system": machine.system,
        "python": machine.python,
        "packages": versions,
        "processor": f"{processor.name}, {processor.usable_cores} of {processor.cores} cores usable",
        "features": ", ".join(processor.features) or "not told by the system",
        "memory": memory,
        "disk": f"{_size(storage.disk_free)} free here",
    }
    if arithmetic:
        speed = f"fp32 {arithmetic.fp32_gflops:.0f}, bf16 {arithmetic.bf16_gflops:.0f} GFLOP/s"
        table |= {
            "torch": f"{arithmetic.threads} threads, {arithmetic.capability} kernels",
            "products": f"{speed} (1024 × 1024 on the CPU)",
            "GPU": ", ".join(arithmetic.accelerators) or "none",
            "auto": f"{arithmetic.precision} on {arithmetic.device}: {arithmetic.reason}",
        }
    translation, reason = automatic_cpu_precision()
    engine = "--engine auto with it is native for Transformers that it can express, else torch"
    if (native := automatic_cpu_precision(native=True)[0]) != translation:
        engine = (
            f"--engine auto with it is native for Transformers that it can express, in {native}, else torch"
        )
    if (obstacle := missing()) is not None:
        engine = f"--engine auto with it is torch: {obstacle}."
    table |= {"translate": f"--precision auto takes {translation} on the CPU ({reason})", "engine": engine}
    problems = [("problem", problem) for problem in machine.problems]
    advice = [("advice", hint) for hint in machine.advice]
    return [*table.items(), *problems, *advice]


def _size(size: int | None) -> str:
    return "unknown" if size is None else f"{size / 2**30:.1f} GiB"
