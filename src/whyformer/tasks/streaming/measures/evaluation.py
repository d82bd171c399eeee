"""Evaluation of streaming recognisers: errors, the four latencies, and what a stream costs.

Signals are fed chunk by chunk to sessions that run side by side, as a service would.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple

import torch
from typing_extensions import override

from whyformer.tasks.streaming.measures.error_rate import ErrorRate, right_words, word_error_rate
from whyformer.tasks.streaming.measures.latency import AlgorithmicLatency, Delays, percentile
from whyformer.tasks.streaming.pool import SessionPool
from whyformer.tasks.streaming.session import Session
from whyformer.tasks.streaming.transcript import Transcript, joined_transcripts
from whyformer.tasks.task import Metrics


class Reference(NamedTuple):
    """Truth about a signal: the words that are said in it."""

    words: tuple[str, ...]
    ends: tuple[float, ...] | None
    """Time in seconds at which each word is over; None where nobody knows."""


class Fed(NamedTuple):
    """A signal to be fed in pieces, and what is said in it."""

    name: str
    pieces: Sequence[Any]
    """Pieces of the duration of a chunk; the last may be shorter."""
    reference: Reference


@dataclass(frozen=True)
class Cost:
    """Work and memory of streams."""

    audio: float
    """Seconds of signal that were recognised."""
    computing: float
    """Seconds of computing, from samples to words: front end, network and search."""
    threads: int
    """Most cores that computing took; the front end and the search take one of them."""
    rounds: tuple[float, ...]
    """Seconds that each round of one chunk for every running stream took."""
    bytes: int
    """Most memory that a stream took: its share of the caches, and frames that waited for their chunk."""
    side_by_side: int
    """Most streams that ran at a time."""

    @property
    def real_time_factor(self) -> float:
        """Seconds of computing for a second of one stream, in batches of at most ``side_by_side``."""
        return self.computing / self.audio if self.audio else 0.0

    @property
    def streams_per_core(self) -> float:
        """Streams that would keep one core just busy, at that batch size; rather more, as not all is threaded."""
        return self.audio / (self.computing * self.threads) if self.computing else 0.0


@dataclass(frozen=True)
class StreamingMetrics(Metrics):
    """Quality of a streaming recogniser on one set, for one size of chunks."""

    chunks: str
    """Chunks, as the command line writes them."""
    signals: int
    rate: ErrorRate
    algorithmic: AlgorithmicLatency
    emission: Delays | None
    """Emission delay of words that were recognised right: from the true end of a word to the stream time
    since when it stood in the transcript. Below 0 where a word is recognised before it is over."""
    cost: Cost
    transcripts: tuple[tuple[str, Reference, Transcript], ...] = field(repr=False, default=())

    @property
    def exact(self) -> float:
        """Share of the signals that were recognised without an error."""
        right = sum(
            said.words == tuple(word.text for word in heard.words) for _, said, heard in self.transcripts
        )
        return right / self.signals

    @property
    @override
    def figures(self) -> dict[str, float]:
        figures = {"wer": 100 * self.rate.rate, "exact": 100 * self.exact}
        if self.emission is not None:
            figures |= {f"delay_p{share}": getattr(self.emission, f"p{share}") for share in (50, 90, 99)}
        return {**figures, "real_time_factor": self.cost.real_time_factor}

    @override
    def record(self, examples: int = 0) -> dict[str, object]:
        return {
            "chunks": self.chunks,
            "signals": self.signals,
            "words": self.rate.units,
            "substitutions": self.rate.substitutions,
            "deletions": self.rate.deletions,
            "insertions": self.rate.insertions,
            "wer_interval": [100 * self.rate.low, 100 * self.rate.high],
            "latency": {
                **self.algorithmic.record(),
                "emission": None if self.emission is None else self.emission.record(),
            },
            "bytes_per_stream": self.cost.bytes,
            "streams_per_core": self.cost.streams_per_core,
            "side_by_side": self.cost.side_by_side,
            "round_p50": percentile(self.cost.rounds, 50) if self.cost.rounds else None,
            "round_p99": percentile(self.cost.rounds, 99) if self.cost.rounds else None,
            **self.figures,
        }

    @override
    def outputs(self) -> Iterator[dict[str, object]]:
        for name, reference, transcript in self.transcripts:
            yield {"name": name, "reference": " ".join(reference.words), **transcript.record()}

    @override
    def lines(self, name: str, examples: int = 0) -> Iterator[str]:
        rate, cost, wait = self.rate, self.cost, self.algorithmic
        low, high = 100 * rate.low, 100 * rate.high
        yield f"{name}: {self.signals:,} signals, {rate.units:,} words; chunks of {self.chunks}"
        yield (
            f"  word error rate     {100 * rate.rate:.2f}% [{low:.2f}, {high:.2f}]: "
            f"{rate.substitutions} wrong, {rate.deletions} missed, {rate.insertions} too many"
        )
        if wait.chunk is None:
            yield "  algorithmic latency without bound: no word before the end of the signal"
        else:
            yield (
                f"  algorithmic latency {1000 * wait.maximum:.0f} ms at most, "
                f"{1000 * wait.mean:.0f} ms on average"
            )
        yield f"  look-ahead          {1000 * wait.look_ahead:.1f} ms, part of that"
        if self.emission is not None:
            p50, p90, p99 = (1000 * x for x in (self.emission.p50, self.emission.p90, self.emission.p99))
            yield f"  emission delay      {p50:.0f} ms (p50), {p90:.0f} ms (p90), {p99:.0f} ms (p99)"
        yield (
            f"  real-time factor    {cost.real_time_factor:.4f}, {cost.side_by_side} streams side by side: "
            f"{cost.streams_per_core:,.0f} streams a core"
        )
        yield f"  memory of a stream  {cost.bytes / 1024:,.1f} KB"
        yield from self._examples(examples)

    def _examples(self, count: int) -> Iterator[str]:
        wrong = [each for each in self.transcripts if each[1].words != tuple(w.text for w in each[2].words)]
        for _, reference, transcript in wrong[:count]:
            yield f"    said: {' '.join(reference.words)}"
            yield f"    read: {transcript.text}"


@dataclass
class _Running:
    """A signal that is being fed."""

    index: int
    session: Session
    pieces: Iterator[Any]


def feed_side_by_side(
    pool: SessionPool[Session],
    open_session: Callable[[str], Session],
    signals: Sequence[Fed],
    rows: int,
    advance: Callable[[int], None] = lambda _: None,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[list[Transcript], Cost]:
    """Transcripts of ``signals``, and their cost: ``rows`` run side by side, a piece each a round.

    Work is measured by ``clock``, in seconds.
    """
    transcripts: dict[int, Transcript] = {}
    waiting = iter(enumerate(signals))
    running: list[_Running] = []
    audio, most, rounds, side_by_side = 0.0, 0, list[float](), 0
    while True:
        for index, signal in islice(waiting, rows - len(running)):
            running.append(_Running(index, open_session(signal.name), iter(signal.pieces)))
        if not running:
            break
        side_by_side = max(side_by_side, len(running))
        began = clock()
        for each in running:
            piece = next(each.pieces, None)
            if piece is None:
                each.session.end()
            else:
                each.session.push(piece)
        taken = clock() - began
        # A stream is fullest before its frames are computed, or after that, while its caches still fill.
        most = max(most, *(each.session.stream.bytes for each in running))
        began = clock()
        # What a round brings may be more than a chunk, where a resampler lets go of what it held back.
        for _ in pool.drain():
            pass
        rounds.append(taken + clock() - began)
        most = max(most, *(each.session.stream.bytes for each in running))
        for each in running:
            if each.session.ended:
                transcripts[each.index] = joined_transcripts(each.session.finals)
                audio += each.session.heard
                advance(1)
        running = [each for each in running if not each.session.ended]
    cost = Cost(audio, sum(rounds), torch.get_num_threads(), tuple(rounds), most, side_by_side)
    return [transcripts[index] for index in range(len(signals))], cost


def streaming_metrics(
    chunks: str,
    algorithmic: AlgorithmicLatency,
    signals: Sequence[Fed],
    transcripts: Sequence[Transcript],
    cost: Cost,
) -> StreamingMetrics:
    """Metrics of what ``transcripts`` say of ``signals``."""
    rate = word_error_rate(
        [" ".join(signal.reference.words) for signal in signals], [found.text for found in transcripts]
    )
    delays = [
        delay
        for signal, found in zip(signals, transcripts, strict=True)
        for delay in emission_delays(signal.reference, found)
    ]
    outputs = tuple(
        (signal.name, signal.reference, found) for signal, found in zip(signals, transcripts, strict=True)
    )
    return StreamingMetrics(
        chunks, len(signals), rate, algorithmic, Delays.of(delays), cost, transcripts=outputs
    )


def emission_delays(reference: Reference, found: Transcript) -> list[float]:
    """Seconds from the true end of each word that was recognised right until it was shown for good."""
    if reference.ends is None:
        return []
    right = right_words(reference.words, [word.text for word in found.words])
    return [found.words[theirs].shown - reference.ends[ours] for ours, theirs in right]
