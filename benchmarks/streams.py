"""How many live streams of speech a core keeps up with: time of a chunk, its parts, memory of a stream.

    taskset -c 0 python benchmarks/streams.py [RUN] [--recipe digits] [--chunks 160ms 320ms 640ms] [--left 4]
        [--streams 50 100 200 300 400] [--seconds 40] [--packet 20ms] [--together] [--apart]

RUN is a trained run of speech; without one, a model with fresh weights is made by the recipe. Streams are
strings of held-out sounds, one after another. They arrive in real time, on a clock that only arrivals and
computing move on (see live.py): in lockstep, all chunks at a time; or apart, each stream at its own phase,
and the pool steps every 20 ms. The delay of a chunk runs from the arrival of its last sample until its words
are there, so it holds waiting for others, too. A row keeps up if the 99th percentile of the delay is below
the duration of a chunk. Words of some streams are compared with those of each of them alone.

On a machine that others use, --processor counts the processor's time instead of the clock's: no measurement
of an idle core, but near it. "processor ours" says how much of the time the process had a core.
"""

import argparse
import gc
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from live import Pace, Played, Samples, alone, listener_of, play, streams_of
from report import Spread, bars, machine, publish

from whyformer.machine import keep_freed_memory
from whyformer.tasks.speech.listener import Listener
from whyformer.tasks.streaming.latency import percentile
from whyformer.tasks.streaming.settings import StreamSettings, duration_milliseconds

TICK = 0.02
"""Seconds from a step of the pool to the next, where streams are apart."""
WARM_CHUNKS = 6
"""First chunks of each stream whose delays do not count: caches fill, memory is taken for the first time."""
CHECKED = 6
"""Streams whose words are compared with those of each alone."""
PUBLISHED = (
    "sherpa-onnx as published (its documentation; one thread of a laptop, another machine, larger models): "
    "real-time factor 0.028 with 14 M parameters in int8, 0.038 with 20 M, 0.062 with 66 M, so 26 to 35 "
    "streams a core; benchmarks/sherpa.py measures it here with a model of this architecture"
)


def main() -> None:
    """Measure and publish."""
    asked = arguments()
    torch.set_num_threads(1)
    keep_freed_memory()
    listener, sounds = listener_of(asked.run, asked.recipe)
    # As in a service: what stays for good is not looked through again and again.
    gc.freeze()
    about = machine(1) | {
        "model": f"{sum(p.numel() for p in listener.model.parameters()):,} parameters, "
        f"{asked.run or 'fresh weights of ' + asked.recipe}",
        "cores": f"{len(os.sched_getaffinity(0))} of the process",
    }
    modes = [name for name in ("together", "apart") if getattr(asked, name)] or ["together", "apart"]
    rows, figures = list[dict[str, str]](), list[dict[str, Any]]()
    for chunk in asked.chunks:
        for mode in modes:
            for count in asked.streams:
                figure = measured(listener, chunk, sounds, count, mode == "apart", asked)
                figures.append({"chunk": chunk, "mode": mode, "streams": count, **figure})
                rows.append(row(figures[-1]))
                print(rows[-1], flush=True)
    for chunk in asked.chunks:
        for mode in modes:
            most = most_streams([f for f in figures if (f["chunk"], f["mode"]) == (chunk, mode)])
            about[f"most streams, {chunk} {mode}"] = str(most)
    about["beside it"] = PUBLISHED
    delays = [
        (f"ours {f['chunk']} {f['mode']} {f['streams']}", Spread(f["p50"], f["p50"], f["p99"]))
        for f in figures
    ]
    chart = bars(delays, "seconds until the words of a chunk: p50, line to p99", "Live streams on one core")
    publish("streams", about, rows, figures, chart)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", nargs="?", type=Path)
    parser.add_argument("--recipe", default="digits")
    parser.add_argument("--chunks", nargs="+", default=["160ms", "320ms", "640ms"])
    parser.add_argument("--left", default="4")
    parser.add_argument("--streams", nargs="+", type=int, default=[50, 100, 200, 300, 400])
    parser.add_argument("--seconds", type=float, default=40.0, help="of each stream")
    parser.add_argument("--packet", help="duration of what arrives together, as 20ms; a chunk if left out")
    parser.add_argument("--rows", type=int, default=256, help="most streams in a batch")
    parser.add_argument(
        "--processor",
        action="store_true",
        help="count the processor's time, where others work on the machine",
    )
    parser.add_argument("--together", action="store_true", help="only streams in lockstep")
    parser.add_argument("--apart", action="store_true", help="only streams out of step")
    return parser.parse_args()


