"""Corpora larger than memory: what a store of many made-up lines costs to build, and to train from.

    python benchmarks/store.py [--lines 2000000] [--folder FOLDER] [--processes 2] [--steps 100] [--ids-only]

Writes two texts of so many lines together, builds a store of them by the program, and trains `tiny` on it:
in two processes of one thread at once, as two ranks do. Told: sizes, seconds, peak memory of each process,
time to the first step, the share of a step that it takes to plan and to make its batches, and whether a run
that was stopped in the middle of an epoch goes on to the same weights. With --ids-only the ids of the store
are drawn instead of cut from text, in a fraction of the time. What is in the folder already is taken as it
is.
"""

import argparse
import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread

import numpy as np
from report import machine

_AT_ONCE = 100_000
_SHARD = 50_000
_RECIPE = """\
data: {{kind: store, path: {store}}}
model: {{preset: tiny}}
training:
  steps: {steps}
  precision: fp32
  save_every: 2
  batching: {{tokens: 4096}}
  validation: {{every: 1000000, sentences: 10}}
"""


def main() -> None:
    """Read the arguments, measure, tell."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lines", type=int, default=2_000_000, help="of both texts together")
    parser.add_argument("--folder", type=Path, default=Path("runs/benchmark-store"))
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--ids-only", action="store_true")
    parser.add_argument("--train-only", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--resume-only", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.train_only:
        print(json.dumps(trained(asked.train_only, asked.steps)))
        return
    if asked.resume_only:
        print(json.dumps(resumed(asked.resume_only)))
        return
    asked.folder.mkdir(parents=True, exist_ok=True)
    print(machine(2))
    text = asked.folder / "some" if asked.ids_only else asked.folder
    began = time.perf_counter()
    write_text(text, 100_000 if asked.ids_only else asked.lines, asked.processes)
    size = sum((text / name).stat().st_size for name in ("source", "target"))
    print(f"text: {size / 1e9:.2f} GB, written in {time.perf_counter() - began:.0f} s", flush=True)
    build(text, asked.processes, size)
    if asked.ids_only:
        write_ids(text / "store", asked.folder / "store", asked.lines // 2)
    recipe = asked.folder / "tiny.yaml"
    recipe.write_text(_RECIPE.format(store=(asked.folder / "store").absolute(), steps=asked.steps))
    train(recipe, asked.steps)
    found = run([["--resume-only", str(recipe)]])[0]
    print(f"resumed in the middle of an epoch, at step {found['middle']:,}: same weights {found['same']}")


def write_text(folder: Path, lines: int, processes: int) -> None:
    """Sentences of 4 to 12 words, drawn by Zipf's law from made-up words, and the same words respelled."""
    if (folder / "source").exists() and (folder / "target").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    names = ("source", "target")
    with ProcessPoolExecutor(processes) as pool:
        files = [(folder / f"{name}.part").open("wb") for name in names]
        starts = range(0, lines // 2, _AT_ONCE)
        # Not all at once: what is written waits in memory.
        for group in (starts[first : first + 8] for first in range(0, len(starts), 8)):
            for parts in pool.map(made_up, group, (min(_AT_ONCE, lines // 2 - start) for start in group)):
                for file, part in zip(files, parts, strict=True):
                    file.write(part)
        for file in files:
            file.close()
    for name in names:
        (folder / f"{name}.part").rename(folder / name)


def made_up(start: int, lines: int) -> list[bytes]:
    """Two texts of so many lines, a function of the number of the first."""
    random = np.random.default_rng(0)
    syllables = ["ka", "lo", "mi", "ten", "sur", "ba", "ri", "on", "ves", "pa", "di", "gul", "ne", "fo"]
    words = ["".join(random.choice(syllables, random.integers(1, 5))) for _ in range(30_000)]
    share = 1 / (10 + np.arange(len(words)))
    bounds = np.cumsum(share / share.sum())
    random = np.random.default_rng([1, start])
    counts = random.integers(4, 13, lines)
    drawn = np.searchsorted(bounds, random.random(counts.sum())).clip(max=len(words) - 1)
    ends = np.cumsum(counts) - 1
    found = list[bytes]()
    for spelled in (words, [word[::-1] for word in words]):
        table = np.array([f"{word} " for word in spelled], dtype="S")
        letters = table.view(np.uint8).reshape(len(words), -1)
        sizes = np.char.str_len(table)
        text = letters[drawn]
        real = np.arange(text.shape[1]) < sizes[drawn][:, None]
        text[ends, sizes[drawn][ends] - 1] = ord("\n")
        found.append(text[real].tobytes())
    return found


def build(folder: Path, processes: int, size: int) -> None:
    """Build the store by the program, and tell what it took."""
    program = "from whyformer.cli.main import main; main()"
    command = [
        *(sys.executable, "-c", program, "data", "build", str(folder / "source")),
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
        f"store {stored / 1e9:.2f} GB; peak memory by process, MiB: {sorted(most.values(), reverse=True)}",
        flush=True,
    )


def write_ids(like: Path, store: Path, pairs: int) -> None:
    """A store of random ids, with the tokenizers and the held-out pairs of the one ``like``."""
    from whyformer.data.store.index import write_index
    from whyformer.data.store.manifest import COUNTS, HELD_OUT_FILE, Shard, StoreManifest, file_digest

    began = time.perf_counter()
    store.mkdir(exist_ok=True)
    example = StoreManifest.load(like)
    with suppress(Exception):
        write_index(store, StoreManifest.load(store))
        return
    shards, counts = list[Shard](), np.zeros((2, 8000), dtype=np.int64)
    for number, start in enumerate(range(0, pairs, _SHARD)):
        random = np.random.default_rng([2, number])
        lengths = random.integers(4, 32, (min(_SHARD, pairs - start), 2)).astype("<u2")
        tokens = random.integers(300, 8000, int(lengths.sum()), dtype="<u2")
        counts += np.bincount(tokens, minlength=8000) // 2
        np.save(store / f"{number:05}.tokens.npy", tokens)
        np.save(store / f"{number:05}.lengths.npy", lengths)
        files = [f"{number:05}.tokens.npy", f"{number:05}.lengths.npy"]
        hashes = {name: file_digest(store / name) for name in files}
        shards.append(Shard(f"{number:05}", len(lengths), len(tokens), {}, hashes))
    np.save(store / COUNTS, counts)
    others = {name for name in example.sha256 if name != COUNTS}
    for name in others:
        shutil.copy(like / name, store / name)
    hashes = {name: file_digest(store / name) for name in (*others, COUNTS)}
    manifest = StoreManifest("pairs", "drawn", example.tokenizers, shards, hashes)
    assert HELD_OUT_FILE in others
    manifest.save(store)
    wrote = time.perf_counter()
    write_index(store, manifest)
    size = sum(path.stat().st_size for path in store.iterdir())
    print(
        f"ids: {pairs:,} pairs, {sum(shard.tokens for shard in shards):,} tokens drawn in "
        f"{wrote - began:.0f} s; index in {time.perf_counter() - wrote:.0f} s; store {size / 1e9:.2f} GB; "
        f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MiB",
        flush=True,
    )


def run(arguments: list[list[str]]) -> list[dict[str, float]]:
    """What this script prints when it is run with each of the ``arguments`` at the same time."""
    threads = {"OMP_NUM_THREADS": "1" if len(arguments) > 1 else "2"}
    processes = [
        subprocess.Popen(
            [sys.executable, __file__, *each],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **threads},
        )
        for each in arguments
    ]
    return [json.loads(process.communicate()[0].splitlines()[-1]) for process in processes]


def train(recipe: Path, steps: int) -> None:
    """Train in two processes at once, and tell what it took in each."""
    for found in run([["--train-only", str(recipe), "--steps", str(steps)]] * 2):
        share = found["data"] / found["step"]
        print(
            f"train: the first step begins after {found['start']:.1f} s ({found['open']:.1f} s of it the "
            f"store and its hashes, {1000 * found['plan']:.1f} ms its plan); {1000 * found['step']:.1f} ms a "
            f"step, of which the plan and batches take {1000 * found['data']:.2f} ms ({share:.2%}), counted "
            f"{found['steps']} times; peak memory {found['peak']:,} MiB",
            flush=True,
        )


def trained(recipe: Path, steps: int) -> dict[str, float]:
    """Figures of a training, in this process."""
    began = time.perf_counter()
    import torch

    from whyformer.data.store.reader import TokenStore
    from whyformer.runs.train import start_run

    opening = [0.0]
    whole_opening = TokenStore.__init__

    def timed(self: TokenStore, path: Path) -> None:
        before = time.perf_counter()
        whole_opening(self, path)
        opening[0] += time.perf_counter() - before

    TokenStore.__init__ = timed
    trainer = start_run(
        str(recipe), [], recipe.parent / f"run{os.getpid()}", device="cpu", overwrite=True, say=_silent
    )
    before = time.perf_counter()
    plan = iter(trainer.batches.after(0, 0))
    group = next(plan)[2]
    planned = time.perf_counter() - before
    start = time.perf_counter() - began
    whole, data, counted = 0.0, 0.0, 0
    for number in range(1, steps + 1):
        begun = time.perf_counter()
        for indices in group:
            trainer.task.predicted(indices, 0)
            trainer.task.batch(indices, 0, torch.device("cpu"))
        made = time.perf_counter()
        following = next(plan)[2]
        planning = time.perf_counter()
        trainer.step.gradient(group, number, 0)
        trainer.step.update(number, steps)
        if number > steps // 10:
            # The step makes its batches by itself, too; so planning alone is added to it.
            whole += time.perf_counter() - made
            data += planning - begun
            counted += 1
        group = following
    trainer.lock.release()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    return {
        "start": start,
        "open": opening[0],
        "plan": planned,
        "step": whole / counted,
        "steps": counted,
        "data": data / counted,
        "peak": peak,
    }


def resumed(recipe: Path) -> dict[str, object]:
    """Whether four steps in the middle of an epoch, and twice two, lead to the same weights."""
    from whyformer.runs.train import resume_run, start_run

    def begun(name: str) -> object:
        trainer = start_run(
            str(recipe),
            ["training.steps=4"],
            recipe.parent / name,
            device="cpu",
            overwrite=True,
            say=_silent,
        )
        trainer.progress.position = trainer.steps_per_epoch // 2
        return trainer

    whole = begun("whole")
    middle = whole.progress.position
    whole.train()
    stopped = begun("stopped")
    update, left = stopped.step.update, [2]

    def until(step: int, total: int | None) -> float:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        return update(step, total)

    stopped.step.update = until
    with suppress(KeyboardInterrupt):
        stopped.train()
    stopped.lock.release()
    began = time.perf_counter()
    again = resume_run(recipe.parent / "stopped", [], device="cpu", say=_silent)
    seconds = time.perf_counter() - began
    assert again.progress.position == middle + 2
    again.train()
    one, two = (
        hashlib.sha256((recipe.parent / name / "model.safetensors").read_bytes()).hexdigest()
        for name in ("whole", "stopped")
    )
    weights = [[*trainer.model.parameters()] for trainer in (whole, again)]
    same = all(bool((a == b).all()) for a, b in zip(*weights, strict=True))
    return {"middle": middle, "same": same and one == two, "seconds": seconds}


def _silent(_line: str) -> None:
    pass


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
