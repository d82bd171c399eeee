"""Encoder of streams: a front that joins inputs to frames, and a stack over chunks of them.

B rows · T inputs (frames of features, pictures) · L encoder frames · M model dimension
"""

from collections.abc import Sequence
from typing import Annotated, NamedTuple, cast

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from whyformer.attention.mask import Chunk, Rule
from whyformer.errors import DataError
from whyformer.lengths import grouping, output_count
from whyformer.nn.stack import StackSpec
from whyformer.nn.streaming.state import StackState
from whyformer.nn.streaming.subsampling import ConvolutionalSubsamplingSpec, FrontState
from whyformer.nn.streaming.tubelet import TubeletSpec
from whyformer.position.layout import Facts, Layout
from whyformer.position.rotary import RotarySpec
from whyformer.spec import Spec

FrontSpec = Annotated[ConvolutionalSubsamplingSpec | TubeletSpec, Field(discriminator="kind")]
"""Any front: strided convolutions over frames of features, or tubelets over pictures."""


class Encoded(NamedTuple):
    """Encoder frames (B,L,M), and where they stand and which are real."""

    hidden: Tensor
    layout: Layout


class StreamingEncoderSpec(Spec):
    """A front, then a stack whose mask each pass may set: whole, or in chunks with some before them."""

    d_model: int = Field(default=256, ge=1)
    """Components of the vector that stands for an encoder frame."""
    front: FrontSpec = ConvolutionalSubsamplingSpec()
    """Joins inputs to encoder frames."""
    stack: StackSpec = StackSpec(mask=Chunk(size=8, left_chunks=4), positions=(RotarySpec(),))
    """Lets encoder frames read each other."""

    @model_validator(mode="after")
    def _fits_together(self) -> "StreamingEncoderSpec":
        block = self.stack.block
        if block.norm.over_batch:
            raise ValueError(
                "stack.block.norm.kind batch takes statistics of whole signals, which a stream does not "
                "have; use layer or rms"
            )
        if block.cross_attention is not None:
            raise ValueError(
                "stack.block.cross_attention is set, but an encoder has no memory to read; remove it"
            )
        try:
            self.stack.check(self.d_model, 1)
        except ValueError as error:
            raise ValueError(f"stack.{error}") from None
        return self

    def build(self) -> "StreamingEncoder":
        """The encoder, freshly initialised from torch's global random state."""
        return StreamingEncoder(self)


class EncoderState:
    """Past of some streams, a row each; ``join`` and ``split`` share their tensors wherever they can.

    The encoder replaces what a state holds and never writes into it, so a state that was split off stays
    what it was, whatever becomes of its batch.
    """

    def __init__(self, batch: tuple[FrontState, StackState], row: int | None = None) -> None:
        self._batch = batch
        self._row = row
        """The one row of the batch that this is; None for all of them."""

    @property
    def parts(self) -> tuple[FrontState, StackState]:
        """The states of front and stack."""
        front, stack = self._batch
        return self._batch if self._row is None else (front.select([self._row]), stack.select([self._row]))

    @property
    def rule(self) -> Rule:
        """The mask that the streams follow."""
        return self._batch[1].rule

    @property
    def frames(self) -> tuple[int, ...]:
        """Inputs that have come so far, of each row."""
        frames = self._batch[0].frames
        return frames if self._row is None else (frames[self._row],)

    @property
    def seen(self) -> tuple[int, ...]:
        """Encoder frames so far, of each row."""
        seen = self._batch[1].seen
        return seen if self._row is None else (seen[self._row],)

    @property
    def nbytes(self) -> int:
        """Bytes of all that is remembered, of all rows together."""
        total = sum(part.nbytes for part in self._batch)
        return total if self._row is None else total // max(len(self._batch[0].frames), 1)

    def split(self) -> "list[EncoderState]":
        """A state for each row; nothing is copied until one of them is used without the others."""
        if self._row is not None:
            return [self]
        return [EncoderState(self._batch, row) for row in range(len(self.frames))]

    def select(self, rows: Sequence[int]) -> "EncoderState":
        """A state of some ``rows``, in that order."""
        front, stack = self.parts
        return EncoderState((front.select(rows), stack.select(rows)))

    @staticmethod
    def join(states: "Sequence[EncoderState]") -> "EncoderState":
        """The rows of several states under each other: cheap where they come from one batch.

        Raises:
            ValueError: they follow different rules.
        """
        # Rows of one batch are taken from it together, then brought into their order.
        batches: dict[int, tuple[tuple[FrontState, StackState], list[int], list[int]]] = {}
        total = 0
        for state in states:
            count = len(state.frames)
            own = list(range(count)) if state._row is None else [state._row]
            _, rows, places = batches.setdefault(id(state._batch), (state._batch, [], []))
            rows += own
            places += range(total, total + count)
            total += count
        taken = [(front.select(rows), stack.select(rows)) for (front, stack), rows, _ in batches.values()]
        fronts, stacks = zip(*taken, strict=True)
        places = [place for _, _, places in batches.values() for place in places]
        order = sorted(range(total), key=places.__getitem__)
        front, stack = FrontState.join(fronts), StackState.join(stacks)
        return EncoderState((front.select(order), stack.select(order)))

    def replace(self, front: FrontState, stack: StackState) -> None:
        """Go on: hold these states from now on."""
        self._batch, self._row = (front, stack), None


