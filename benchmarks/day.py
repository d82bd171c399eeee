"""A day of sound through one session: memory and time of a chunk, hour by hour.

    taskset -c 0 python benchmarks/day.py [RUN] [--recipe digits] [--hours 24] [--chunk 320ms] [--left 4]
        [--search greedy prefix_beam]

RUN is a trained run of speech; without one, a model with fresh weights is made by the recipe. The session
is fed held-out sounds one after another, as fast as it can take them, with endpoint rules that end a segment
in a pause, and its finished segments are taken out after each chunk, as whoever listens for days does. Time
is that of the processor, so that other work on the machine hardly counts; memory is what the process holds at
the end of an hour. The first minutes are not counted: caches fill, and memory is taken for the first time.
"""

import argparse
import gc
import os
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from live import Samples, listener_of
from report import Spread, bars, machine, publish

from whyformer.decoding.ctc.endpoint import patient_rules
from whyformer.decoding.ctc.search import CTCGreedySpec, CTCPrefixBeamSpec
from whyformer.machine import keep_freed_memory
from whyformer.tasks.speech.listener import Listener
from whyformer.tasks.streaming.settings import StreamSettings

SEARCHES = {"greedy": CTCGreedySpec(), "prefix_beam": CTCPrefixBeamSpec()}
WARM_SECONDS = 300.0


class Hour(NamedTuple):
    """Figures of an hour of sound."""

    chunk: float
    """Seconds of a chunk, the median."""
    total: float
    """Seconds of all chunks."""
    memory: int
    """Bytes that the process holds at its end."""
    state: int
    """Bytes of the stream's caches and waiting frames."""
    words: int


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", nargs="?", type=Path)
    parser.add_argument("--recipe", default="digits")
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--chunk", default="320ms")
    parser.add_argument("--left", default="4")
    parser.add_argument("--search", nargs="+", choices=SEARCHES, default=[*SEARCHES])
    asked = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    listener, sounds = listener_of(asked.run, asked.recipe)
    # As in a service: what stays for good is not looked through again and again.
    gc.freeze()
    about = machine(1) | {"model": str(asked.run or f"fresh weights of {asked.recipe}")}
    rows, figures = list[dict[str, str]](), dict[str, list[Hour]]()
    for search in asked.search:
        settings = replace(
            listener.settings.with_chunks(asked.chunk, asked.left),
            search=SEARCHES[search],
            endpoint=patient_rules(),
        )
        hours = figures[search] = listen(listener, settings, sounds, asked.hours)
        rows += [row(search, index, hour) for index, hour in enumerate(hours)]
        about[f"{search}, {asked.chunk}, from the lowest to the highest hour"] = (
            f"time of a chunk {change([hour.chunk for hour in hours])}, "
            f"memory {change([hour.memory for hour in hours])}"
        )
    chart = bars(
        [
            (f"ours {name}", Spread.of([1000 * hour.chunk for hour in hours]))
            for name, hours in figures.items()
        ],
        "milliseconds of a chunk, each hour",
        f"{asked.hours:g} hours of sound",
    )
    publish("day", about, rows, figures, chart)


def listen(
    listener: Listener, settings: StreamSettings, sounds: Sequence[Samples], hours: float
) -> list[Hour]:
    """Figures of each of so many ``hours`` (the last may be a part) of ``sounds``, one after another."""
    rate, milliseconds = listener.features.rate, settings.chunks.milliseconds
    assert milliseconds is not None, "chunks have a duration"
    session = listener.open(rate, settings=settings)
    pieces = endless(sounds, round(rate * milliseconds / 1000))
    each = milliseconds / 1000
    for _ in range(round(WARM_SECONDS / each)):
        _ = session.feed(next(pieces))
        session.finals.clear()
    found: list[Hour] = []
    left = round(3600 * hours / each)
    while left:
        count = min(left, round(3600 / each))
        times = np.zeros(count)
        words = 0
        for index in range(count):
            piece = next(pieces)
            began = time.process_time()
            _ = session.feed(piece)
            times[index] = time.process_time() - began
            words += sum(len(final.words) for final in session.finals)
            session.finals.clear()
        left -= count
        gc.collect()
        hour = Hour(
            statistics.median(times.tolist()), float(times.sum()), resident(), session.stream.bytes, words
        )
        found.append(hour)
        print(row(settings.search.kind, len(found) - 1, hour), flush=True)
    return found


def endless(sounds: Sequence[Samples], size: int) -> Iterator[Samples]:
    """Pieces (size,) of ``sounds``, one after another in an order that is drawn anew each time."""
    random = np.random.default_rng(0)
    rest = np.zeros(0, np.float32)
    while True:
        while len(rest) < size:
            rest = np.concatenate([rest, sounds[int(random.integers(len(sounds)))]])
        yield rest[:size]
        rest = rest[size:]


def resident() -> int:
    """Bytes of memory that this process holds."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def row(search: str, index: int, hour: Hour) -> dict[str, str]:
    """The figures as a row of the table."""
    return {
        "search": search,
        "hour": str(index + 1),
        "ms a chunk": f"{1000 * hour.chunk:.3f}",
        "s an hour": f"{hour.total:.1f}",
        "memory MB": f"{hour.memory / 2**20:.1f}",
        "state KB": f"{hour.state / 1024:.1f}",
        "words": f"{hour.words:,}",
    }


def change(values: Sequence[float]) -> str:
    """How far ``values`` lie from their median, in per cent."""
    middle = statistics.median(values)
    return f"{100 * (min(values) / middle - 1):+.2f}% to {100 * (max(values) / middle - 1):+.2f}%"


if __name__ == "__main__":
    main()
