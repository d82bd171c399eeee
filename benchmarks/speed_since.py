"""Whether a training step is as fast as at another commit, both taking turns.

    python benchmarks/speed_since.py COMMIT [--size tiny|base] [--rounds 20] [--threads 2]

Each side compiles its kernels, prepares the same training of Multi30k from the same seed in a process of its
own, and takes the same step whenever it is asked; in every round another side begins. The ratios are told,
above 1 where this checkout is faster.
"""

import argparse
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
WARM_UP = 2
"""Steps that make the optimizer's state and touch new memory."""
# Before the step had a module of its own, it was a part of the trainer.
SIDE = """
import sys, time, torch
try:
    from whyformer.runs.train import start_run
except ImportError:
    from whyformer.tasks.train import begin as start_run
torch.set_num_threads(int(sys.argv[1]))
trainer = start_run(sys.argv[2], sys.argv[4:], __import__("pathlib").Path(sys.argv[3]),
                    device="cpu", overwrite=True, say=lambda _: None)
old = hasattr(trainer, "gradient")
groups = trainer._groups(0) if old else trainer.batches.groups(0)
print("ready", flush=True)
for line in sys.stdin:
    number = int(line)
    tokens = sum(trainer.task.predicted(indices, 0) for indices in groups[number])
    began = time.perf_counter()
    if old:
        trainer.gradient(groups[number], tokens)
        trainer.update()
        trainer.progress.step += 1
    else:
        trainer.step.gradient(groups[number], number + 1, 0)
        trainer.step.update(number + 1, None)
    print(tokens / (time.perf_counter() - began), flush=True)
"""


def main() -> None:
    """Read the arguments, take steps in turns, tell the ratios."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("commit")
    parser.add_argument("--size", choices=[*SIZES], default="tiny")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        other = Path(temporary) / "checkout"
        _git("worktree", "add", "--detach", str(other), asked.commit)
        try:
            sides = {
                name: _side(checkout, asked, Path(temporary) / name)
                for name, checkout in (("before", other), ("after", HERE))
            }
            speeds = measured(sides, asked.rounds)
        finally:
            _git("worktree", "remove", "--force", str(other))
    ratios = [after / before for before, after in zip(speeds["before"], speeds["after"], strict=True)]
    for name, each in speeds.items():
        print(f"{name:6} {statistics.median(each):,.0f} ({min(each):,.0f} to {max(each):,.0f}) tokens/s")
    ratio = f"{statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})"
    about = f"{asked.size}, {asked.rounds} rounds, {asked.threads} threads"
    print(f"{about}: after / before {ratio}; {examine().processor}")


def measured(sides: dict[str, "subprocess.Popen[str]"], rounds: int) -> dict[str, list[float]]:
    """Target tokens a second of every round, by side."""
    speeds: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(WARM_UP + rounds):
        names = [*sides]
        for name in names if number % 2 else names[::-1]:
            speeds[name].append(_asked(sides[name], number))
    for side in sides.values():
        side.communicate()
    return {name: each[WARM_UP:] for name, each in speeds.items()}


def _side(checkout: Path, asked: argparse.Namespace, run: Path) -> "subprocess.Popen[str]":
    changes = [f"model.preset={SIZES[asked.size]}", "model.longest=256"]
    env = {**os.environ, "PYTHONPATH": str(checkout / "src")}
    # A worktree has none, and would be measured without; the oldest commits have no such module.
    subprocess.run([sys.executable, "-m", "whyformer.kernels.build"], env=env, check=False)
    side = subprocess.Popen(
        [sys.executable, "-c", SIDE, str(asked.threads), RECIPE, str(run), *changes],
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    assert side.stdout is not None
    if side.stdout.readline() != "ready\n":
        raise SystemExit(f"{checkout}: the training could not be prepared")
    return side


def _asked(side: "subprocess.Popen[str]", number: int) -> float:
    assert side.stdin is not None
    assert side.stdout is not None
    side.stdin.write(f"{number}\n")
    side.stdin.flush()
    return float(side.stdout.readline())


def _git(*call: str) -> None:
    subprocess.run(["git", "-C", str(HERE), *call], check=True, capture_output=True)


if __name__ == "__main__":
    main()
