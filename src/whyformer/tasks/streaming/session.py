"""Sessions: live inputs, each with its transcript; those of one pool share batches."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from whyformer.decoding.ctc.endpoint import EndpointSpec
from whyformer.decoding.ctc.rescoring import RescoringSpec
from whyformer.decoding.ctc.search import CTCHypothesis, CTCSearchSpec
from whyformer.errors import DecodingError
from whyformer.models.streaming.rescorer import Rescorer
from whyformer.position.layout import Layout
from whyformer.tasks.streaming.recognizer import Emitted, Recognizer, Stream
from whyformer.tasks.streaming.settings import FrameClock
from whyformer.tasks.streaming.transcript import Showing, ShownWord, Transcript
from whyformer.tasks.streaming.vocabulary import SymbolTable


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
class StreamReading:
    """How sessions turn what frames emit into words."""

    symbols: SymbolTable
    clock: FrameClock
    search: CTCSearchSpec
    """Way to read what the frames emit."""
    endpoint: EndpointSpec | None = None
    """Rules that end a segment; None where only the end of the signal does."""
    rescoring: RescoringSpec | None = None
    rescorer: Rescorer | None = None
    """Decoder that judges the hypotheses of a segment that is over, by ``rescoring``."""

    @property
    def rescores(self) -> bool:
        """Whether the readings of a segment that is over are judged again."""
        return self.rescorer is not None and self.rescoring is not None


class Session:
    """One live input: it is fed, and says what it has understood so far.

    Pieces of any size give the same words, times and scores. A session that was refused something (samples
    that are no numbers) goes on with what comes next.
    """

    def __init__(self, recognizer: Recognizer, front: SignalFront, reading: StreamReading) -> None:
        self._recognizer = recognizer
        self._front = front
        self._reading = reading
        self._endpoint = None if reading.endpoint is None else reading.endpoint.open(reading.clock.seconds)
        self._search = reading.search.open()
        self._showing = Showing()
        self._settled: tuple[ShownWord, ...] = ()
        self._committed: list[tuple[int, int]] = []
        """Symbols and frames that the search handed over, and which are no whole word yet."""
        self._hidden: list[Tensor] = []
        self._segment = 0
        self._closing = False
        self.stream: Stream = recognizer.open()
        """The session as its recogniser sees it."""
        self.first = 0
        """Frame of the encoder with which the present segment begins."""
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
        """The transcripts of each piece that ``signal`` completes."""
        self.push(signal)
        yield from self._advance()

    def finish(self) -> Transcript:
        """The last transcript: nothing more comes. What waited for its chunk to be whole is in it."""
        for _ in self.last_events():
            pass
        return self.transcript

    def last_events(self) -> Iterator[Transcript]:
        """The transcripts of each piece that still waits, the last of them final: nothing more comes."""
        self.end()
        yield from self._advance()
        if not self.transcript.final:
            self.transcript = self._conclude(self.stream.frames)
            yield self.transcript

    def read(self) -> list[Transcript]:
        """The transcripts after a piece was computed: of segments that it ended, and of what is behind them.

        A pool asks for it in each session that had a piece.
        """
        emitted = self.stream.emitted
        assert emitted is not None, "a piece was computed"
        first, count = self.stream.frames - len(emitted.log_probs), len(emitted.log_probs)
        ends = [] if self._endpoint is None else [end.frame for end in self._endpoint.feed(emitted.log_probs)]
        found: list[Transcript] = []
        done = 0
        for end in ends:
            self._read(emitted, done, end - first)
            found.append(self._conclude(end))
            done = end - first
        if done < count:
            self._read(emitted, done, count)
            found.append(
                self._conclude(self.stream.frames)
                if self.ended
                else self._transcript(self._search.hypotheses(1)[0])
            )
        self.transcript = found[-1]
        return found

    def _advance(self) -> Iterator[Transcript]:
        while self._recognizer.advance([self.stream]):
            yield from self.read()

    def _read(self, emitted: Emitted, start: int, stop: int) -> None:
        """Read some frames of a piece, all of one segment."""
        self._search.feed(emitted.log_probs[start:stop])
        if self._reading.rescores:
            self._hidden.append(emitted.hidden[start:stop])

    def _now(self) -> float:
        """Stream time at which the last piece could be computed first, however the signal was fed."""
        needed = self._reading.clock.needed(self.stream.frames)
        return min(needed, self._front.heard) if self._closing else needed

    def _transcript(self, best: CTCHypothesis, *, final: bool = False) -> Transcript:
        """The words of a reading: those that are settled, and those of the symbols behind them."""
        symbols, frame, now = self._reading.symbols, self._reading.clock.seconds, self._now()
        ids = [*(symbol for symbol, _ in self._committed), *best.ids]
        times = [*(time for _, time in self._committed), *best.times]
        spans = symbols.words(ids, times, len(ids) if final else len(self._committed) + best.stable)
        shown = self._showing.show([span.text for span in spans], now)
        words = tuple(
            ShownWord(
                span.text, (self.first + span.start) * frame, (self.first + span.end + 1) * frame, since
            )
            for span, since in zip(spans, shown, strict=True)
        )
        stable = len(self._settled) + (len(words) if final else sum(span.stable for span in spans))
        heard = self._front.heard if self.ended else now
        found = Transcript((*self._settled, *words), stable, best.score, heard, self._segment, final)
        if not self._reading.rescores:
            self._settle(words)
        return found

    def _settle(self, words: Sequence[ShownWord]) -> None:
        """Keep those of ``words`` that are final, so that a piece costs the same however long the text is.

        Rescoring needs the whole text of each reading, so there nothing is settled before the end.
        """
        self._committed += self._search.commit()
        ids = [symbol for symbol, _ in self._committed]
        whole = self._reading.symbols.whole(ids)
        count = len(self._reading.symbols.words(ids[:whole], ids[:whole]))
        self._settled += tuple(words[:count])
        self._showing.forget(count)
        del self._committed[:whole]

    def _conclude(self, frame: int) -> Transcript:
        """The transcript of the segment, which ends before a ``frame`` of the stream; the next one begins."""
        best = self._search.hypotheses(1)[0]
        if self._reading.rescorer is not None and self._reading.rescoring is not None and self._hidden:
            best = self._rescored(self._reading.rescorer, self._reading.rescoring)
        concluded = self._transcript(best, final=True)
        self.finals.append(concluded)
        self._segment += 1
        self.first = frame
        self._search, self._showing, self._hidden = self._reading.search.open(), Showing(), []
        self._settled, self._committed = (), []
        return concluded

    @torch.inference_mode()
    def _rescored(self, rescorer: Rescorer, spec: RescoringSpec) -> CTCHypothesis:
        """The reading that the decoders like best, with the total of their scores and CTC's."""
        found = self._search.hypotheses(spec.candidates)
        memory = torch.cat(self._hidden)[None]
        layout = Layout.counting(1, memory.shape[1], device=memory.device)
        texts, rows = [each.ids for each in found], [0] * len(found)
        left = rescorer.log_probabilities(memory, layout, texts, rows=rows)
        right = None
        if spec.reverse and rescorer.right_to_left is not None:
            right = rescorer.log_probabilities(memory, layout, texts, rows=rows, reverse=True)
        best = spec.rank(found, left, right)[0]
        return replace(best.hypothesis, score=best.total)
