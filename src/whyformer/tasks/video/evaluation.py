"""Evaluation of a watcher: videos are streamed to it chunk by chunk, many side by side."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import cast

from typing_extensions import override

from whyformer.data.video.front import Frames
from whyformer.data.video.moving_digits import NO_DIGIT, DigitVideo
from whyformer.tasks.streaming.measures.evaluation import (
    Fed,
    Reference,
    StreamingMetrics,
    feed_side_by_side,
    streaming_metrics,
)
from whyformer.tasks.streaming.pool import SessionPool
from whyformer.tasks.streaming.session import Session
from whyformer.tasks.streaming.settings import StreamSettings
from whyformer.tasks.task import EvaluationOptions
from whyformer.tasks.video.data import NamedVideo
from whyformer.tasks.video.watcher import Watcher, WatchingSession

_WHOLE_PIECE = 10
"""Pictures of the pieces in which a video comes where the whole of it is one chunk."""


@dataclass(frozen=True)
class LabelCounts:
    """Labels of a set of videos."""

    right_frames: int
    """Encoder frames whose label is right."""
    frames: int
    right_chunks: int
    """Chunks whose label is right: that of the digit of which most is seen in them."""
    chunks: int
    """0 where a whole video is one chunk, which shows many digits."""

    @staticmethod
    def of(sessions: Sequence[WatchingSession], videos: Sequence[DigitVideo], stride: int) -> "LabelCounts":
        """The labels of ``sessions`` compared with the ``videos`` that they saw."""
        counts = [0, 0, 0, 0]
        for session, video in zip(sessions, videos, strict=True):
            seen = [label for chunk in session.labels for label in chunk.frames]
            counts[0] += _right(seen, video.labels(stride))
            counts[1] += len(seen)
            size = session.stream.piece
            if size is not None:
                counts[2] += _right([chunk.label for chunk in session.labels], video.labels(size))
                counts[3] += len(session.labels)
        return LabelCounts(*counts)


def _right(found: Sequence[str | None], true: Sequence[int]) -> int:
    said = [None if label == NO_DIGIT else str(label) for label in true]
    return sum(ours == theirs for ours, theirs in zip(found, said, strict=True))


@dataclass(frozen=True)
class WatchingMetrics(StreamingMetrics):
    """Quality of a watcher on one set, for one size of chunks: of its events, and of its labels."""

    labels: LabelCounts | None = None

    @staticmethod
    def joining(metrics: StreamingMetrics, labels: LabelCounts) -> "WatchingMetrics":
        """``metrics`` of the events, with those of the ``labels``."""
        return WatchingMetrics(
            **{each.name: getattr(metrics, each.name) for each in fields(metrics)}, labels=labels
        )

    @property
    @override
    def figures(self) -> dict[str, float]:
        found = super().figures
        if self.labels is not None:
            found["labels"] = 100 * self.labels.right_frames / self.labels.frames
            if self.labels.chunks:
                found["chunk_labels"] = 100 * self.labels.right_chunks / self.labels.chunks
        return found

    @override
    def lines(self, name: str, examples: int = 0) -> Iterator[str]:
        yield from super().lines(name)
        if self.labels is not None:
            right = f"{self.figures['labels']:.2f}% of {self.labels.frames:,} frames"
            if self.labels.chunks:
                right += f", {self.figures['chunk_labels']:.2f}% of {self.labels.chunks:,} chunks"
            yield f"  labels right        {right}"
        yield from self._examples(examples)


def evaluate_watcher(
    watcher: Watcher,
    videos: Sequence[NamedVideo],
    settings: StreamSettings,
    options: EvaluationOptions,
    name: str,
) -> WatchingMetrics:
    """Metrics of ``watcher`` on ``videos``, streamed in the chunks of ``settings``."""
    pool = watcher.pool(settings, options.batch)
    rate, size = watcher.frames.rate, pool.recognizer.piece or _WHOLE_PIECE
    signals = [_fed(each, size, rate) for each in videos]
    sessions: list[WatchingSession] = []

    def opened(called: str) -> WatchingSession:
        sessions.append(pool.open(rate, called))
        return sessions[-1]

    with options.progress(name, len(signals)) as advance:
        transcripts, cost = feed_side_by_side(
            cast("SessionPool[Session]", pool), opened, signals, options.batch, advance
        )
    latency = watcher.clock().latency(settings.chunks)
    metrics = streaming_metrics(settings.chunks.words(), latency, signals, transcripts, cost)
    labels = LabelCounts.of(sessions, [each.video for each in videos], watcher.model.encoder.stride)
    return WatchingMetrics.joining(metrics, labels)


def _fed(each: NamedVideo, size: int, rate: float) -> Fed:
    """A video in pieces of ``size`` pictures; a digit is over when it has left."""
    frames = each.video.frames
    pieces: list[Frames] = [frames[start : start + size] for start in range(0, len(frames), size)]
    return Fed(each.name, pieces, Reference(each.words, tuple(end / rate for end in each.video.ends)))
