"""Transcripts: the words that were recognised so far, and when each became known."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class ShownWord(NamedTuple):
    """A recognised word; times are seconds of the stream."""

    text: str
    start: float
    """Beginning of the frame that its first symbol was found in (best alignment)."""
    end: float
    """End of the frame that its last symbol was found in."""
    shown: float
    """Stream time at which it stood at its place for the first time and from then on."""

    def record(self) -> dict[str, object]:
        """The word, ready for JSON."""
        return {name: round(x, 4) if isinstance(x, float) else x for name, x in self._asdict().items()}


@dataclass(frozen=True)
class Transcript:
    """The best reading of what was heard so far, of one segment: since the last endpoint."""

    words: tuple[ShownWord, ...] = ()
    stable: int = 0
    """Number of first words that no later signal can change."""
    score: float = 0.0
    """Log-probability of the words in nats, summed over alignments; rescored where that is asked for."""
    heard: float = 0.0
    """Seconds of the stream that have arrived."""
    segment: int = 0
    """Number of the segment, from 0."""
    final: bool = False
    """Whether the segment is over, by its endpoint or by the end of the stream."""

    @property
    def text(self) -> str:
        """The words, with spaces between."""
        return " ".join(word.text for word in self.words)

    @property
    def stable_text(self) -> str:
        """The words that no later signal can change."""
        return " ".join(word.text for word in self.words[: self.stable])

    def record(self) -> dict[str, object]:
        """The transcript, ready for JSON."""
        return {
            "text": self.text,
            "stable": self.stable_text,
            "words": [word.record() for word in self.words],
            "score": self.score,
            "heard": round(self.heard, 4),
            "segment": self.segment,
            "final": self.final,
        }


@dataclass
class Showing:
    """Memory of when words were first shown, so that their delays can be told."""

    _texts: list[str] = field(default_factory=list[str])
    _times: list[float] = field(default_factory=list[float])

    def show(self, texts: Sequence[str], now: float) -> list[float]:
        """The time of each word of ``texts`` since when it stands at its place, at stream time ``now``.

        The texts are without those that were forgotten.
        """
        same = 0
        for new, old in zip(texts, self._texts, strict=False):
            if new != old:
                break
            same += 1
        self._times[same:] = [now] * (len(texts) - same)
        self._texts[same:] = texts[same:]
        return list(self._times)

    def forget(self, count: int) -> None:
        """Forget the first ``count`` words, which stay as they are."""
        del self._texts[:count], self._times[:count]


def joined_transcripts(segments: Sequence[Transcript]) -> Transcript:
    """The transcript of a whole signal from those of its ``segments``, whose scores add up."""
    if len(segments) == 1:
        return segments[0]
    words = tuple(word for segment in segments for word in segment.words)
    score, heard = sum(segment.score for segment in segments), max((s.heard for s in segments), default=0.0)
    return Transcript(words, len(words), score, heard, 0, final=True)
