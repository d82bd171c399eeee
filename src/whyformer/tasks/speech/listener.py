"""The listener: a trained speech recogniser that is fed sound, live or from files."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from whyformer.data.audio.features import FilterBankSpec
from whyformer.data.audio.files import open_audio
from whyformer.data.audio.front import Sound, SoundFront
from whyformer.data.audio.statistics import FeatureStatistics
from whyformer.engines.cores import cores_of
from whyformer.lengths import grouping
from whyformer.models.speech import SpeechModel
from whyformer.tasks.streaming.pool import SessionPool
from whyformer.tasks.streaming.rated import FrontAtRate, RatedSession
from whyformer.tasks.streaming.recognizer import Recognizer
from whyformer.tasks.streaming.session import StreamReading
from whyformer.tasks.streaming.settings import FrameClock, StreamSettings
from whyformer.tasks.streaming.transcript import Transcript, joined_transcripts
from whyformer.tasks.streaming.vocabulary import SymbolTable


class SpeechAssets(NamedTuple):
    """Assets of a recogniser: everything that it cannot be used without, besides its weights."""

    symbols: SymbolTable
    statistics: FeatureStatistics

    @property
    def fingerprints(self) -> list[str]:
        """Texts that identify both."""
        return [self.symbols.fingerprint, self.statistics.fingerprint]

    @property
    def description(self) -> str:
        """Both, in words."""
        return f"{self.symbols.description}; {self.statistics.description}"

    def save(self, folder: Path) -> None:
        """Write both as files of a run's ``folder``."""
        self.symbols.save(folder)
        self.statistics.save(folder)


def frame_clock(features: FilterBankSpec, stride: int, rate: int | None = None) -> FrameClock:
    """The way from samples at ``rate`` (of the ``features``, if left out) to frames of an encoder."""
    rate = rate or features.rate
    return FrameClock(rate, (*SoundFront(features).stages(rate), grouping(stride)))


class ListeningSession(RatedSession[Sound]):
    """A session that is fed samples (n,) or (n, channels)."""


class Listener:
    """Recognises speech.

    >>> listener = whyformer.load("runs/digits")  # doctest: +SKIP
    >>> session = listener.open(rate=8000)  # doctest: +SKIP
    >>> session.feed(samples).text  # doctest: +SKIP
    'three one four'
    """

    def __init__(
        self, model: SpeechModel, features: FilterBankSpec, assets: SpeechAssets, settings: StreamSettings
    ) -> None:
        self._model = model.eval()
        self.features = features
        self.assets = assets
        self.settings = settings

    @property
    def model(self) -> SpeechModel:
        """The network, in evaluation mode."""
        return self._model

    def __call__(self, text: str, /) -> Transcript:
        """The transcript of the sound file called ``text``, as a stream of the recipe's chunks gives it."""
        return self.transcribe([text])[0]

    def clock(self, rate: int | None = None) -> FrameClock:
        """The way from samples at ``rate`` (of the features, if left out) to the encoder's frames."""
        return frame_clock(self.features, self._model.encoder.stride, rate)

    def recognizer(self, settings: StreamSettings | None = None) -> Recognizer:
        """The model with the pieces that it is fed in; sessions of one recogniser can share batches.

        Raises:
            DecodingError: a chunk is no whole number of the encoder's frames.
        """
        return Recognizer(self._model, self.clock().rule((settings or self.settings).chunks))

    def open(
        self,
        rate: int | None = None,
        *,
        settings: StreamSettings | None = None,
        recognizer: Recognizer | None = None,
        name: str = "the sound",
        note: Callable[[str], None] | None = None,
    ) -> ListeningSession:
        """A session that is fed samples at ``rate`` in Hz (that of the features, if left out).

        Args:
            rate: of the samples; a call may say another.
            settings: way to listen, unless the recipe's.
            recognizer: one to share batches with other sessions, of the same settings.
            name: of the sound, in notes and errors.
            note: told each note about the sound; a warning if left out.
        """
        settings = settings or self.settings
        rate = rate or self.features.rate
        reading = StreamReading(
            self.assets.symbols,
            self.clock(rate),
            settings.search,
            settings.endpoint,
            settings.rescoring,
            self._model.rescorer,
        )
        front = SoundFront(self.features, self.assets.statistics, name, note)
        return ListeningSession(recognizer or self.recognizer(settings), FrontAtRate(front, rate), reading)

    def pool(self, settings: StreamSettings | None = None, rows: int = 256) -> "ListeningPool":
        """A pool of sessions that share batches of at most ``rows``."""
        return ListeningPool(self, settings or self.settings, rows)

    def transcribe(
        self,
        files: Sequence[str | Path],
        settings: StreamSettings | None = None,
        *,
        rate: int | None = None,
        advance: Callable[[int], None] = lambda _: None,
    ) -> list[Transcript]:
        """The transcripts of sound files, each as a stream gives it; of several segments they are joined.

        Args:
            files: any that soundfile reads; ``-`` is standard input.
            settings: way to listen, unless the recipe's.
            rate: of samples without a header, on standard input.
            advance: told when a file is done.

        Raises:
            DataError: a file cannot be read.
        """
        settings = settings or self.settings
        recognizer = self.recognizer(settings)
        found: list[Transcript] = []
        for file in files:
            found.append(self._whole(file, rate, settings, recognizer))
            advance(1)
        return found

    def _whole(
        self, file: str | Path, rate: int | None, settings: StreamSettings, recognizer: Recognizer
    ) -> Transcript:
        sound = open_audio(file, rate)
        session = self.open(sound.rate, settings=settings, recognizer=recognizer, name=str(file))
        cores = cores_of(self._model)
        for block in sound.blocks():
            with cores.turn():
                _ = session.feed(block)
        with cores.turn():
            _ = session.finish()
        return joined_transcripts(session.finals)


class ListeningPool(SessionPool[ListeningSession]):
    """Live inputs of one listener, whose chunks are computed together."""

    def __init__(self, listener: Listener, settings: StreamSettings, rows: int) -> None:
        self._listener = listener
        self._settings = settings
        self.recognizer = listener.recognizer(settings)
        super().__init__(self.recognizer, rows)

    def open(self, rate: int | None = None, name: str = "the sound") -> ListeningSession:
        """One more session, fed samples at ``rate``; see ``Listener.open``."""
        return self.add(
            self._listener.open(rate, settings=self._settings, recognizer=self.recognizer, name=name)
        )