class StreamingEncoder(nn.Module):
    """Frames of a signal, whole or piece by piece, to hidden states: one forward, with a state or without.

    In pieces it gives what it gives for the whole under the same rule, as nothing reads ahead of its chunk
    and everything that is read again is remembered.
    """

    def __init__(self, spec: StreamingEncoderSpec) -> None:
        super().__init__()
        self.spec = spec
        self.front = spec.front.build(spec.d_model)
        self.stack = spec.stack.build(spec.d_model)
        self.stride: int = self.front.stride
        """Inputs of one encoder frame."""

    def forward(
        self, frames: Tensor, lengths: Sequence[int], *, rule: Rule, state: EncoderState | None = None
    ) -> Encoded:
        """Encode whole signals, or the next piece of some streams.

        Args:
            frames: (B,T,·), as the front wants them; whatever is behind a row's length is not read.
            lengths: (B) inputs of each row.
            rule: who may attend to whom; a chunk also bounds how far a convolution looks ahead.
            state: past of the streams, which goes on by this piece; None for whole signals. Under a chunk a
                piece is that many encoder frames of inputs, or fewer, even none, in a row's last piece.

        Returns:
            Hidden states (B,L,M), L = ⌈max(lengths)/stride⌉, and their layout.

        Raises:
            ValueError: the piece cannot follow those before by the rule, or after a row's last piece; the
                state is then what it was.
        """
        rows = len(frames) if state is None else len(state.frames)
        if len(frames) != rows or len(lengths) != rows:
            raise ValueError(
                f"frames of {len(frames)} rows, {len(lengths)} lengths and a state of {rows} rows do not fit "
                "together; give one of each a stream"
            )
        front = stack = None
        if state is not None:
            front, stack = state.parts
            stack = stack.copy()
        x, front = self.front(frames, lengths, front)
        counts = self.counts(lengths)
        layout = _layout(counts, (0,) * len(counts) if stack is None else stack.seen, x.device)
        # A piece in which no row brings anything has no frame to encode.
        if x.shape[1]:
            x = self.stack(self.stack.embed(x, layout), layout, rule=rule, state=stack)
        if state is not None and stack is not None:
            state.replace(cast("FrontState", front), stack)
        return Encoded(x, layout)

    def counts(self, lengths: Sequence[int]) -> list[int]:
        """Encoder frames of signals, or pieces, of so many inputs."""
        return [output_count(length, grouping(self.stride)) for length in lengths]

    def new_state(self, rule: Rule, rows: int = 1, *, longest: int | None = None) -> EncoderState:
        """The state of ``rows`` streams that have not begun.

        Args:
            rule: the mask of all pieces.
            rows: how many streams.
            longest: most encoder frames that a stream may bring; None for a stream without end.

        Raises:
            DataError: positions are learned, and they are fewer than that.
        """
        for index, scheme in enumerate(self.spec.stack.positions):
            most = scheme.max_positions()
            if most is not None and (longest is None or longest > most):
                asked = "a stream without end" if longest is None else f"a stream of {longest} frames"
                raise DataError(
                    f"stack.positions.{index}.kind {scheme.kind} knows {most} positions, which cannot serve "
                    f"{asked}; train with a relative scheme, as rotary, or listen to shorter signals."
                )
        return EncoderState((self.front.new_state(rows), self.stack.new_state(rule, rows)))


def _layout(counts: Sequence[int], seen: Sequence[int], device: torch.device) -> Layout:
    """The layout (B,L) of ``counts`` new frames a row, behind those ``seen`` before."""
    length = max(counts, default=0)
    start = seen[0] if all(first == seen[0] for first in seen) else None
    column = torch.arange(length, device=device)
    if start is None:
        position = column + torch.tensor(seen, device=device)[:, None]
    else:
        # Views of one row, which tells rotations that they are alike.
        position = (column + start).expand(len(counts), -1)
    if all(count == length for count in counts):
        return Layout(position, facts=Facts(start, (min(seen), max(seen) + length - 1)))
    valid = column < torch.tensor(counts, device=device)[:, None]
    bounds = (min(seen), max(seen) + max(length - 1, 0))
    return Layout(position, valid, facts=Facts(start, bounds, min(counts), tuple(counts)))
