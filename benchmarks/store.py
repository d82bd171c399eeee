"""Corpora larger than memory: what a store of many made-up lines costs to build, and to train from.

    python benchmarks/store.py [--lines 1000000] [--folder FOLDER] [--processes 2] [--steps 100]

Writes two texts of so many lines, builds a store of them by the program, and trains `tiny` on it for some
steps. Told: sizes, seconds, peak memory of each process, time to the first step, and the share of a step
that it takes to make its batches. What is in the folder already is taken as it is.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import numpy as np
from report import machine

_AT_ONCE = 100_000
_RECIPE = """\
data: {{kind: store, path: {store}}}
model: {{preset: tiny}}
training:
  steps: {steps}
  precision: fp32
  batching: {{tokens: 4096}}
  validation: {{every: 1000000, sentences: 10}}
"""


def main() -> None:
    """Read the arguments, measure, tell."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, default=Path("runs/benchmark-store"))
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--train-only", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.train_only:
        print(json.dumps(trained(asked.train_only, asked.steps)))
        return
    asked.folder.mkdir(parents=True, exist_ok=True)
    print(machine(2))
    write_text(asked.folder, asked.lines)
    size = sum((asked.folder / name).stat().st_size for name in ("source", "target"))
    print(f"text: {asked.lines:,} pairs, {size / 1e9:.2f} GB")
    build(asked.folder, asked.processes, size)
    train(asked.folder, asked.steps)


def write_text(folder: Path, lines: int) -> None:
    """Sentences of 5 to 24 words, drawn by Zipf's law from made-up words, and the same words respelled."""
    if (folder / "source").exists() and (folder / "target").exists():
        return
    random = np.random.default_rng(0)
    syllables = ["ka", "lo", "mi", "ten", "sur", "ba", "ri", "on", "ves", "pa", "di", "gul", "ne", "fo"]
    words = ["".join(random.choice(syllables, random.integers(1, 5))) for _ in range(30_000)]
    spelled = np.array(words), np.array([word[::-1] for word in words])
    share = 1 / (10 + np.arange(len(words)))
    bounds = np.cumsum(share / share.sum())
    with (folder / "source.part").open("w") as source, (folder / "target.part").open("w") as target:
        for start in range(0, lines, _AT_ONCE):
            counts = random.integers(5, 25, min(_AT_ONCE, lines - start))
            drawn = np.searchsorted(bounds, random.random(counts.sum())).clip(max=len(words) - 1)
            for file, table in zip((source, target), spelled, strict=True):
                parts = np.split(table[drawn], np.cumsum(counts)[:-1])
                file.writelines(" ".join(part.tolist()) + "\n" for part in parts)
    for name in ("source", "target"):
        (folder / f"{name}.part").rename(folder / name)


def build(folder: Path, processes: int, size: int) -> None:
    """Build the store by the program, and tell what it took."""
    command = [
        *(
            sys.executable,
            "-c",
            "from whyformer.cli.main import main; main()",
            "data",
            "build",
            str(folder / "source"),
        ),
        *("--target", str(folder / "target"), "--to", str(folder / "store"), "--vocabulary", "8000"),
        *("--processes", str(processes)),
    ]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    with subprocess.Popen(command) as process, peaks(process.pid) as most:
        process.wait()
    seconds = time.perf_counter() - began
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
    stored = sum(path.stat().st_size for path in (folder / "store").iterdir())
    print(
        f"build: {seconds:,.0f} s ({cpu:,.0f} s of CPU), {size / 1e6 / seconds:.2f} MB/s, "
        f"store {stored / 1e9:.2f} GB; peak memory by process, MiB: {sorted(most.values(), reverse=True)}"
    )


def train(folder: Path, steps: int) -> None:
    """Train in a process of its own, and tell what it took."""
    recipe = folder / "tiny.yaml"
    recipe.write_text(_RECIPE.format(store=(folder / "store").absolute(), steps=steps))
    command = [sys.executable, __file__, "--train-only", str(recipe), "--steps", str(steps)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        output, _ = process.communicate()
    found = json.loads(output.splitlines()[-1])
    share = found["batch"] / found["step"]
    print(
        f"train: the first step begins after {found['start']:.1f} s ({found['open']:.1f} s of it the store "
        f"and its hashes, {found['plan']:.1f} s one plan); {1000 * found['step']:.1f} ms a step, of which "
        f"batches take {1000 * found['batch']:.2f} ms ({share:.2%}), counted {found['steps']} times; peak "
        f"memory {found['peak']:,} MiB"
    )


def trained(recipe: Path, steps: int) -> dict[str, float]:
    """Figures of a training, in this process."""
    began = time.perf_counter()
    import torch

    from whyformer.data.store.reader import TokenStore
    from whyformer.runs.train import start_run

    opened = time.perf_counter()
    TokenStore(recipe.parent / "store")
    opened = time.perf_counter() - opened
    # What opening by itself took is taken off again below.
    trainer = start_run(
        str(recipe), [], recipe.parent / "run", device="cpu", overwrite=True, say=lambda _line: None
    )
    start = time.perf_counter()
    plan = iter(trainer.batches.after(0, 0))
    groups = [next(plan)[2]]
    planned = time.perf_counter() - start
    start = time.perf_counter() - began - opened
    groups += [next(plan)[2] for _ in range(steps - 1)]
    whole, batch = 0.0, 0.0
    for number, group in enumerate(groups, start=1):
        begun = time.perf_counter()
        for indices in group:
            trainer.task.batch(indices, 0, torch.device("cpu"))
        between = time.perf_counter()
        trainer.step.gradient(group, number, 0)
        trainer.step.update(number, steps)
        if number > len(groups) // 10:
            whole += time.perf_counter() - between
            batch += between - begun
    counted = len(groups) - len(groups) // 10
    trainer.lock.release()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    return {
        "start": start,
        "open": opened,
        "plan": planned,
        "step": whole / counted,
        "steps": counted,
        "batch": batch / counted,
        "peak": peak,
    }


@contextmanager
def peaks(pid: int) -> Iterator[dict[int, int]]:
    """Most memory in MiB, resident, of a process and its children, by their numbers."""
    most, over = dict[int, int](), Event()

    def watch() -> None:
        while not over.wait(0.2):
            for each in [pid, *children(pid)]:
                most[each] = max(most.get(each, 0), resident(each))

    thread = Thread(target=watch)
    thread.start()
    try:
        yield most
    finally:
        over.set()
        thread.join()


def children(pid: int) -> list[int]:
    """Numbers of the processes that one has started."""
    try:
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def resident(pid: int) -> int:
    """Most memory of a process so far, in MiB."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) >> 10 for line in status.splitlines() if line.startswith("VmHWM")), 0)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "2")
    main()
