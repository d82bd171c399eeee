"""Streams: signals that are recognised piece by piece, many of them in one batch.

B streams · T input frames · L encoder frames · V symbols, blank included · M model dimension
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from whyformer.attention.mask import Chunk, Rule
from whyformer.models.streaming.ctc import StreamingCTC
from whyformer.models.streaming.encoder import EncoderState

IDLE_ROUNDS = 64
"""Rounds of others after which a stream's caches leave the batch that they were made in: more than a live
stream waits for its chunk, as taking a row out is a copy."""


class Emitted(NamedTuple):
    """Output of one piece of a stream."""

    log_probs: NDArray[np.float32]
    """(L,V), blank at 0."""
    hidden: Tensor
    """(L,M)."""


class Stream:
    """One signal: frames that wait until their chunk is whole, and the encoder's memory of those before."""

    def __init__(self, piece: int | None, state: EncoderState | None) -> None:
        self.state = state
        """Caches of the encoder; None where the whole signal is one piece."""
        self.closed = False
        self.emitted: Emitted | None = None
        """Output of the last piece."""
        self.frames = 0
        """Encoder frames that were computed."""
        self.piece = piece
        """Input frames in a piece; None where the whole signal is one."""
        self._waiting: list[NDArray[np.float32]] = []
        self._count = 0
        self._idle = 0

    def push(self, frames: NDArray[np.float32]) -> None:
        """Let ``frames`` (T,...) wait for their chunk to be whole."""
        if len(frames):
            self._waiting.append(frames)
            self._count += len(frames)

    def close(self) -> None:
        """Let what waits be computed although its chunk is not whole: no more will come."""
        self.closed = True

    @property
    def ready(self) -> bool:
        """Whether a piece can be computed."""
        if self.piece is not None and self._count >= self.piece:
            return True
        return self.closed and self._count > 0

    def take(self) -> NDArray[np.float32]:
        """The frames of the next piece, at most a chunk of them; they wait no longer."""
        joined = self._waiting[0] if len(self._waiting) == 1 else np.concatenate(self._waiting)
        size = len(joined) if self.piece is None else min(self.piece, len(joined))
        rest = joined[size:]
        # A copy, so that what was computed can be forgotten.
        self._waiting = [rest.copy()] if len(rest) else []
        self._count = len(rest)
        return joined[:size]

    def accept(self, emitted: Emitted, state: EncoderState | None) -> None:
        """Take the output of a piece, and what the encoder remembers of it."""
        self.emitted, self.state = emitted, state
        self.frames += len(emitted.log_probs)
        self._idle = 0

    def wait(self) -> None:
        """Be left out of a batch; who waits long keeps no memory of those that it was computed with."""
        self._idle += 1
        if self._idle == IDLE_ROUNDS and self.state is not None:
            self.state = self.state.select([0])

    @property
    def bytes(self) -> int:
        """Memory of the encoder's caches and of the frames that wait."""
        waiting = sum(frames.nbytes for frames in self._waiting)
        return waiting + (0 if self.state is None else self.state.nbytes)


class Recognizer:
    """A model and the pieces that it is fed in; its streams can share batches, each as if it were alone.

    Args:
        model: in evaluation mode.
        rule: chunks that a frame sees; ``Everything`` takes a signal whole.
    """

    def __init__(self, model: StreamingCTC, rule: Rule) -> None:
        self.model = model
        self.rule = rule

    @property
    def piece(self) -> int | None:
        """Input frames in a piece; None where a signal is fed whole."""
        return self.rule.size * self.model.encoder.stride if isinstance(self.rule, Chunk) else None

    def open(self) -> Stream:
        """A stream that nothing has come from yet."""
        return Stream(self.piece, None if self.piece is None else self.model.encoder.new_state(self.rule))

    @torch.inference_mode()
    def advance(self, streams: Sequence[Stream]) -> list[Stream]:
        """Compute one piece of each stream that has one, in one batch; those streams come back."""
        ready = [stream for stream in streams if stream.ready]
        if not ready:
            return []
        pieces = [stream.take() for stream in ready]
        lengths = [len(piece) for piece in pieces]
        states = [stream.state for stream in ready if stream.state is not None]
        state = EncoderState.join(states) if states else None
        frames = batch_of(pieces).to(self.model.emit.weight.device)
        hidden, _, log_probs = self.model(frames, lengths, self.rule, state)
        after = [None] * len(ready) if state is None else state.split()
        emitted = log_probs.cpu().numpy()
        counts = self.model.encoder.counts(lengths)
        for row, (stream, count, own) in enumerate(zip(ready, counts, after, strict=True)):
            stream.accept(Emitted(emitted[row, :count], hidden[row, :count]), own)
        return ready


def batch_of(pieces: Sequence[NDArray[np.float32]]) -> Tensor:
    """Pieces (T,...) in one batch, shorter ones filled with zeros."""
    longest = max(map(len, pieces))
    batch = np.zeros((len(pieces), longest, *pieces[0].shape[1:]), dtype=np.float32)
    for row, piece in zip(batch, pieces, strict=True):
        row[: len(piece)] = piece
    return torch.from_numpy(batch)