def measured(
    listener: Listener,
    duration: str,
    sounds: Sequence[Samples],
    count: int,
    apart: bool,
    asked: argparse.Namespace,
) -> dict[str, Any]:
    """Figures of ``count`` streams in chunks of a ``duration``."""
    rate, seconds = listener.features.rate, duration_seconds(duration)
    settings = listener.settings.with_chunks(duration, asked.left)
    chunk = round(rate * seconds)
    streams = streams_of(sounds, count, int(rate * asked.seconds) // chunk * chunk, seed=count)
    random = np.random.default_rng(count)
    phases = [int(random.integers(chunk)) if apart else 0 for _ in streams]
    pool = listener.pool(settings, asked.rows)
    packet = chunk if asked.packet is None else round(rate * duration_seconds(asked.packet))
    pace = Pace(rate, chunk, packet, round(TICK * rate) if apart else chunk)
    clock = time.process_time if asked.processor else time.perf_counter
    played = play(pool, streams, phases, pace, clock)
    warm = played.delays[WARM_CHUNKS * count :] or played.delays
    right = agreeing(listener, settings, streams, played, rate)
    return {
        "p50": percentile(warm, 50),
        "p99": percentile(warm, 99),
        "longest": max(warm),
        "chunk_seconds": seconds,
        "kept_up": played.kept_up and percentile(warm, 99) < seconds,
        "busy": played.computing * count / played.audio,
        "real_time_factor": played.computing / played.audio,
        "own": played.worked / played.passed,
        "parts": {name: part / played.computing for name, part in played.parts.items()},
        "bytes": played.bytes,
        "checked": min(CHECKED, count),
        "right": right,
    }


def duration_seconds(text: str) -> float:
    """The seconds that ``text`` says, as 320ms."""
    milliseconds = duration_milliseconds(text)
    if milliseconds is None:
        raise SystemExit("a whole signal at once is no live stream; write a duration, as 320ms.")
    return milliseconds / 1000


def agreeing(
    listener: Listener, settings: StreamSettings, streams: Sequence[Samples], played: Played, rate: int
) -> int | None:
    """How many of the first streams say what they say alone, at the same times; None if one was not over."""
    if not played.kept_up:
        return None
    pairs = zip(streams[:CHECKED], played.finals, strict=False)
    return sum(
        [each.words for each in alone(listener, settings, sound, rate)] == [each.words for each in finals]
        for sound, finals in pairs
    )


def row(figure: dict[str, Any]) -> dict[str, str]:
    """The figures as a row of the table."""
    parts = {name: f"{100 * share:.0f}%" for name, share in figure["parts"].items()}
    return {
        "chunk": figure["chunk"],
        "streams": f"{figure['streams']} {figure['mode']}",
        "p50 ms": f"{1000 * figure['p50']:.0f}",
        "p99 ms": f"{1000 * figure['p99']:.0f}",
        "longest ms": f"{1000 * figure['longest']:.0f}",
        "keeps up": "yes" if figure["kept_up"] else "no",
        "core busy": f"{100 * figure['busy']:.0f}%",
        "real-time factor": f"{figure['real_time_factor']:.5f}",
        **parts,
        "KB a stream": f"{figure['bytes'] / 1024:.0f}",
        "as alone": "-" if figure["right"] is None else f"{figure['right']} of {figure['checked']}",
        "processor ours": f"{100 * figure['own']:.0f}%",
    }


def most_streams(figures: Sequence[dict[str, Any]]) -> str:
    """The most streams of ``figures`` up to which all kept up, in words."""
    most = 0
    for figure in sorted(figures, key=lambda each: each["streams"]):
        if not figure["kept_up"]:
            return f"{most}, not {figure['streams']}"
        most = figure["streams"]
    return f"at least {most}"


if __name__ == "__main__":
    main()
