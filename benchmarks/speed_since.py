"""Whether training is as fast as at another commit, both taking turns.

    python benchmarks/speed_since.py COMMIT [--size tiny|base] [--rounds 10] [--steps 6] [--threads 2]

In every round each side trains the same steps of Multi30k from the same seed in a process of its own, and
another side begins. A round's figure is the median of the steps' target tokens a second, without the first
two, as the run logs them; the ratios of the rounds are told, above 1 where this checkout is faster.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from whyformer.machine import examine

HERE = Path(__file__).parents[1]
RECIPE = "multi30k-en-de-sinusoidal"
SIZES = {"tiny": "small", "base": "base"}
"""What the tables call a size, and our preset of it."""
UNCOUNTED = 2
"""Steps that make the optimizer's state and touch new memory."""


def main() -> None:
    """Read the arguments, train in turns, tell the ratios."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("commit")
    parser.add_argument("--size", choices=["tiny", "base"], default="tiny")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        other = Path(temporary) / "checkout"
        _git("worktree", "add", "--detach", str(other), asked.commit)
        try:
            speeds = measured({"before": other, "after": HERE}, asked, Path(temporary))
        finally:
            _git("worktree", "remove", "--force", str(other))
    ratios = [after / before for before, after in zip(speeds["before"], speeds["after"], strict=True)]
    for name, each in speeds.items():
        print(f"{name:6} {statistics.median(each):,.0f} ({min(each):,.0f} to {max(each):,.0f}) tokens/s")
    work = f"{asked.size}, {asked.rounds} rounds of {asked.steps} steps, {asked.threads} threads"
    ratio = f"{statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})"
    print(f"{work}: after / before {ratio}; {examine().processor}")


def measured(checkouts: dict[str, Path], asked: argparse.Namespace, folder: Path) -> dict[str, list[float]]:
    """Tokens a second of every round, by side."""
    speeds: dict[str, list[float]] = {name: [] for name in checkouts}
    for number in range(asked.rounds):
        names = [*checkouts]
        for name in names if number % 2 else names[::-1]:
            speeds[name].append(speed(checkouts[name], asked, folder / name))
        print(f"round {number + 1}: {speeds['after'][-1] / speeds['before'][-1]:.3f}", flush=True)
    return speeds


def speed(checkout: Path, asked: argparse.Namespace, run: Path) -> float:
    """Train some steps with the sources of ``checkout``; median target tokens a second."""
    program = "from whyformer.cli.main import main; main()"
    steps = asked.steps + UNCOUNTED
    changes = [
        f"model={{preset: {SIZES[asked.size]}, longest: 256}}",
        *("training.epochs=null", f"training.steps={steps}", "training.log_every=1"),
        *("training.validation.every=100000", "training.validation.translate_from=100000"),
        "training.validation.average=1",
    ]
    call = ["train", RECIPE, *changes, "--run", str(run), "--overwrite", "--threads", str(asked.threads)]
    environment = {**os.environ, "PYTHONPATH": str(checkout / "src")}
    subprocess.run([sys.executable, "-c", program, *call], env=environment, check=True, capture_output=True)
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    told = [line["tokens_per_second"] for line in lines if line["event"] == "train"]
    return statistics.median(told[UNCOUNTED:])


def _git(*call: str) -> None:
    subprocess.run(["git", "-C", str(HERE), *call], check=True, capture_output=True)


if __name__ == "__main__":
    main()
