"""Transcription: sound files of clients, heard piece by piece in the turn of the run's engine."""

import tempfile
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from whyformer.data.audio.files import AudioSource, open_audio
from whyformer.data.audio.resampling import Samples
from whyformer.errors import DataError
from whyformer.serve.refusals import InvalidRequestError
from whyformer.serve.service import Asking, HostedRun, Service
from whyformer.tasks.speech.listener import Listener, ListeningSession
from whyformer.tasks.streaming.transcript import Transcript

_PIECE = 1.0
"""Seconds of sound that are heard in one turn; of others nothing waits for longer."""


@dataclass
class SoundReport:
    """Facts about a sound file when all of it was heard."""

    seconds: float = 0.0
    segments: list[Transcript] = field(default_factory=list[Transcript])
    """Transcripts of its segments."""
    notes: list[str] = field(default_factory=list[str])
    """Sentences on what was wrong with the file, though it could be heard."""

    @property
    def text(self) -> str:
        """All words, with spaces between."""
        return " ".join(word.text for each in self.segments for word in each.words)


async def transcribe(
    service: Service, run: HostedRun, sound: bytes, asking: Asking, report: SoundReport
) -> AsyncGenerator[str]:
    """The words of ``sound``, the bytes of a file, as soon as no later sound can change them.

    Each is given once, in order; ``report`` is complete behind the last.

    Raises:
        InvalidRequestError: this is no sound, or there is none in it.
    """
    assert isinstance(run.runner, Listener)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        # Without a suffix libsndfile looks into the file.
        path = Path(folder) / "sound"
        steps = _steps(run.runner, path, sound, report)
        while True:
            words = await service.compute(run, lambda: _next(steps, path), asking)
            if words is None:
                return
            for word in words:
                yield word


def _next(steps: Iterator[list[str]], path: Path) -> list[str] | None:
    """The words of the next piece; None behind the last."""
    try:
        return next(steps, None)
    except DataError as error:
        # The client knows no path of ours.
        told = str(error).replace(f"{path}: ", "").replace(str(path), "the file")
        raise InvalidRequestError(f"file: {told}", field="file") from None


def _steps(listener: Listener, path: Path, sound: bytes, report: SoundReport) -> Iterator[list[str]]:
    """The words that each piece of the sound makes certain."""
    _ = path.write_bytes(sound)
    source = open_audio(path)
    session = listener.open(source.rate, name="the sound")
    shown, frames = 0, 0
    for piece in _pieces(source):
        frames += len(piece)
        _ = session.feed(piece)
        words = _certain(session)
        yield words[shown:]
        shown = max(shown, len(words))
    if not frames:
        raise DataError("no sample could be read from it; it is empty or damaged.")
    _ = session.finish()
    report.seconds, report.segments = frames / source.rate, session.finals
    report.notes += _faults(source, frames)
    yield _certain(session)[shown:]


def _pieces(source: AudioSource) -> Iterator[Samples]:
    """The sound in pieces that are short, in whatever blocks the file comes."""
    size = max(1, round(source.rate * _PIECE))
    for block in source.blocks():
        for start in range(0, len(block), size):
            yield block[start : start + size]


def _certain(session: ListeningSession) -> list[str]:
    """The words that no later sound can change."""
    last = session.transcript
    segments = session.finals if last.final else [*session.finals, last]
    return [word.text for each in segments for word in each.words[: each.stable]]


def _faults(source: AudioSource, frames: int) -> Iterator[str]:
    if source.frames is not None and frames < source.frames:
        yield (
            f"the file is truncated: it promises {source.frames:,} samples a channel, and {frames:,} could "
            "be read."
        )
    elif source.missing:
        yield (
            f"the file is truncated: {source.missing:,} bytes of it are missing; {frames:,} samples a "
            "channel could be read."
        )
