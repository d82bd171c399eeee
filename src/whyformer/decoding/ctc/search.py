"""Searches for the text of a stream of frames: they are fed any number of frames at a time.

L frames · V symbols, of which 0 is the blank
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field
from typing_extensions import override

from whyformer.decoding.ctc.prefixes import PrefixBeam, Pruning
from whyformer.decoding.ctc.sums import CTC_BLANK
from whyformer.errors import DecodingError
from whyformer.spec import Spec

FrameLogProbabilities = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class CTCHypothesis:
    """One reading of all frames so far, without the symbols that were committed."""

    ids: tuple[int, ...]
    """Its symbols."""
    score: float
    """Log-probability of the whole text since the first frame, committed symbols included, summed over those
    of its alignments that the search kept: a beam that prunes nothing keeps all, a greedy search one."""
    times: tuple[int, ...]
    """Frame in which the run of each symbol begins, in the best of those alignments; frames count from 0."""
    stable: int
    """Number of leading symbols that no further frame can change."""


class CTCSearch(ABC):
    """A search on its way. How frames are cut into pieces changes nothing that it finds, to the last bit."""

    def __init__(self) -> None:
        self.frames = 0
        """Number of frames fed."""

    def feed(self, log_probs: FrameLogProbabilities) -> None:
        """Read L more frames, ``log_probs`` (L,V); L may be 0.

        Raises:
            DecodingError: a frame holds no probabilities, but NaN or nothing possible; no frame was read.
        """
        if not len(log_probs):
            return
        if not (peaks := log_probs.max(axis=1) > -np.inf).all():
            frame = self.frames + int(peaks.argmin())
            raise DecodingError(
                f"frame {frame}: the model gave no probabilities (NaN, or none above 0); "
                "check the input for values that are not numbers, or take another checkpoint."
            )
        self._read(log_probs)
        self.frames += len(log_probs)

    @abstractmethod
    def hypotheses(self, n: int = 1) -> list[CTCHypothesis]:
        """The best ``n`` readings, best first; fewer if the search has fewer, never none."""

    @abstractmethod
    def commit(self) -> tuple[tuple[int, int], ...]:
        """Hand over what is final, and forget it: pairs of symbol and frame, of which none was there before.

        Final are stable symbols whose times all hypotheses share. Hypotheses are without them from then on,
        so an endless stream that is committed now and then takes constant memory.
        """

    @abstractmethod
    def _read(self, log_probs: FrameLogProbabilities) -> None: ...


class CTCGreedySpec(Spec):
    """The likeliest symbol of each frame; of equal ones that with the lowest id."""

    origin: ClassVar[str] = "best path decoding, Graves et al. 2006, section 3.2"
    kind: Literal["greedy"] = "greedy"

    def open(self) -> "CTCGreedySearch":
        """A search before its first frame."""
        return CTCGreedySearch()


class CTCPrefixBeamSpec(Spec):
    """The likeliest texts, each summed over its alignments; four settings prune, and all else is exact."""

    origin: ClassVar[str] = "prefix search, Hannun et al. 2014 (arXiv 1408.2873), algorithm 1"
    kind: Literal["prefix_beam"] = "prefix_beam"
    beam: int = Field(default=8, ge=1)
    """Texts that are kept after each frame."""
    symbols: int = Field(default=8, ge=1)
    """Symbols tried in each frame, the likeliest, besides the blank, which always is."""
    floor: float | None = Field(default=-7.0, lt=0.0)
    """Log-probability below which a symbol is not tried in a frame, unless blank is below it too; null tries
    all."""
    horizon: int | None = Field(default=100, ge=1)
    """Frames after which texts that differ from the best in a symbol are dropped, some time within as many
    again; null never, but then no bound is known for what an endless stream keeps."""

    def open(self) -> "CTCPrefixBeamSearch":
        """A search before its first frame."""
        floor = -np.inf if self.floor is None else self.floor
        return CTCPrefixBeamSearch(Pruning(self.beam, self.symbols, floor, self.horizon))


CTCSearchSpec = Annotated[CTCGreedySpec | CTCPrefixBeamSpec, Field(discriminator="kind")]


class CTCGreedySearch(CTCSearch):
    """The best path, which is also the best alignment of its text; a symbol that began stays."""

    def __init__(self) -> None:
        super().__init__()
        self._last = CTC_BLANK
        self._score = 0.0
        self._said: list[tuple[int, int]] = []

    @override
    def hypotheses(self, n: int = 1) -> list[CTCHypothesis]:
        ids, times = tuple(symbol for symbol, _ in self._said), tuple(frame for _, frame in self._said)
        return [CTCHypothesis(ids, self._score, times, len(ids))]

    @override
    def commit(self) -> tuple[tuple[int, int], ...]:
        final = tuple(self._said)
        self._said.clear()
        return final

    @override
    def _read(self, log_probs: FrameLogProbabilities) -> None:
        best = log_probs.argmax(axis=1)
        scores: list[float] = log_probs[np.arange(len(best)), best].tolist()
        symbols: list[int] = best.tolist()
        for frame, (symbol, score) in enumerate(zip(symbols, scores, strict=True), self.frames):
            self._score += score
            if symbol not in (CTC_BLANK, self._last):
                self._said.append((symbol, frame))
            self._last = symbol


class CTCPrefixBeamSearch(CTCSearch):
    """The best prefixes; see ``prefixes.PrefixBeam`` for how they are kept."""

    def __init__(self, pruning: Pruning) -> None:
        super().__init__()
        self._pruning = pruning
        self._prefixes = PrefixBeam(pruning.beam, pruning.horizon)

    @override
    def hypotheses(self, n: int = 1) -> list[CTCHypothesis]:
        stable = self._prefixes.stable
        return [CTCHypothesis(*reading, stable) for reading in self._prefixes.readings(n)]

    @override
    def commit(self) -> tuple[tuple[int, int], ...]:
        return self._prefixes.commit()

    @override
    def _read(self, log_probs: FrameLogProbabilities) -> None:
        tried = self._pruning.tried(log_probs)
        blanks: list[float] = log_probs[:, CTC_BLANK].tolist()
        for frame, (blank, symbols) in enumerate(zip(blanks, tried, strict=True), self.frames):
            if symbols:
                self._prefixes.step(frame, blank, symbols)
            else:
                self._prefixes.step_blank(frame, blank)
