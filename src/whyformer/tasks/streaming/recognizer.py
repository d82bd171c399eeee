"""Streams: signals that are recognised piece by piece, many of them in one batch.

B streams · T input frames · L encoder frames · V symbols, blank included
"""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from whyformer.attention.mask import Chunk, Rule
from whyformer.decoding.ctc.search import CTCSearch, CTCSearchSpec
from whyformer.models.streaming_ctc import StreamingCTC
from whyformer.models.streaming_encoder import EncoderState


class Stream:
    """One signal: frames that wait to be recognised, the encoder's state, and the search over what it emitted."""

    def __init__(self, search: CTCSearch, state: EncoderState | None, piece: int | None) -> None:
        self.search = search
        self.state = state
        """Caches of the encoder; None where the whole signal is one piece."""
        self.closed = False
        self.keeps_hidden = False
        self.hidden: list[Tensor] = []
        """States (L,M) of the present segment, piece by piece, for a decoder to rescore by."""
        self.blanks: list[NDArray[np.float32]] = []
        """Probabilities of blank in the frames since they were last taken."""
        self.frames = 0
        """Encoder frames that were computed."""
        self._piece = piece
        self._waiting: list[NDArray[np.float32]] = []
        self._count = 0

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
        if self._piece is not None and self._count >= self._piece:
            return True
        return self.closed and self._count > 0

    def take(self) -> NDArray[np.float32]:
        """The frames of the next piece, at most a chunk of them; they wait no longer."""
        joined = self._waiting[0] if len(self._waiting) == 1 else np.concatenate(self._waiting)
        size = len(joined) if self._piece is None else min(self._piece, len(joined))
        rest = joined[size:]
        # A copy, so that what was computed can be forgotten.
        self._waiting = [rest.copy()] if len(rest) else []
        self._count = len(rest)
        return joined[:size]

    @property
    def bytes(self) -> int:
        """Memory of the encoder's caches and of the frames that wait."""
        waiting = sum(frames.nbytes for frames in self._waiting)
        return waiting + (0 if self.state is None else self.state.nbytes)


class Recognizer:
    """A model and the pieces that it is fed in; streams are its inputs, and each computes as if it were alone.

    Args:
        model: in evaluation mode.
        rule: chunks that a frame sees; ``Everything`` takes a signal whole.
        search: way to read what the frames emit.
    """

    def __init__(self, model: StreamingCTC, rule: Rule, search: CTCSearchSpec, *, keeps_hidden: bool = False) -> None:
        self.model = model
        self.rule = rule
        self.search = search
        self.keeps_hidden = keeps_hidden

    @property
    def piece(self) -> int | None:
        """Input frames in a piece; None where a signal is fed whole."""
        return self.rule.size * self.model.encoder.stride if isinstance(self.rule, Chunk) else None

    def open(self) -> Stream:
        """A stream that nothing has come from yet."""
        state = None if self.piece is None else self.model.encoder.new_state(self.rule)
        stream = Stream(self.search.open(), state, self.piece)
        stream.keeps_hidden = self.keeps_hidden
        return stream

    @torch.inference_mode()
    def advance(self, streams: Sequence[Stream]) -> list[Stream]:
        """Compute one piece of each stream that has one, in one batch; those streams come back."""
        ready = [stream for stream in streams if stream.ready]
        if not ready:
            return []
        pieces = [stream.take() for stream in ready]
        lengths = [len(piece) for piece in pieces]
        states = [stream.state for stream in ready]
        state = None if self.piece is None else EncoderState.join([each for each in states if each is not None])
        device = self.model.emit.weight.device
        emissions = self.model(side_by_side(pieces).to(device), lengths, self.rule, state)
        if state is not None:
            for stream, own in zip(ready, state.split(), strict=True):
                stream.state = own
        stride = self.model.encoder.stride
        for row, (stream, length) in enumerate(zip(ready, lengths, strict=True)):
            count = -(-length // stride)
            log_probs = emissions.log_probs[row, :count].cpu().numpy()
            stream.search.feed(log_probs)
            stream.blanks.append(np.exp(log_probs[:, 0]))
            stream.frames += count
            if stream.keeps_hidden:
                stream.hidden.append(emissions.hidden[row, :count])
        return ready


def side_by_side(pieces: Sequence[NDArray[np.float32]]) -> Tensor:
    """Pieces (T,...) in one batch, shorter ones filled with zeros."""
    longest = max(map(len, pieces))
    batch = np.zeros((len(pieces), longest, *pieces[0].shape[1:]), dtype=np.float32)
    for row, piece in zip(batch, pieces, strict=True):
        row[: len(piece)] = piece
    return torch.from_numpy(batch)
