"""A layout: where the tokens on one side of an attention stand, and what is known of that without looking.

B batch · L length
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from whyformer.position.lazy import lazy


@dataclass(frozen=True)
class Facts:
    """Truths about a layout, told by its maker as plain numbers; None is not known.

    Whoever makes a batch has them before the tensors, which on an accelerator nobody could read without
    waiting for it.
    """

    start: int | None = None
    """The first position, where all rows count up from it one by one."""
    bounds: tuple[int, int] | None = None
    """Positions that no token stands before, and none after; they may be wide."""
    shortest: int | None = None
    """Real tokens that every row begins with at least, where padding is on the right only."""
    lengths: tuple[int, ...] | None = None
    """Real tokens of each row, where padding is on the right only."""


@dataclass(frozen=True)
class Layout:
    """One side of an attention: where its tokens stand, which of them are real, which belong together.

    ``position`` (B,L) int64; ``valid`` (B,L) bool, or None where all are real; ``segment`` (B,L) int64
    numbers the sentences packed into a row, or None where a row is one sentence. A layout of bare tensors
    has no ``facts``: on a CPU, where that is cheap, it looks for those it is asked for, elsewhere never.
    """

    position: Tensor
    valid: Tensor | None = None
    segment: Tensor | None = None
    facts: Facts = Facts()

    def __post_init__(self) -> None:
        shape = self.position.shape
        for name, x, kind in (
            ("position", self.position, torch.int64),
            ("valid", self.valid, torch.bool),
            ("segment", self.segment, torch.int64),
        ):
            if x is not None and (x.dtype != kind or x.shape != shape or x.dim() != 2):
                raise TypeError(f"{name} must be a {kind} tensor (B,L) like position, not {_describe(x)}")

    @staticmethod
    def of(padding: "Padding") -> "Layout":
        """The layout of sentences (B,L) padded on either side: the first real token stands at 0."""
        if isinstance(padding, Layout):
            return padding
        column = torch.arange(padding.shape[1], device=padding.device)
        first = padding.int().argmax(dim=1, keepdim=True)
        bounds = (0, max(padding.shape[1] - 1, 0))
        return Layout((column - first).clamp_min(0), padding, facts=Facts(bounds=bounds))

    @staticmethod
    def counting(rows: int, length: int, *, start: int = 0, device: torch.device | str = "cpu") -> "Layout":
        """As many ``rows`` of real tokens that count up from ``start``: (B,L)."""
        position = torch.arange(start, start + length, device=device).expand(rows, -1)
        return Layout(position, facts=Facts(start))

    @staticmethod
    def right_padded(valid: Tensor, lengths: Sequence[int] | None = None) -> "Layout":
        """The layout of sentences that are padded on the right only, counted from 0.

        ``valid`` (B,L) shows their real tokens; ``lengths`` (B) are the numbers of them, if those are known.
        """
        rows, width = valid.shape
        if lengths is not None and all(length == width for length in lengths):
            return Layout.counting(rows, width, device=valid.device)
        position = torch.arange(width, device=valid.device).expand(rows, -1)
        if lengths is None:
            return Layout(position, valid, facts=Facts(0, shortest=0))
        return Layout(position, valid, facts=Facts(0, shortest=min(lengths), lengths=tuple(lengths)))

    def without_last(self) -> "Layout":
        """The same sentences, padded on the right only, without the last token of each: (B,L-1)."""
        lengths = None if self.lengths is None else [max(length - 1, 0) for length in self.lengths]
        return Layout.right_padded(self.real[:, 1:], lengths)

    @lazy
    def start(self) -> int | None:
        """The first position, where all rows are known to count up from it one by one."""
        if self.facts.start is not None or self.position.device.type != "cpu":
            return self.facts.start
        first = self.position[:1]
        if not first.numel():
            return None
        counts_up = bool((first.diff(dim=1) == 1).all()) and bool((self.position == first).all())
        return int(first[0, 0]) if counts_up else None

    @property
    def bounds(self) -> tuple[int, int] | None:
        """Positions that no token is known to stand before, and none after; never by a look."""
        start = self.facts.start
        return self.facts.bounds if start is None else (start, start + self.position.shape[1] - 1)

    @property
    def last(self) -> int:
        """A position that no token stands after; one has to look where none is known."""
        if self.bounds is not None:
            return self.bounds[1]
        return int(self.position.max()) if self.position.numel() else -1

    @lazy
    def shortest(self) -> int | None:
        """Real tokens that every row begins with at least, where padding is known to be on the right only."""
        if self.valid is None:
            return self.position.shape[1]
        if self.facts.shortest is not None or self.valid.device.type != "cpu":
            return self.facts.shortest
        if not self.valid.numel() or bool((self.valid[:, 1:] > self.valid[:, :-1]).any()):
            return None
        return int(self.valid.sum(dim=1).min())

    @property
    def real(self) -> Tensor:
        """(B,L) bool, True where a token is real."""
        return torch.ones_like(self.position, dtype=torch.bool) if self.valid is None else self.valid

    @lazy
    def real_indices(self) -> Tensor:
        """(N,) int64, the places of real tokens in (B·L,), in their order.

        Where lengths are known nobody waits for an accelerator, as whoever asks it for true cells has to.
        """
        if self.lengths is None:
            return self.real.flatten().nonzero().flatten()
        real = torch.arange(self.position.shape[1]) < torch.tensor(self.lengths, dtype=torch.int64)[:, None]
        return real.flatten().nonzero().flatten().to(self.position.device)

    @property
    def lengths(self) -> tuple[int, ...] | None:
        """Real tokens of each row, where they are known to be followed by nothing but padding."""
        rows, length = self.position.shape
        return (length,) * rows if self.valid is None else self.facts.lengths

    def followed_by(self, other: "Layout") -> "Layout":
        """The tokens of this layout, then those of ``other``; segments count only where both have them."""
        valid = segment = None
        if self.valid is not None or other.valid is not None:
            valid = torch.cat([self.real, other.real], dim=1)
        if self.segment is not None and other.segment is not None:
            segment = torch.cat([self.segment, other.segment], dim=1)
        return Layout(
            torch.cat([self.position, other.position], dim=1), valid, segment, self._facts_before(other)
        )

    def _facts_before(self, other: "Layout") -> Facts:
        length, facts, more = self.position.shape[1], self.facts, other.facts
        start = facts.start if facts.start is not None and more.start == facts.start + length else None
        bounds = None
        if self.bounds is not None and other.bounds is not None:
            bounds = min(self.bounds[0], other.bounds[0]), max(self.bounds[1], other.bounds[1])
        if self.valid is not None or other.valid is None or more.shortest is None:
            return Facts(start, bounds)
        lengths = None if more.lengths is None else tuple(length + real for real in more.lengths)
        return Facts(start, bounds, length + more.shortest, lengths)

    def cut(self, columns: slice) -> "Layout":
        """Some of the tokens."""
        first, stop, _ = columns.indices(self.position.shape[1])
        facts = self.facts

        def kept(length: int) -> int:
            return max(min(length, stop) - first, 0)

        cut = replace(
            facts,
            start=None if facts.start is None else facts.start + first,
            shortest=None if facts.shortest is None else kept(facts.shortest),
            lengths=None if facts.lengths is None else tuple(map(kept, facts.lengths)),
        )
        return self._each(lambda part: part[:, columns], cut)

    def in_rows(self, rows: int) -> "Layout":
        """The same tokens (B,L) in fewer ``rows`` (B',L'), of which each holds several of these in a row."""
        if rows == len(self.position):
            return self
        return self._each(lambda part: part.reshape(rows, -1), Facts(bounds=self.bounds))

    def select(self, rows: Tensor) -> "Layout":
        """Keep, reorder or repeat sentences: ``rows`` (B',) int64."""
        # Which length is whose would be a look at the rows.
        return self._each(lambda part: part[rows], replace(self.facts, lengths=None))

    def repeated(self, times: int) -> "Layout":
        """The same sentences ``times`` over, one round after another."""
        lengths = None if self.facts.lengths is None else self.facts.lengths * times
        return self._each(lambda part: part.repeat(times, 1), replace(self.facts, lengths=lengths))

    def shifted(self, by: int) -> "Layout":
        """The same tokens ``by`` positions later."""
        start, bounds = self.facts.start, self.facts.bounds
        later = replace(
            self.facts,
            start=None if start is None else start + by,
            bounds=None if bounds is None else (bounds[0] + by, bounds[1] + by),
        )
        return replace(self, position=self.position + by, facts=later)

    def _each(self, change: Callable[[Tensor], Tensor], facts: Facts) -> "Layout":
        """The layout whose every part is changed alike, and whose ``facts`` then are these."""
        return Layout(
            change(self.position),
            None if self.valid is None else change(self.valid),
            None if self.segment is None else change(self.segment),
            facts,
        )


Padding = Tensor | Layout
"""Which tokens of a batch are real: (B,L) bool, or the layout that knows."""


def real_tokens(padding: Padding) -> Tensor:
    """(B,L) bool, True where a token is real."""
    return padding.real if isinstance(padding, Layout) else padding


def _describe(x: Tensor) -> str:
    return f"{x.dtype} of shape {tuple(x.shape)}"
