"""Connectionist temporal classification by its definition: every alignment there is."""

import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

Frames = npt.NDArray[np.float64]


def collapse(alignment: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The text of an alignment, and the frame in which the run of each symbol begins."""
    runs = [
        (symbol, frame)
        for frame, symbol in enumerate(alignment)
        if symbol != 0 and (frame == 0 or alignment[frame - 1] != symbol)
    ]
    return tuple(symbol for symbol, _ in runs), tuple(frame for _, frame in runs)


def alignments(frames: Frames) -> Iterator[tuple[tuple[int, ...], float]]:
    """All V^L alignments of ``frames`` (L,V) with their log-probabilities."""
    length, symbols = frames.shape
    for alignment in itertools.product(range(symbols), repeat=length):
        yield alignment, math.fsum(frames[frame, symbol] for frame, symbol in enumerate(alignment))


def texts(frames: Frames) -> dict[tuple[int, ...], tuple[float, float, tuple[int, ...]]]:
    """Of every text: its log-probability, that of its best alignment, and the times of that."""
    every: dict[tuple[int, ...], list[tuple[float, tuple[int, ...]]]] = {}
    for alignment, score in alignments(frames):
        text, times = collapse(alignment)
        every.setdefault(text, []).append((score, times))
    found: dict[tuple[int, ...], tuple[float, float, tuple[int, ...]]] = {}
    for text, scores in every.items():
        best, times = max(scores)
        total = best + math.log(math.fsum(math.exp(score - best) for score, _ in scores))
        found[text] = total, best, times
    return found


def random_frames(seed: int, length: int, symbols: int, scale: float = 2.0) -> Frames:
    """Log-probabilities (L,V) of a random, more or less certain model."""
    logits = np.random.default_rng(seed).normal(scale=scale, size=(length, symbols))
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
