"""What is said of the arms: figures, the machine they hold for, tables and pictures."""

import json
import os
import statistics
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

RESULTS = Path(os.environ.get("WHYFORMER_BENCH_RESULTS") or Path(__file__).parent / "results")
"""Where tables are written; tests have a folder of their own."""
PACKAGES = ("whyformer", "torch", "transformers", "x-transformers", "ctranslate2", "tokenizers")


class Spread(NamedTuple):
    """Repeated measurements of one figure."""

    median: float
    low: float
    high: float

    @staticmethod
    def of(values: Sequence[float]) -> "Spread":
        """The spread of ``values``."""
        return Spread(statistics.median(values), min(values), max(values))

    def text(self, digits: int = 0) -> str:
        """Median (lowest-highest)."""
        median, low, high = (f"{value:,.{digits}f}" for value in self)
        return f"{median} ({low}-{high})"


def ratios(rates: Mapping[str, Sequence[float]], name: str, peers: Iterable[str]) -> Spread | None:
    """How many times the rate of the fastest of ``peers`` the arm ``name`` has, round by round."""
    present = [rates[peer] for peer in peers if peer in rates]
    if not present:
        return None
    fastest = [max(round_) for round_ in zip(*present, strict=True)]
    return Spread.of([mine / best for mine, best in zip(rates[name], fastest, strict=True)])


KINDS = (
    ("AMX", {"amx_bf16"}),
    ("AVX-512 bf16, no AMX", {"avx512_bf16"}),
    ("VNNI only, fp32", {"avx512_vnni"}),
    ("VNNI of 256 bits, fp32", {"avx_vnni"}),
    ("AVX-512 without VNNI, fp32", {"avx512f"}),
    ("AVX2, fp32", {"avx2"}),
    ("Arm, bf16", {"bf16"}),
    ("Arm, products of int8", {"i8mm"}),
    ("Arm, fp32", {"asimd"}),
)
"""Kinds of processor, the best first, and the features without which one is of another kind."""


def processor_kind(features: Iterable[str]) -> str:
    """What decides how fast a processor with these ``features`` multiplies, in a few words."""
    present = set(features)
    return next((kind for kind, needed in KINDS if needed <= present), "unknown")


def machine(threads: int, device: str = "cpu") -> dict[str, str]:
    """What the figures hold for; on a GPU they hold for that first of all."""
    from whyformer.machine import code_version, examine

    here = examine()
    gpus = here.arithmetic.accelerators if here.arithmetic is not None and device != "cpu" else ()
    versions = {name: _version(name) for name in PACKAGES}
    return {
        **({"device": ", ".join(gpus) or device} if device != "cpu" else {}),
        "processor": processor_kind(here.processor.features),
        "machine": f"{here.processor.name}, {here.processor.usable_cores} cores, "
        f"{(here.storage.memory or 0) / 2**30:.0f} GiB, {' '.join(here.processor.features)}",
        "system": f"{here.system}, Python {here.python}",
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items() if version),
        "commit": code_version() or "unknown",
        "threads": f"{threads}; load at the beginning {os.getloadavg()[0]:.2f}",
        # Of a script its place in the checkout, whoever called it from wherever.
        "command": " ".join([Path(sys.executable).name, _place_of(Path(sys.argv[0])), *sys.argv[1:]]),
        "date": time.strftime("%Y-%m-%d %H:%M"),
    }


def _place_of(script: Path) -> str:
    """Where ``script`` is in the checkout; a script from elsewhere by its name."""
    root = Path(__file__).resolve().parents[1]
    whole = script.resolve()
    return whole.relative_to(root).as_posix() if whole.is_relative_to(root) else script.name


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def table(rows: Sequence[Mapping[str, str]]) -> str:
    """``rows`` as a Markdown table, its columns those of the first."""
    lines = [list(rows[0]), *([row[column] for column in rows[0]] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    written = ["| " + " | ".join(map(str.ljust, line, widths)) + " |" for line in lines]
    return "\n".join([written[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *written[1:]])


def bars(rows: Sequence[tuple[str, Spread]], unit: str, title: str) -> dict[str, Any]:
    """A chart of a bar for each row, a line from its lowest to its highest."""
    import altair as alt

    values = [{"arm": name, **spread._asdict(), "ours": name.startswith("ours")} for name, spread in rows]
    y = alt.Y("arm:N", title=None, sort=None, axis=alt.Axis(labelLimit=300))
    data = alt.Chart(alt.Data(values=values))
    colour = alt.Color(
        "ours:N", scale=alt.Scale(domain=[True, False], range=["#0072b2", "#999"]), legend=None
    )
    bar = data.mark_bar().encode(x=alt.X("median:Q", title=unit), y=y, color=colour)
    line = data.mark_rule(color="#222").encode(x="low:Q", x2="high:Q", y=y)
    return (bar + line).properties(width=480, height=alt.Step(24), title=title).to_dict()


def publish(
    stem: str,
    about: Mapping[str, str],
    rows: Sequence[Mapping[str, str]],
    figures: Any,
    chart: dict[str, Any] | None = None,
    *,
    done: bool = True,
) -> None:
    """Write the table to ``results/`` beside all ``figures``, and a picture where there is a ``chart``.

    What is not yet ``done`` says so, and is not printed.
    """
    from whyformer.files import write_bytes, write_text
    from whyformer.plots.chart import draw_png

    told = {**about, **({} if done else {"state": "not done; this is what was measured so far"})}
    text = "".join(f"{key}: {value}\n" for key, value in told.items()) + "\n" + table(rows) + "\n"
    figures = {"about": told, "table": list(rows), "figures": figures}
    write_text(RESULTS / f"{stem}.md", text)
    write_text(RESULTS / f"{stem}.json", json.dumps(figures, ensure_ascii=False, indent=1) + "\n")
    if chart is not None:
        write_bytes(RESULTS / f"{stem}.png", draw_png(chart))
    if done:
        print(f"{text}{RESULTS / stem}.md\n", flush=True)
