"""Live streams for measurements: sounds that arrive in real time, on a clock that computing moves on.

Sounds arrive at the times at which they would; what is computed takes the time that it really takes; waiting
takes none. So a minute of many streams is measured in the seconds that they compute.
"""

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, cast
from unittest import mock

import numpy as np
import torch
from numpy.typing import NDArray

from whyformer.models.streaming.encoder import EncoderState
from whyformer.runs.load import load_as, open_run
from whyformer.runs.registry import load_any, task_of
from whyformer.tasks.recipe import require_data
from whyformer.tasks.speech.listener import Listener, ListeningPool, ListeningSession, SpeechAssets
from whyformer.tasks.speech.task import SpeechRecipe
from whyformer.tasks.streaming.settings import StreamSettings
from whyformer.tasks.streaming.transcript import Transcript

Samples = NDArray[np.float32]

HOPELESS = 10
"""Chunks by which a pool may be late before the measurement is given up."""


@dataclass
class Played:
    """Measurements of streams that ran side by side."""

    delays: list[float] = field(default_factory=list[float])
    """Seconds from the arrival of a chunk's last sample until the words of that stream are there."""
    audio: float = 0.0
    """Seconds of sound that all streams brought."""
    computing: float = 0.0
    """Seconds of computing, by the clock of the measurement."""
    passed: float = 0.0
    """Seconds that passed meanwhile."""
    worked: float = 0.0
    """Seconds of the processor meanwhile; fewer than passed, if others used it, too."""
    parts: dict[str, float] = field(default_factory=dict[str, float])
    """Seconds of ``computing`` by part."""
    bytes: int = 0
    """Most that a stream's caches and waiting frames took."""
    kept_up: bool = True
    finals: list[list[Transcript]] = field(default_factory=list[list[Transcript]])
    """Transcripts of each stream."""


class Pace(NamedTuple):
    """Times at which sound arrives and a pool steps, in samples."""

    rate: int
    """Samples per second."""
    chunk: int
    packet: int
    """Samples that arrive together; a divisor of the chunk."""
    tick: int
    """From a step of the pool to the next, unless a step takes longer."""


class PartTimes:
    """Seconds spent in functions while they are watched."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.seconds: dict[str, float] = {}
        self._clock = clock

    def of(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """``function``, whose time counts for ``name``."""

        def timed(*arguments: Any, **named: Any) -> Any:
            began = self._clock()
            try:
                return function(*arguments, **named)
            finally:
                self.seconds[name] = self.seconds.get(name, 0.0) + self._clock() - began

        return timed


@contextmanager
def watched(pool: ListeningPool, times: PartTimes) -> Generator[None]:
    """Time the pool's parts: joining of states, network, and both with what is around them (``batch``)."""
    recognizer = pool.recognizer
    with (
        mock.patch.object(EncoderState, "join", times.of("join", EncoderState.join)),
        mock.patch.object(recognizer.model, "forward", times.of("network", recognizer.model.forward)),
        mock.patch.object(recognizer, "advance", times.of("batch", recognizer.advance)),
    ):
        yield


def play(
    pool: ListeningPool,
    sounds: Sequence[Samples],
    phases: Sequence[int],
    pace: Pace,
    clock: Callable[[], float] = time.perf_counter,
) -> Played:
    """Let ``sounds`` (n,) arrive.

    Args:
        pool: of the streams.
        sounds: of the streams, whole chunks each.
        phases: samples by which each stream is late.
        pace: of arrivals and steps.
        clock: by which computing takes time.
    """
    rate, chunk, packet, tick = pace
    played, times = Played(), PartTimes(clock)
    sessions = [pool.open(rate, f"stream {index}") for index in range(len(sounds))]
    arrivals = sorted(
        (phase + end, index, end)
        for index, (phase, sound) in enumerate(zip(phases, sounds, strict=True))
        for end in range(packet, len(sound) + 1, packet)
    )
    now, place, steps = 0.0, 0, dict[str, float]()
    with watched(pool, times):
        while place < len(arrivals):
            # Seconds on the clock: the next tick behind an arrival, unless the last step is not over then.
            now = max(now, -(-arrivals[place][0] // tick) * tick / rate)
            stop = place
            while stop < len(arrivals) and arrivals[stop][0] <= now * rate + 1e-6:
                stop += 1
            due, place = arrivals[place:stop], stop
            began, passed, worked = clock(), time.perf_counter(), time.process_time()
            for _, index, end in due:
                sessions[index].push(sounds[index][end - packet : end])
            pushed = clock()
            fullest = max(sessions[index].stream.bytes for _, index, _ in due)
            drained = clock()
            for _ in pool.drain():
                pass
            ended = clock()
            played.worked += time.process_time() - worked
            played.passed += time.perf_counter() - passed
            steps["front"] = steps.get("front", 0.0) + pushed - began
            steps["pool"] = steps.get("pool", 0.0) + ended - drained
            now += pushed - began + ended - drained
            played.delays += [now - arrival / rate for arrival, _, end in due if end % chunk == 0]
            played.audio += len(due) * packet / rate
            played.bytes = max(played.bytes, fullest, *(sessions[index].stream.bytes for _, index, _ in due))
            if now - due[0][0] / rate > HOPELESS * chunk / rate:
                played.kept_up = False
                break
    played.finals = ended_words(pool, sessions)
    played.computing, seconds = steps["front"] + steps["pool"], times.seconds
    played.parts = {
        "front end": steps["front"],
        "joining": seconds["join"],
        "network": seconds["network"],
        "batching": seconds["batch"] - seconds["join"] - seconds["network"],
        "search and words": steps["pool"] - seconds["batch"],
    }
    return played


def ended_words(pool: ListeningPool, sessions: Sequence[ListeningSession]) -> list[list[Transcript]]:
    """Transcripts of ``sessions``, which are over by this."""
    for session in sessions:
        session.end()
    for _ in pool.drain():
        pass
    return [session.finals for session in sessions]


def alone(listener: Listener, settings: StreamSettings, sound: Samples, rate: int) -> list[Transcript]:
    """The transcripts of ``sound`` (n,), listened to by itself, all at once."""
    session = listener.open(rate, settings=settings)
    _ = session.feed(sound)
    _ = session.finish()
    return session.finals


def streams_of(sounds: Sequence[Samples], count: int, length: int, seed: int) -> list[Samples]:
    """As many streams (length,) of some ``sounds``, each in its own order."""
    random = np.random.default_rng(seed)
    found: list[Samples] = []
    for _ in range(count):
        parts, total = list[Samples](), 0
        while total < length:
            parts.append(sounds[int(random.integers(len(sounds)))])
            total += len(parts[-1])
        found.append(np.concatenate(parts)[:length])
    return found


def listener_of(run: Path | None, recipe: str) -> tuple[Listener, list[Samples]]:
    """A listener and sounds for it: of a trained run, or with fresh weights by a recipe."""
    if run is not None:
        spec = cast("SpeechRecipe", open_run(run).recipe)
        listener = load_as(Listener, run)
    else:
        spec = cast("SpeechRecipe", load_any(recipe))
        torch.manual_seed(0)
        prepared = task_of(spec).prepare(spec, None)
        assets = cast("SpeechAssets", prepared.assets)
        listener = Listener(cast("Any", prepared.build()), spec.features, assets, spec.settings)
    data = require_data(spec.data)
    sounds = [sound for name in data.test_names for sound in data.held_out(name, spec.features)]
    return listener, [sound.samples for sound in sounds]
