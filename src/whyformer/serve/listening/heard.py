"""Answers to sound: what was heard in it, and how sure that is."""

import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from whyformer.tasks.speech.listener import ListeningSession
from whyformer.tasks.streaming.recognizer import Emitted
from whyformer.tasks.streaming.transcript import Transcript, joined_transcripts


class RecognisedWord(NamedTuple):
    """A word of a segment that is over; times are seconds of the session's sound."""

    text: str
    start: float
    end: float
    confidence: float
    """Geometric mean over its frames of the probability of the likeliest symbol, in (0, 1]."""


@dataclass(frozen=True)
class Heard:
    """Understanding of a session after a piece of sound."""

    text: str
    """The segments that the piece ended, if it ended some; else the present one so far."""
    final: bool = False
    """Whether the text stays as it is, and the next answer begins anew."""
    words: tuple[RecognisedWord, ...] = ()
    """Words of a final text."""
    score: float = 0.0
    """Log-probability of a final text in nats."""


class Certainty:
    """How sure the model was of each frame of the segment that is going on."""

    def __init__(self) -> None:
        self._first = 0
        self._log_probs = array("f")

    def add(self, emitted: Emitted) -> None:
        """Remember the frames of a piece."""
        self._log_probs.extend(emitted.log_probs.max(axis=1).tolist())

    def of(self, first: int, last: int) -> float:
        """Geometric mean of the frames ``first`` to ``last``, the latter included."""
        frames = self._log_probs[first - self._first : last - self._first + 1]
        return min(1.0, math.exp(sum(frames) / len(frames))) if frames else 0.0

    def forget(self, frame: int) -> None:
        """Forget the frames before ``frame``."""
        del self._log_probs[: frame - self._first]
        self._first = frame


def heard_of(session: ListeningSession, certainty: Certainty, frame: float, *, last: bool) -> Heard:
    """The answer of ``session``, whose ended segments are taken out.

    Args:
        session: any whose sound was computed.
        certainty: of its frames.
        frame: seconds that one of them lasts.
        last: whether the session is over, so that its answer is final in any case.
    """
    if session.finals:
        segments, session.finals = session.finals, []
        found = _final(segments, certainty, frame)
        certainty.forget(session.first)
        return found
    # That of a segment that is over was told before.
    return Heard("" if session.transcript.final else session.transcript.text, final=last)


def _final(segments: Sequence[Transcript], certainty: Certainty, frame: float) -> Heard:
    joined = joined_transcripts(segments)
    words = tuple(
        RecognisedWord(
            word.text,
            word.start,
            word.end,
            certainty.of(round(word.start / frame), round(word.end / frame) - 1),
        )
        for word in joined.words
    )
    return Heard(joined.text, True, words, joined.score)
