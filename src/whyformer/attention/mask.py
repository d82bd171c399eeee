"""Masks: who may attend to whom. True = may attend, everywhere, without exception.

B batch · Q query length · K key length

A *rule* is a frozen value that compares positions; a *mask* joins a rule with the padding of one
batch. Rules combine by ``&`` and ``|``. Because rules see positions and never lengths, caches, left
padding and streaming need no special case.
"""

from abc import ABC, abstractmethod
from typing import Annotated, ClassVar, Literal, NamedTuple, cast

import torch
from pydantic import Field
from torch import Tensor
from typing_extensions import override

from whyformer.position.layout import Layout
from whyformer.position.lazy import lazy
from whyformer.position.offsets import facing, offsets_between
from whyformer.spec import Spec

ROWS = 128
"""Queries of a block: enough for good products, and few enough that their logits stay near the processor."""


class VisibleRange(NamedTuple):
    """How many positions before its own a query may see at most, and how many after; None = any number."""

    back: int | None
    ahead: int | None


class Rule(Spec, ABC):
    """A frozen, composable predicate over two axes; a recipe may name it by its kind."""

    @property
    def visible_range(self) -> VisibleRange:
        """How far a query may see at most; kernels leave out the keys beyond."""
        return VisibleRange(None, None)

    @property
    def causal(self) -> bool:
        """Whether no query may attend to a later position, so that a decoder may use the rule."""
        return self.visible_range.ahead == 0

    def exact_in_pieces(self, size: int) -> bool:
        """Whether texts may be fed ``size`` positions at a time, each piece with those before in a cache.

        So it is where no query may attend to a later piece, which the cache does not have yet.
        """
        return self.causal

    def between(self, queries: Layout, keys: Layout) -> "Rule":
        """The simplest rule that is known, by the facts of these two, to allow the same between them."""
        return self

    @abstractmethod
    def allows(self, queries: Layout, keys: Layout) -> Tensor:
        """Whether each query may attend to each key: bool, broadcastable to (B,Q,K)."""

    def __and__(self, other: "MaskRule") -> "Both":
        return Both(first=cast("MaskRule", self), second=other)

    def __or__(self, other: "MaskRule") -> "Either":
        return Either(first=cast("MaskRule", self), second=other)

    def draw(self, *segments: int) -> str:
        """The rule for a row of ``segments`` packed by length: a line a query, ``x`` = may attend."""
        segment = torch.repeat_interleave(torch.arange(len(segments)), torch.tensor(segments))[None]
        layout = Layout(torch.arange(sum(segments))[None], segment=segment)
        matrix = self.allows(layout, layout).expand(1, sum(segments), sum(segments))[0]
        return "\n".join(" ".join("x" if cell else "." for cell in row) for row in matrix.tolist())


class Everything(Rule):
    """Every query may attend to every key: an encoder, and cross-attention.

    >>> print(Everything().draw(3))
    x x x
    x x x
    x x x
    """

    origin: ClassVar[str] = "Vaswani et al. 2017, section 3.2.3"
    kind: Literal["everything"] = "everything"

    @override
    def allows(self, queries: Layout, keys: Layout) -> Tensor:
        return torch.ones(1, 1, 1, dtype=torch.bool, device=queries.position.device)


EVERYTHING = Everything()
"""The one value that the rule has."""


class Causal(Rule):
    """A query may attend to keys at its own position and before: a decoder.

    >>> print(Causal().draw(4))
    x . . .
    x x . .
    x x x .
    x x x x
    """

    origin: ClassVar[str] = "Vaswani et al. 2017, section 3.2.3"
    kind: Literal["causal"] = "causal"

    @property
    @override
    def visible_range(self) -> VisibleRange:
        return VisibleRange(None, 0)

    @override
    def between(self, queries: Layout, keys: Layout) -> Rule:
        return _everything_if(self, queries, keys)

    @override
    def allows(self, queries: Layout, keys: Layout) -> Tensor:
        # (B,Q,1) against (B,1,K) -> (B,Q,K)
        query, key = facing(queries, keys)
        return key <= query


class Window(Rule):
    """A query may attend to near keys only, so that cost grows with the length and not with its square.

    >>> print(Window(left=1, right=1).draw(4))
    x x . .
    x x x .
    . x x x
    . . x x
    """

    origin: ClassVar[str] = "Beltagy et al. 2020, section 3.1"
    kind: Literal["window"] = "window"
    left: int = Field(ge=0)
    """Positions before its own that a query may see."""
    right: int = Field(ge=0)
    """Positions after its own that a query may see; 0 for a decoder."""

    @property
    @override
    def visible_range(self) -> VisibleRange:
        return VisibleRange(self.left, self.right)

    @override
    def between(self, queries: Layout, keys: Layout) -> Rule:
        return _everything_if(self, queries, keys)

    @override
    def allows(self, queries: Layout, keys: Layout) -> Tensor:
        offset = offsets_between(queries, keys)
        return (-self.left <= offset) & (offset <= self.right)


