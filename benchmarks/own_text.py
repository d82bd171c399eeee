"""How well a translator of 3,000 pairs gets when its recipe says hardly anything.

    python benchmarks/own_text.py [--seeds 1] [--threads 2] [--pairs 3000] [--sets tatoeba multi30k]

Three recipes for each set of pairs, all judged on its own validation file by greedy search and one BLEU:

- `before`: a few lines (small, 30 epochs, peak 0.003), with all that was the default before the text decided,
  written out;
- `readme`: the same few lines, the rest decided by the text;
- `defaults`: the files, and nothing else.

The pairs are the first of each training file under $WHYFORMER_SHARED/data. A run counts by its wall clock,
the program's start, its tokenizers and validations included.
"""

import argparse
import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from whyformer.training.storage.run import RunFolder

SHARED = Path(os.environ.get("WHYFORMER_SHARED", "../shared")) / "data"
FEW_LINES: dict[str, Any] = {
    "model": {"preset": "small"},
    "training": {"epochs": 30, "schedule": {"peak": 0.003}},
}
BEFORE: dict[str, Any] = {
    "tokenizers": {"kind": "joint", "both": {"kind": "bpe", "vocabulary": 8000}},
    "model": {
        "preset": "small",
        "embedding": {"tie": "all"},
        "encoder": {"positions": [{"kind": "sinusoidal"}], "block": {"placement": {"kind": "post"}}},
        "decoder": {"positions": [{"kind": "sinusoidal"}], "block": {"placement": {"kind": "post"}}},
    },
    "training": {
        "epochs": 30,
        "batching": {"tokens": 4096},
        "schedule": {"kind": "inverse_sqrt", "peak": 0.003, "warmup": 2000},
        "clip": None,
        "validation": {"every": None},
    },
}
ARMS: dict[str, dict[str, Any]] = {"before": BEFORE, "readme": FEW_LINES, "defaults": {}}


class PairSet(NamedTuple):
    """A set of pairs, and how BLEU cuts its target side."""

    name: str
    train: Path
    valid: Path
    tokenize: str


class Row(NamedTuple):
    """Measurements of one run."""

    pairs: str
    arm: str
    seed: int
    steps: int
    minutes: float
    bleu: float
    chrf: float
    signature: str


def lines(path: Path) -> list[str]:
    """The lines of a gzip-compressed text."""
    return gzip.open(path, "rt", encoding="utf-8", newline="").read().split("\n")[:-1]


def write_sets(folder: Path, names: list[str], count: int) -> Iterator[PairSet]:
    """The sets called ``names`` as tables of source and target, the first ``count`` pairs to train on."""
    for name in names:
        if name == "multi30k":
            raw = SHARED / "multi30k" / "raw"
            sides = {
                part: [lines(raw / f"{file}.{language}.gz") for language in ("en", "de")]
                for part, file in (("train", "train"), ("valid", "val"))
            }
            rows = {part: list(zip(*both, strict=True)) for part, both in sides.items()}
            tokenize = "13a"
        else:
            cells = {
                part: [line.split("\t") for line in lines(SHARED / "tatoeba-zh" / f"{part}.tsv.gz")[1:]]
                for part in ("train", "valid")
            }
            rows = {part: [(row[0], row[2]) for row in table] for part, table in cells.items()}
            tokenize = "zh"
        paths = {part: folder / f"{name}.{part}.tsv" for part in rows}
        for part, pairs in rows.items():
            kept = pairs[:count] if part == "train" else pairs
            paths[part].write_text("".join("\t".join(pair) + "\n" for pair in kept), encoding="utf-8")
        yield PairSet(name, paths["train"], paths["valid"], tokenize)


def measure(pairs: PairSet, arm: str, seed: int, threads: int, folder: Path) -> Row:
    """Train one recipe and score it."""
    files = {part: {"kind": "tsv", "path": str(getattr(pairs, part))} for part in ("train", "valid")}
    recipe, run = folder / f"{pairs.name}-{arm}.yaml", folder / f"{pairs.name}-{arm}-{seed}"
    recipe.write_text(yaml.safe_dump({"data": {"kind": "files", **files}, **ARMS[arm]}), encoding="utf-8")
    began = time.perf_counter()
    whyformer("train", recipe, f"training.seed={seed}", "--run", run, "--threads", threads)
    minutes = (time.perf_counter() - began) / 60
    scored = whyformer("evaluate", run, "--on", "valid", "--greedy", "--tokenize", pairs.tokenize, "--json")
    found = {each["name"]: each for each in json.loads(scored)["sets"][0]["scores"]}
    steps = max(record["step"] for record in RunFolder(run).records())
    bleu, chrf = found["bleu"], found["chrf"]
    return Row(pairs.name, arm, seed, steps, minutes, bleu["value"], chrf["value"], bleu["signature"])


def whyformer(*arguments: object) -> str:
    """The output of the program; what it says beside goes to ours."""
    program = [sys.executable, "-c", "from whyformer.cli.main import main; main()"]
    done = subprocess.run([*program, *map(str, arguments)], stdout=subprocess.PIPE, check=True)
    return done.stdout.decode()


def table(rows: list[Row]) -> Iterator[str]:
    """The rows in Markdown, each BLEU beside that of `before` with the same pairs and seed."""
    before = {(row.pairs, row.seed): row.bleu for row in rows if row.arm == "before"}
    yield "| pairs | recipe | seed | steps | minutes | BLEU | chrF | times before | signature |"
    yield "|---|---|---:|---:|---:|---:|---:|---:|---|"
    for row in rows:
        first = before.get((row.pairs, row.seed))
        ratio = "" if first is None else f"{row.bleu / first:.1f}" if first > 0 else "∞"
        yield (
            f"| {row.pairs} | {row.arm} | {row.seed} | {row.steps:,} | {row.minutes:.1f} | {row.bleu:.2f} | "
            f"{row.chrf:.2f} | {ratio} | {row.signature} |"
        )


def main() -> None:
    """Read the arguments, train, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--pairs", type=int, default=3000)
    parser.add_argument("--sets", nargs="+", choices=["tatoeba", "multi30k"], default=["tatoeba", "multi30k"])
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=[*ARMS])
    options = parser.parse_args()
    if not SHARED.is_dir():
        parser.error(f"{SHARED}: no such folder; set WHYFORMER_SHARED to the one that has data/.")
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        for pairs in write_sets(Path(folder), options.sets, options.pairs):
            for seed in range(1, options.seeds + 1):
                for arm in options.arms:
                    rows.append(measure(pairs, arm, seed, options.threads, Path(folder)))
                    print("\n".join(table(rows)), flush=True)


if __name__ == "__main__":
    main()
