"""Data of a drawn stream: its loudness as it comes, and its words beside those that were truly said."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from whyformer.plots.streams.timeline import MOST_SECONDS, HeardWord, SaidWord, Timeline
from whyformer.tasks.streaming.measures.error_rate import right_words
from whyformer.tasks.streaming.transcript import ShownWord

_STEPS = 100
"""Steps of a second."""


class LoudnessMeter:
    """The loudness of a sound in steps of 10 ms, from pieces of any size; of no more than can be drawn.

    Args:
        rate: samples a second.
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._energy = np.zeros(round(MOST_SECONDS * _STEPS))
        self._count = 0

    def feed(self, sound: NDArray[np.float32]) -> None:
        """Take the next samples (n, channels)."""
        steps = np.arange(self._count, self._count + len(sound)) * _STEPS // self._rate
        self._count += len(sound)
        energy = np.nan_to_num(np.square(sound.astype(np.float64)).mean(axis=1))
        there = steps < len(self._energy)
        np.add.at(self._energy, steps[there], energy[there])

    @property
    def seconds(self) -> float:
        """Duration of all that came."""
        return self._count / self._rate

    def steps(self) -> list[float]:
        """The root mean square of each step."""
        count = min(len(self._energy), -(-self._count * _STEPS // self._rate))
        return np.sqrt(self._energy[:count] * _STEPS / self._rate).tolist()


class _Label(Protocol):
    """A word that was truly said, in seconds."""

    @property
    def text(self) -> str: ...
    @property
    def start(self) -> float: ...
    @property
    def end(self) -> float: ...


def timeline_of(
    meter: LoudnessMeter, words: Sequence[ShownWord], labels: Sequence[_Label] | None, chunk: float | None
) -> Timeline:
    """Data to be drawn of a stream.

    Args:
        meter: that all of its sound went through.
        words: those that were recognised.
        labels: those that were said; None where nobody knows.
        chunk: seconds of a chunk; None where the whole was one.

    Raises:
        DataError: there are labels to compare with, and jiwer is not installed.
    """
    said = None if labels is None else [SaidWord(each.text, each.start, each.end) for each in labels]
    ends: dict[int, float] = {}
    if said is not None:
        pairs = right_words([word.text for word in said], [word.text for word in words])
        ends = {theirs: said[ours].end for ours, theirs in pairs}
    heard = [
        HeardWord(
            word.text,
            word.start,
            word.end,
            word.shown,
            ends.get(number, word.end),
            None if said is None else number in ends,
        )
        for number, word in enumerate(words)
    ]
    return Timeline(meter.steps(), 1 / _STEPS, meter.seconds, heard, said, chunk)
