"""The watcher: a trained recogniser of video that is fed pictures, live or from files.

n pictures · T frames · L encoder frames · M model dimension
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from typing_extensions import override

from whyformer.data.video.files import TimedPicture, open_video
from whyformer.data.video.front import Frames, FrameSpec, Pictures, VideoFront
from whyformer.engines.cores import in_turns
from whyformer.models.video import VideoModel
from whyformer.tasks.streaming.pool import SessionPool
from whyformer.tasks.streaming.rated import FrontAtRate, RatedSession
from whyformer.tasks.streaming.recognizer import Recognizer
from whyformer.tasks.streaming.session import StreamReading
from whyformer.tasks.streaming.settings import FrameClock, StreamSettings
from whyformer.tasks.streaming.transcript import Transcript, joined_transcripts
from whyformer.tasks.streaming.vocabulary import SymbolTable


class ChunkLabel(NamedTuple):
    """Label of a chunk; times are seconds of the stream."""

    start: float
    end: float
    label: str | None
    """The event that is seen; None for nothing."""
    probability: float
    """Mean probability of that label over the frames of the chunk."""
    frames: tuple[str | None, ...]
    """The label of each encoder frame."""

    def record(self) -> dict[str, object]:
        """The label, ready for JSON."""
        times = {"start": round(self.start, 4), "end": round(self.end, 4)}
        return {**times, "label": self.label, "probability": round(self.probability, 4)}


class _PictureFront(FrontAtRate):
    """The front end of a session that is fed pictures, or single ones with their times."""

    front: VideoFront

    @override
    def feed(self, signal: Pictures | TimedPicture, /) -> Frames:
        if isinstance(signal, TimedPicture):
            return self.front.feed_timed(signal.pixels[None], [signal.time], signal.period)
        return super().feed(signal)


class WatchingSession(RatedSession[Pictures | TimedPicture]):
    """A session that is fed pictures (n,H,W) or (n,H,W,3), or single ones with their times."""

    def __init__(
        self,
        watcher: "Watcher",
        recognizer: Recognizer,
        front: VideoFront,
        reading: StreamReading,
        rate: float,
    ) -> None:
        self._watcher = watcher
        self._pictures = front
        self.labels: list[ChunkLabel] = []
        """Labels of the chunks that are over; whoever watches for days takes them out."""
        super().__init__(recognizer, _PictureFront(front, rate), reading)

    def watch(self, file: Path) -> Iterator[Transcript]:
        """The transcripts of each piece of a video file, the last of them final: nothing more comes.

        Raises:
            DataError: the file cannot be read.
        """
        with closing(open_video(file)) as video:
            self._pictures.note_other_rate(float(video.facts.rate))
            for picture in video:
                yield from self.events(picture)
        yield from self.last_events()

    @override
    def read(self) -> list[Transcript]:
        emitted = self.stream.emitted
        assert emitted is not None, "a piece was computed"
        self.labels.append(self._watcher.label(emitted.hidden, self.stream.frames))
        return super().read()


class Watcher:
    """Recognises what passes in a video.

    >>> watcher = whyformer.load("runs/moving-digits")  # doctest: +SKIP
    >>> session = watcher.open(rate=25)  # doctest: +SKIP
    >>> session.feed(pictures).text  # doctest: +SKIP
    '3 1 4'
    """

    def __init__(
        self, model: VideoModel, frames: FrameSpec, symbols: SymbolTable, settings: StreamSettings
    ) -> None:
        self._model = model.eval()
        self.frames = frames
        self.symbols = symbols
        self.settings = settings

    @property
    def model(self) -> VideoModel:
        """The network, in evaluation mode."""
        return self._model

    def __call__(self, text: str, /) -> Transcript:
        """The transcript of the video file called ``text``, as a stream of the recipe's chunks gives it."""
        return self.transcribe([text])[0]

    def clock(self) -> FrameClock:
        """The way from the model's pictures to the encoder's frames."""
        return FrameClock(self.frames.rate, self._model.encoder.spec.front.stages)

    def recognizer(self, settings: StreamSettings | None = None) -> Recognizer:
        """The model with the pieces that it is fed in; sessions of one recogniser can share batches.

        Raises:
            DecodingError: a chunk is no whole number of the encoder's frames.
        """
        return Recognizer(self._model, self.clock().rule((settings or self.settings).chunks))

    def reading(self, settings: StreamSettings | None = None) -> StreamReading:
        """The way from what frames emit to events."""
        settings = settings or self.settings
        return StreamReading(self.symbols, self.clock(), settings.search, settings.endpoint)

    def open(
        self,
        rate: float | None = None,
        *,
        settings: StreamSettings | None = None,
        recognizer: Recognizer | None = None,
        name: str = "the video",
    ) -> WatchingSession:
        """A session that is fed pictures, ``rate`` a second (as the model sees them, if left out).

        Args:
            rate: of the pictures; a call may say another.
            settings: way to watch, unless the recipe's.
            recognizer: one to share batches with other sessions, of the same settings.
            name: of the video, in notes and errors.
        """
        settings = settings or self.settings
        front = VideoFront(self.frames, name)
        return WatchingSession(
            self,
            recognizer or self.recognizer(settings),
            front,
            self.reading(settings),
            rate or self.frames.rate,
        )

    def pool(self, settings: StreamSettings | None = None, rows: int = 256) -> "WatchingPool":
        """A pool of sessions that share batches of at most ``rows``."""
        return WatchingPool(self, settings or self.settings, rows)

    @torch.inference_mode()
    def label(self, hidden: Tensor, seen: int) -> ChunkLabel:
        """The label of a chunk with states (L,M), the last of a stream's ``seen`` encoder frames."""
        log_probs = self._model.label_log_probs(hidden)
        mean = log_probs.exp().mean(0)
        best, step = int(mean.argmax()), self.clock().seconds
        frames = tuple(self._named(each) for each in log_probs.argmax(-1).tolist())
        return ChunkLabel(
            (seen - len(frames)) * step, seen * step, self._named(best), float(mean[best]), frames
        )

    def transcribe(
        self,
        files: Sequence[str | Path],
        settings: StreamSettings | None = None,
        *,
        advance: Callable[[int], None] = lambda _: None,
    ) -> list[Transcript]:
        """The transcripts of video files, each as a stream gives it; of several segments they are joined.

        Args:
            files: any that FFmpeg reads.
            settings: way to watch, unless the recipe's.
            advance: told when a file is done.

        Raises:
            DataError: a file cannot be read.
        """
        settings = settings or self.settings
        recognizer = self.recognizer(settings)
        found: list[Transcript] = []
        read_on = in_turns(self._model, _next_piece)
        for file in files:
            session = self.open(settings=settings, recognizer=recognizer, name=str(file))
            pieces = session.watch(Path(file))
            while read_on(pieces) is not None:
                pass
            found.append(joined_transcripts(session.finals))
            advance(1)
        return found

    def _named(self, symbol: int) -> str | None:
        return self.symbols.decode([symbol]) if symbol else None


def _next_piece(pieces: Iterator[Transcript]) -> Transcript | None:
    return next(pieces, None)


class WatchingPool(SessionPool[WatchingSession]):
    """Live videos of one watcher, whose chunks are computed together."""

    def __init__(self, watcher: Watcher, settings: StreamSettings, rows: int) -> None:
        self._watcher = watcher
        self._settings = settings
        self.recognizer = watcher.recognizer(settings)
        super().__init__(self.recognizer, rows)

    def open(self, rate: float | None = None, name: str = "the video") -> WatchingSession:
        """One more session, fed ``rate`` pictures a second; see ``Watcher.open``."""
        return self.add(
            self._watcher.open(rate, settings=self._settings, recognizer=self.recognizer, name=name)
        )