class Chunk(Rule):
    """A query may attend to all of its own chunk and to some before: an encoder that listens to a stream.

    >>> print(Chunk(size=2, left_chunks=1).draw(6))
    x x . . . .
    x x . . . .
    x x x x . .
    x x x x . .
    . . x x x x
    . . x x x x
    """

    origin: ClassVar[str] = "Zhang et al. 2020 (U2), section 3.2"
    kind: Literal["chunk"] = "chunk"
    size: int = Field(ge=1)
    """Positions in a chunk."""
    left_chunks: int | None = Field(default=None, ge=0)
    """Chunks before its own that a query may see; all of them if left out."""

    @property
    @override
    def visible_range(self) -> VisibleRange:
        back = None if self.left_chunks is None else (self.left_chunks + 1) * self.size - 1
        return VisibleRange(back, self.size - 1)

    @override
    def exact_in_pieces(self, size: int) -> bool:
        return size % self.size == 0

    @override
    def between(self, queries: Layout, keys: Layout) -> Rule:
        if queries.bounds is None or keys.bounds is None:
            return self
        (first, last), (low, high) = (
            [at // self.size for at in side.bounds or ()] for side in (queries, keys)
        )
        near = self.left_chunks is None or last - low <= self.left_chunks
        return EVERYTHING if near and high <= first else self

    @override
    def allows(self, queries: Layout, keys: Layout) -> Tensor:
        # (B,Q,1) minus (B,1,K) -> (B,Q,K), in chunks
        query, key = facing(queries, keys)
        back = query // self.size - key // self.size
        return back >= 0 if self.left_chunks is None else (back >= 0) & (back <= self.left_chunks)


class SameSegment(Rule):
    """A query may attend to its own segment only: sentences packed into one row do not see each other.

    >>> print((Causal() & SameSegment()).draw(2, 3))
    x . . . .
    x x . . .
    . . x . .
    . . x x .
    . . x x x
    """

    origin: ClassVar[str] = "Raffel et al. 2020, section 3.1 (packing)"
    kind: Literal["same_segment"] = "same_segment"

    @override
    def between(self, queries: Layout, keys: Layout) -> Rule:
        return EVERYTHING if queries.segment is None or keys.segment is None else self

    @override
    def allows(self, queries: Layout, keys: Layout) -> Tensor:
        # (B,Q,1) against (B,1,K) -> (B,Q,K); all of it where a side has no segments
        if queries.segment is None or keys.segment is None:
            return EVERYTHING.allows(queries, keys)
        return queries.segment[:, :, None] == keys.segment[:, None, :]


class Both(Rule):
    """Where both rules allow: ``first & second``.

    >>> (Causal() & Window(left=1, right=1)).draw(3) == Window(left=1, right=0).draw(3)
    True
    """

    origin: ClassVar[str] = "set intersection"
    kind: Literal["both"] = "both"
    first: "MaskRule"
    """One rule."""
    second: "MaskRule"
    """The other rule."""

    @property
    @override
    def visible_range(self) -> VisibleRange:
        one, other = self.first.visible_range, self.second.visible_range
        return VisibleRange(_shorter(one.back, other.back), _shorter(one.ahead, other.ahead))

    @override
    def exact_in_pieces(self, size: int) -> bool:
        return self.causal or self.first.exact_in_pieces(size) or self.second.exact_in_pieces(size)

    @override
    def between(self, queries: Layout, keys: Layout) -> Rule:
        first, second = (rule.between(queries, keys) for rule in (self.first, self.second))
        if isinstance(first, Everything):
            return second
        return first if isinstance(second, Everything) else self

    @override
    def allows(self, queries: Layout, keys: Layout) -> Tensor:
        return self.first.allows(queries, keys) & self.second.allows(queries, keys)


class Either(Rule):
    """Where one rule or the other allows: ``first | second``.

    >>> (Causal() | Everything()).draw(3) == Everything().draw(3)
    True
    """

    origin: ClassVar[str] = "set union"
    kind: Literal["either"] = "either"
    first: "MaskRule"
    """One rule."""
    second: "MaskRule"
    """The other rule."""

    @property
    @override
    def visible_range(self) -> VisibleRange:
        one, other = self.first.visible_range, self.second.visible_range
        return VisibleRange(_longer(one.back, other.back), _longer(one.ahead, other.ahead))

    @override
    def exact_in_pieces(self, size: int) -> bool:
        return self.first.exact_in_pieces(size) and self.second.exact_in_pieces(size)

    @override
    def between(self, queries: Layout, keys: Layout) -> Rule:
        first, second = (rule.between(queries, keys) for rule in (self.first, self.second))
        return EVERYTHING if EVERYTHING in (first, second) else self

    @override
    def allows(self, queries: Layout, keys: Layout) -> Tensor:
        return self.first.allows(queries, keys) | self.second.allows(queries, keys)


def _everything_if(rule: Rule, queries: Layout, keys: Layout) -> Rule:
    """Everything, where all offsets are known to lie in what ``rule``, which reads nothing else, can see."""
    (back, ahead), asking, read = rule.visible_range, queries.bounds, keys.bounds
    if asking is None or read is None:
        return rule
    far_back = back is not None and asking[1] - read[0] > back
    far_ahead = ahead is not None and read[1] - asking[0] > ahead
    return rule if far_back or far_ahead else EVERYTHING


def _shorter(one: int | None, other: int | None) -> int | None:
    return min((reach for reach in (one, other) if reach is not None), default=None)


def _longer(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else max(one, other)


MaskRule = Annotated[
    Everything | Causal | Window | Chunk | SameSegment | Both | Either, Field(discriminator="kind")
]
Both.model_rebuild()
Either.model_rebuild()


class Mask:
    """A rule joined with the padding of one batch; built once per stack per forward pass."""

    def __init__(self, rule: Rule, queries: Layout, keys: Layout) -> None:
        self.rule = rule.between(queries, keys)
        self.queries = queries
        self.keys = keys
        self._penalties: dict[torch.dtype, Tensor] = {}
        if (asking := len(queries.position)) != (read := len(keys.position)):
            raise ValueError(f"queries of {asking} sentences cannot read keys of {read}")

    @lazy
    def allowed(self) -> Tensor | None:
        """(B,1,Q,K) bool, sizes of 1 broadcast; None where nothing is forbidden."""
        if isinstance(self.rule, Everything) and self.keys.valid is None:
            return None
        allowed = self.rule.allows(self.queries, self.keys)
        # Padding on the right is too late to be seen by a token, so all rows share a triangle.
        if self.keys.valid is not None and not self.is_plain_causal:
            allowed = allowed & self.keys.valid[:, None, :]
        # A look at the data is free on a CPU; elsewhere it would make the host wait for the device.
        if allowed.device.type == "cpu" and bool(allowed.all()):
            return None
        # (B,Q,K) -> (B,1,Q,K), over all heads
        return allowed[:, None]

    @lazy
    def reachable(self) -> Tensor | None:
        """(B,1,Q,1) bool, sizes of 1 broadcast: queries that see at least one key; None where all do."""
        if self.is_plain_causal or isinstance(self.rule, Everything):
            # A sentence that is not empty begins with a real token, which all of it sees: no matrix needed.
            if self.keys.valid is None or self.keys.shortest:
                return None
            if self.is_plain_causal:
                return self.keys.valid[:, None, :1, None]
        if self.allowed is None:
            return None
        reachable = self.allowed.any(dim=-1, keepdim=True)
        return None if reachable.device.type == "cpu" and bool(reachable.all()) else reachable

    def penalty(self, dtype: torch.dtype) -> Tensor | None:
        """Penalty added to the logits: 0 where allowed, the lowest finite number elsewhere; None for nothing.

        It is finite so that a query without keys gives finite numbers, which ``reachable`` then turns
        into zeros, forward and backward; minus infinity would give NaN.
        """
        if self.allowed is None:
            return None
        if dtype not in self._penalties:
            penalty = torch.zeros(self.allowed.shape, dtype=dtype, device=self.allowed.device)
            self._penalties[dtype] = penalty.masked_fill_(~self.allowed, torch.finfo(dtype).min)
        return self._penalties[dtype]

    @lazy
    def is_plain_causal(self) -> bool:
        """Whether this is just the lower triangle, for which kernels have a form without a matrix.

        Padding on the right changes nothing there: real tokens never see it.
        """
        if not isinstance(self.rule, Causal) or self.queries is not self.keys:
            return False
        return self.keys.start is not None and self.keys.shortest is not None

    @lazy
    def blocks(self) -> list[tuple[slice, slice]]:
        """Some queries after others, each time with the keys from the first to the last that they may see."""
        length = self.queries.position.shape[1]
        rows = (slice(first, min(first + ROWS, length)) for first in range(0, length, ROWS))
        return [(block, self._columns(block)) for block in rows]

    @property
    def narrow(self) -> bool:
        """Whether most keys are in no block, so that it pays to go block by block."""
        work = sum((rows.stop - rows.start) * (keys.stop - keys.start) for rows, keys in self.blocks)
        return 2 * work < self.queries.position.shape[1] * self.keys.position.shape[1]

    def part(self, rows: slice, columns: slice) -> "Mask":
        """The mask between some queries and some keys."""
        return Mask(self.rule, self.queries.cut(rows), self.keys.cut(columns))

    def _columns(self, rows: slice) -> slice:
        count, (back, ahead) = self.keys.position.shape[1], self.rule.visible_range
        if self.queries.start is None or self.keys.start is None:
            # Packed sentences, padding on the left: one has to look.
            allowed = self.part(rows, slice(0, count)).allowed
            seen = None if allowed is None else allowed.any(dim=2).any(dim=0).flatten().nonzero()
            if seen is None or not len(seen):
                return slice(0, count)
            return slice(int(seen[0]), int(seen[-1]) + 1)
        shift = self.queries.start - self.keys.start
        first = 0 if back is None else shift + rows.start - back
        last = count if ahead is None else shift + rows.stop + ahead
        first = min(max(first, 0), count)
        return slice(first, max(first, min(last, count)))
