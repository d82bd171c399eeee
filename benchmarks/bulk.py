"""Bulk translation: many files by a Ray cluster or by processes, beside one text by one process.

    python benchmarks/bulk.py RUN [--lines 100000] [--shards 50] [--by ray] [--processes 2] [--turns 1]
        [--kills 2] [--text FILE] [--folder runs/benchmark-bulk] [-- OPTIONS OF TRANSLATE]

Writes so many lines (dates in English, or FILE's lines again and again) as one text and as packed shards.
Then, in turns, `translate --file` with all cores and `translate --input` of all shards, each timed from the
start of the program to its end. At last all shards once more, while a worker is killed --kills times and the
driver once; the translations of that are compared with those of the one text, line by line.
"""

import argparse
import datetime
import gzip
import io
import itertools
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from report import machine

_PROGRAM = (sys.executable, "-c", "from whyformer.cli.main import main; main()")
_WORKERS = {"processes": "spawn_main", "ray": "MapWorker"}
"""What stands in the command line of a worker."""


def main() -> None:
    """Read the arguments, measure, tell."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("--text", type=Path)
    parser.add_argument("--folder", type=Path, default=Path("runs/benchmark-bulk"))
    parser.add_argument("--by", choices=[*_WORKERS], default="ray")
    for name, default in (("lines", 100_000), ("shards", 50), ("processes", 2), ("turns", 1), ("kills", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    own, options = sys.argv[1:], list[str]()
    if "--" in own:
        own, options = own[: own.index("--")], own[own.index("--") + 1 :]
    asked = parser.parse_args(own, argparse.Namespace(options=options))
    shutil.rmtree(asked.folder, ignore_errors=True)
    whole = write_text(asked)
    print(machine(asked.processes))
    print(f"{asked.lines:,} lines in {asked.shards:,} packed shards, {whole.stat().st_size / 1e6:,.1f} MB")
    print(
        "| turn | `translate`, all cores, lines/s | by " + asked.by + ", lines/s | ratio |\n|---|---|---|---|"
    )
    for turn in range(1, asked.turns + 1):
        alone = seconds(alone_command(asked, whole))
        shutil.rmtree(asked.folder / "out", ignore_errors=True)
        shared = seconds(shared_command(asked, asked.folder / "out"))
        rates = f"{asked.lines / alone:,.0f} | {asked.lines / shared:,.0f}"
        print(f"| {turn} | {rates} | {alone / shared:.3f} |", flush=True)
    out = asked.folder / "killed"
    kept, repeated = kill_and_go_on(asked, out)
    differing, lines = compare(asked.folder / "whole.out", out)
    print(
        f"{asked.kills} kills of a worker, one of the driver with {kept:,} shards done, {repeated:,} of them "
        f"written again; {lines:,} lines compared, {differing:,} differ"
    )


def write_text(asked: argparse.Namespace) -> Path:
    """The lines as one text, and as shards."""
    shards = asked.folder / "shards"
    shards.mkdir(parents=True)
    each, more = divmod(asked.lines, asked.shards)
    lines = dates() if asked.text is None else itertools.cycle(asked.text.read_text("utf-8").split("\n")[:-1])
    whole = asked.folder / "whole.txt"
    with whole.open("w", encoding="utf-8") as file:
        for number in range(asked.shards):
            text = "".join(f"{line}\n" for line in itertools.islice(lines, each + (number < more)))
            file.write(text)
            (shards / f"part-{number:04}.txt.gz").write_bytes(gzip.compress(text.encode(), 6))
    return whole


def dates() -> Iterator[str]:
    """All days from 1600 on, in words."""
    day = datetime.date(1600, 1, 1)
    while True:
        yield f"{day:%A, %B} {day.day}, {day.year}"
        day += datetime.timedelta(days=1)


def alone_command(asked: argparse.Namespace, whole: Path) -> list[str]:
    """The program on one text."""
    output = asked.folder / "whole.out"
    return [
        *(*_PROGRAM, "translate", str(asked.run), "--file", str(whole), "--output", str(output)),
        *asked.options,
    ]


def shared_command(asked: argparse.Namespace, to: Path) -> list[str]:
    """The program on all shards."""
    return [
        *(*_PROGRAM, "translate", str(asked.run), "--input", str(asked.folder / "shards" / "*.txt.gz")),
        *("--to", str(to), "--by", asked.by, "--processes", str(asked.processes), *asked.options),
    ]


def seconds(command: list[str]) -> float:
    """Duration of a command from its start to its end."""
    began = time.perf_counter()
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return time.perf_counter() - began


def kill_and_go_on(asked: argparse.Namespace, out: Path) -> tuple[int, int]:
    """All shards with kills: number of those that were done when the driver died, and were written again."""
    process = subprocess.Popen(shared_command(asked, out), stdin=subprocess.DEVNULL)
    for number in range(asked.kills):
        wanted = asked.shards * (number + 1) // (asked.kills + 3)
        await_all(process, lambda wanted=wanted: len(done(out)) >= wanted and any(workers(process, asked.by)))
        os.kill(next(workers(process, asked.by)), signal.SIGKILL)
    wanted = asked.shards * (asked.kills + 1) // (asked.kills + 3)
    await_all(process, lambda: len(done(out)) >= wanted)
    process.kill()
    process.wait()
    time.sleep(5)
    before = done(out)
    subprocess.run(shared_command(asked, out), check=True, stdin=subprocess.DEVNULL)
    after = done(out)
    return len(before), sum(after[name] != state for name, state in before.items())


def await_all(process: "subprocess.Popen[bytes]", holds: Callable[[], bool]) -> None:
    """Wait for something while a process runs."""
    while not holds():
        if process.poll() is not None:
            raise SystemExit(f"the program has ended with {process.returncode} before it could be killed")
        time.sleep(0.1)


def done(out: Path) -> dict[str, tuple[int, int]]:
    """The translations that are there, with what changes when one is written anew."""
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in out.glob("part-*")}


def workers(process: "subprocess.Popen[bytes]", by: str) -> Iterator[int]:
    """The processes that translate for a driver."""
    parents = dict[int, list[int]]()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        parents.setdefault(parent, []).append(int(stat.parent.name))
    rest = [process.pid]
    while rest:
        for child in parents.get(rest.pop(), []):
            rest.append(child)
            try:
                command = (Path("/proc") / str(child) / "cmdline").read_text()
            except OSError:
                continue
            if _WORKERS[by] in command:
                yield child


def compare(whole: Path, out: Path) -> tuple[int, int]:
    """Number of lines that differ between one translation and those of all shards in order, and of all."""
    parts = (
        line for path in sorted(out.glob("part-*")) for line in io.BytesIO(gzip.decompress(path.read_bytes()))
    )
    with whole.open("rb") as file:
        pairs = itertools.zip_longest(file, parts)
        equal = [one == other for one, other in pairs]
    return equal.count(False), len(equal)


if __name__ == "__main__":
    main()
