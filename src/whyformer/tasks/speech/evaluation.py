"""Evaluation of a listener: sounds are streamed to it chunk by chunk, many side by side."""

from collections.abc import Sequence
from typing import cast

from whyformer.data.audio.resampling import Samples
from whyformer.tasks.speech.listener import Listener
from whyformer.tasks.speech.sounds import SpokenSound
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

_WHOLE_PIECE = 0.1
"""Seconds of the pieces in which a sound comes where the whole of it is one chunk."""


def evaluate_listener(
    listener: Listener,
    sounds: Sequence[SpokenSound],
    settings: StreamSettings,
    options: EvaluationOptions,
    name: str,
) -> StreamingMetrics:
    """Metrics of ``listener`` on ``sounds``, streamed in the chunks of ``settings``."""
    pool = listener.pool(settings, options.batch)
    milliseconds = settings.chunks.milliseconds
    seconds = _WHOLE_PIECE if milliseconds is None else milliseconds / 1000
    signals = [_fed(sound, seconds) for sound in sounds]
    with options.progress(name, len(signals)) as advance:
        transcripts, cost = feed_side_by_side(
            cast("SessionPool[Session]", pool),
            lambda called: pool.open(listener.features.rate, called),
            signals,
            options.batch,
            advance,
        )
    latency = listener.clock().latency(settings.chunks)
    return streaming_metrics(settings.chunks.words(), latency, signals, transcripts, cost)


def _fed(sound: SpokenSound, seconds: float) -> Fed:
    """A sound in pieces of so many ``seconds``."""
    size = round(seconds * sound.rate)
    pieces: list[Samples] = [
        sound.samples[start : start + size] for start in range(0, len(sound.samples), size)
    ]
    return Fed(sound.name, pieces, Reference(sound.words, sound.ends))
