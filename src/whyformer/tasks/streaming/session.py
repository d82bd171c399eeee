"""Sessions: live inputs, each with its transcript; those of one pool share batches."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from whyformer.decoding.ctc.endpoint import EndpointSpec
from whyformer.decoding.ctc.rescoring import RescoringSpec
from whyformer.decoding.ctc.search import CTCHypothesis
from whyformer.errors import DecodingError
from whyformer.models.rescorer import Rescorer
from whyformer.tasks.streaming.recognizer import Recognizer, Stream
from whyformer.tasks.streaming.settings import FrameClock
from whyformer.tasks.streaming.symbols import SymbolTable, WordSpan
from whyformer.tasks.streaming.transcript import Showing, TimedWord, Transcript


class SignalFront(Protocol):
    """The way of a signal, as it comes, to the input frames of an encoder."""

    @property
    def heard(self) -> float:
        """Seconds of the signal that have come."""
        ...

    def feed(self, signal: Any, /) -> NDArray[np.float32]:
        """The frames (T,...) that ``signal`` completes."""
        ...

    def finish(self) -> NDArray[np.float32]:
        """The last frames (T,...): nothing more comes."""
        ...


@dataclass(frozen=True)
class Reading:
    """How sessions turn what frames emit into words."""

    symbols: SymbolTable
    clock: FrameClock
    endpoint: EndpointSpec | None = None
    """Rules that end a segment; None where only the end of the signal does."""
    rescoring: RescoringSpec | None = None
    rescorer: Rescorer | None = None
    """Decoder that judges the hypotheses of a segment that is over, by ``rescoring``."""


class Session:
    """One live input: it is fed, and says what it has understood so far.

    Pieces of any size give the same words, times and scores. A session that was refused something (samples that
    are no numbers) goes on with what comes next.
    """

    def __init__(self, recognizer: Recognizer, front: SignalFront, reading: Reading) -> None:
        self._recognizer = recognizer
        self._front = front
        self._reading = reading
        self._endpoint = None if reading.endpoint is None else reading.endpoint.open(reading.clock.seconds)
        self._showing = Showing()
        self._closing = False
        self.stream: Stream = recognizer.open()
        """The session as its recogniser sees it."""
        self.finals: list[Transcript] = []
        """Transcripts of the segments that are over; whoever listens for days takes them out."""
        self.transcript = Transcript()
        """The present transcript; of the last segment where one was just ended."""

    @property
    def heard(self) -> float:
        """Seconds of the signal that have come."""
        return self._front.heard

    @property
    def ended(self) -> bool:
        """Whether all that will ever come was computed."""
        return self._closing and not self.stream.ready

    def push(self, signal: Any) -> None:
        """Take what comes without computing anything; a pool computes for many sessions at once.

        Raises:
            DecodingError: the session is finished.
            DataError: this piece cannot be used; the session goes on without it.
        """
        if self._closing:
            raise DecodingError("this session is finished; open another.")
        self.stream.push(self._front.feed(signal))

    def end(self) -> None:
        """Take that nothing more comes, without computing anything."""
        if not self._closing:
            self._closing = True
            self.stream.push(self._front.finish())
            self.stream.close()

    def feed(self, signal: Any) -> Transcript:
        """The transcript after ``signal``, which follows what was fed before."""
        for _ in self.events(signal):
            pass
        return self.transcript

    def events(self, signal: Any) -> Iterator[Transcript]:
        """A transcript for each piece that ``signal`` completes."""
        self.push(signal)
        yield from self._advance()

    def finish(self) -> Transcript:
        """The last transcript: nothing more comes. What waited for its chunk to be whole is in it."""
        for _ in self.last_events():
            pass
        return self.transcript

    def last_events(self) -> Iterator[Transcript]:
        """A transcript for each piece that still waits, the last of them final: nothing more comes."""
        self.end()
        yield from self._advance()
        if not self.transcript.final:
            self.transcript = self._conclude()
            yield self.transcript

    def read(self) -> Transcript:
        """The transcript after a piece was computed; a pool asks for it in each session that had one."""
        segment = self.transcript.segment + self.transcript.final
        blanks = self.stream.take_blanks()
        best = self.stream.search.hypotheses(1)[0]
        self.transcript = self._transcript(best, segment)
        over = self._endpoint is not None and self._endpoint.feed(blanks, has_text=bool(best.ids))
        if over or self.ended:
            self.transcript = self._conclude()
        return self.transcript

    def _advance(self) -> Iterator[Transcript]:
        while self._recognizer.advance([self.stream]):
            yield self.read()

    def _now(self) -> float:
        """Stream time at which the last piece could be computed first, however the signal was fed."""
        needed = self._reading.clock.needed(self.stream.frames)
        return min(needed, self._front.heard) if self._closing else needed

    def _transcript(self, best: CTCHypothesis, segment: int, *, final: bool = False) -> Transcript:
        symbols, frame, now = self._reading.symbols, self._reading.clock.seconds, self._now()
        spans = symbols.words(best.ids, best.times)
        shown = self._showing.show([span.text for span in spans], now)
        words = tuple(
            TimedWord(span.text, span.first * frame, (span.last + 1) * frame, since)
            for span, since in zip(spans, shown, strict=True)
        )
        stable = len(words) if final else symbols.whole_words(best.ids[: best.stable])
        return Transcript(words, stable, best.score, now, segment, final)

    def _conclude(self) -> Transcript:
        """The transcript of the segment, which is over: judged by the decoder, if there is one."""
        stream, reading = self.stream, self._reading
        segment = self.transcript.segment + self.transcript.final
        best = stream.search.hypotheses(1)[0]
        if reading.rescorer is not None and reading.rescoring is not None and stream.hidden:
            best = self._rescored(reading.rescorer, reading.rescoring)
        concluded = self._transcript(best, segment, final=True)
        stream.begin_segment()
        self._showing = Showing()
        self.finals.append(concluded)
        return concluded
