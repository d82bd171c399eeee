"""Chunks as users say them, in milliseconds, and as the encoder counts them, in frames."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from pydantic import Field

from whyformer.attention.mask import Chunk, Everything
from whyformer.decoding.ctc.endpoint import EndpointSpec
from whyformer.decoding.ctc.rescoring import RescoringSpec
from whyformer.decoding.ctc.search import CTCSearchSpec
from whyformer.errors import DecodingError
from whyformer.lengths import Stage, inputs_per_output, look_ahead, needed_length
from whyformer.spec import Spec
from whyformer.tasks.streaming.measures.latency import AlgorithmicLatency

_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s)\s*")


class ChunksSpec(Spec):
    """Pieces in which a stream is recognised, unless the command line says otherwise."""

    milliseconds: float | None = Field(default=320.0, gt=0.0)
    """Duration of a chunk in milliseconds, a multiple of the encoder's frame; null for the whole signal at
    once, which gives no words before its end."""
    left: int | None = Field(default=4, ge=0)
    """Chunks before its own that a frame sees; null for all, whose memory grows as long as one listens."""

    def changed(self, chunk: str | None, left: str | None) -> "ChunksSpec":
        """The setting with what a command line says, as in ``320ms`` and ``4``; None leaves what is.

        Raises:
            DecodingError: that says no duration, or no number of chunks.
        """
        changes: dict[str, float | int | None] = {}
        if chunk is not None:
            changes["milliseconds"] = duration_milliseconds(chunk)
        if left is not None:
            changes["left"] = left_chunks(left)
        return self.model_copy(update=changes)

    def words(self) -> str:
        """The setting as the command line writes it."""
        if self.milliseconds is None:
            return "full"
        return f"{self.milliseconds:g}ms, left {'all' if self.left is None else self.left}"


@dataclass(frozen=True)
class StreamSettings:
    """Way to recognise streams, unless a call says otherwise."""

    chunks: ChunksSpec
    search: CTCSearchSpec
    endpoint: EndpointSpec | None
    rescoring: RescoringSpec | None

    def with_chunks(self, chunk: str | None, left: str | None) -> "StreamSettings":
        """The settings with chunks as a command line says them; None leaves what is.

        Raises:
            DecodingError: they say no duration, or no number of chunks.
        """
        return replace(self, chunks=self.chunks.changed(chunk, left))

    def grid(self, chunks: Sequence[str], left: Sequence[str]) -> list["StreamSettings"]:
        """The settings with each of ``chunks`` and of ``left``; where none are given, with their own.

        The whole signal at once has no chunks to its left, so it comes once.
        """
        found: dict[ChunksSpec, StreamSettings] = {}
        for chunk in chunks or (None,):
            for count in left or (None,):
                changed = self.with_chunks(chunk, count)
                whole = changed.chunks.milliseconds is None
                key = ChunksSpec(milliseconds=None, left=None) if whole else changed.chunks
                found[key] = replace(changed, chunks=key)
        return [*found.values()]


@dataclass(frozen=True)
class FrameClock:
    """The way from a signal to the encoder's frames, by which frames and seconds are told from each other."""

    rate: float
    """Samples (of a video: pictures) of the signal in a second, as it comes."""
    stages: tuple[Stage, ...]
    """From the signal to the encoder's frames: resampling, feature frames, subsampling."""

    @cached_property
    def seconds(self) -> float:
        """From one frame of the encoder to the next."""
        return float(inputs_per_output(*self.stages)) / self.rate

    @property
    def look_ahead(self) -> float:
        """Seconds of signal after the end of a frame's own share that its computation waits for."""
        return float(look_ahead(*self.stages)) / self.rate

    def needed(self, frames: int) -> float:
        """Seconds of signal that must have come before so many ``frames`` of the encoder can be computed."""
        return needed_length(frames, *self.stages) / self.rate

    def latency(self, chunks: ChunksSpec) -> AlgorithmicLatency:
        """The waiting times that ``chunks`` impose."""
        chunk = None if chunks.milliseconds is None else chunks.milliseconds / 1000
        return AlgorithmicLatency(chunk, self.look_ahead)

    def rule(self, chunks: ChunksSpec) -> Chunk | Everything:
        """The mask of the encoder for ``chunks``.

        Raises:
            DecodingError: a chunk is no whole number of the encoder's frames.
        """
        if chunks.milliseconds is None:
            return Everything()
        step = 1000 * self.seconds
        size = round(chunks.milliseconds / step)
        if size < 1 or abs(chunks.milliseconds - size * step) > 1e-6 * step:
            raise DecodingError(
                f"a chunk of {chunks.milliseconds:g} ms is no whole number of the encoder's frames of "
                f"{step:g} ms; take {max(1, size) * step:g} ms."
            )
        return Chunk(size=size, left_chunks=chunks.left)


def duration_milliseconds(text: str) -> float | None:
    """The duration ``text``, such as 320ms or 0.32s, in milliseconds; None for "full".

    >>> duration_milliseconds("0.32s"), duration_milliseconds("full")
    (320.0, None)

    Raises:
        DecodingError: it is neither.
    """
    if text.strip() == "full":
        return None
    found = _DURATION.fullmatch(text)
    if found is None or float(found[1]) == 0.0:
        raise DecodingError(f"{text!r} is no duration of a chunk; write such as 320ms, 0.32s or full.")
    return float(found[1]) * (1000.0 if found[2] == "s" else 1.0)


def left_chunks(text: str) -> int | None:
    """The number of left chunks that ``text`` says, such as 4; None for "all".

    Raises:
        DecodingError: it says none.
    """
    if text.strip() == "all":
        return None
    if not text.strip().isdecimal():
        raise DecodingError(f"{text!r} is no number of chunks to the left; write such as 4, or all.")
    return int(text)
