"""Masks: who may attend to whom. True = may attend, everywhere, without exception.

B batch · Q query length · K key length

A *rule* is a frozen value that compares positions; a *mask* joins a rule with the padding of one
batch. Rules combine by ``&`` and ``|``. Because rules see positions and never lengths, caches, left
padding and streaming need no special case.
"""

from abc import ABC, abstractmethod
from functools import cached_property
from typing import Annotated, ClassVar, Literal, cast

import torch
from pydantic import Field
from torch import Tensor
from typing_extensions import override

from whyformer.position.axis import Axis
from whyformer.spec import Spec


class Rule(Spec, ABC):
    """A frozen, composable predicate over two axes; a recipe may name it by its kind."""

    @property
    def causal(self) -> bool:
        """Whether no query may attend to a later position, so that a decoder may use the rule."""
        return False

    @abstractmethod
    def allows(self, queries: Axis, keys: Axis) -> Tensor:
        """Whether each query may attend to each key: bool, broadcastable to (B,Q,K)."""

    def __and__(self, other: "MaskRule") -> "Both":
        return Both(first=cast("MaskRule", self), second=other)

    def __or__(self, other: "MaskRule") -> "Either":
        return Either(first=cast("MaskRule", self), second=other)

    def draw(self, *segments: int) -> str:
        """The rule for a row of ``segments`` packed by length: a line a query, ``x`` = may attend."""
        segment = torch.repeat_interleave(torch.arange(len(segments)), torch.tensor(segments))[None]
        axis = Axis(torch.arange(sum(segments))[None], segment=segment)
        matrix = self.allows(axis, axis).expand(1, sum(segments), sum(segments))[0]
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
    def allows(self, queries: Axis, keys: Axis) -> Tensor:
        return torch.ones(1, 1, 1, dtype=torch.bool, device=queries.position.device)


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
    def causal(self) -> bool:
        return True

    @override
    def allows(self, queries: Axis, keys: Axis) -> Tensor:
        # (B,Q,1) against (B,1,K) -> (B,Q,K)
        return keys.position[:, None, :] <= queries.position[:, :, None]


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
    def causal(self) -> bool:
        return self.right == 0

    @override
    def allows(self, queries: Axis, keys: Axis) -> Tensor:
        # (B,1,K) minus (B,Q,1) -> (B,Q,K)
        offset = keys.position[:, None, :] - queries.position[:, :, None]
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
    def causal(self) -> bool:
        return self.size == 1

    @override
    def allows(self, queries: Axis, keys: Axis) -> Tensor:
        # (B,Q,1) minus (B,1,K) -> (B,Q,K), in chunks
        back = queries.position[:, :, None] // self.size - keys.position[:, None, :] // self.size
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
    def allows(self, queries: Axis, keys: Axis) -> Tensor:
        # (B,Q,1) against (B,1,K) -> (B,Q,K); all of it where the axes have no segments
        if queries.segment is None or keys.segment is None:
            return Everything().allows(queries, keys)
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
    def causal(self) -> bool:
        return self.first.causal or self.second.causal

    @override
    def allows(self, queries: Axis, keys: Axis) -> Tensor:
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
    def causal(self) -> bool:
        return self.first.causal and self.second.causal

    @override
    def allows(self, queries: Axis, keys: Axis) -> Tensor:
        return self.first.allows(queries, keys) | self.second.allows(queries, keys)


MaskRule = Annotated[
    Everything | Causal | Window | Chunk | SameSegment | Both | Either, Field(discriminator="kind")
]
Both.model_rebuild()
Either.model_rebuild()


class Mask:
    """A rule joined with the padding of one batch; built once per stack per forward pass."""

    def __init__(self, rule: Rule, queries: Axis, keys: Axis) -> None:
        self.rule = rule
        self.queries = queries
        self.keys = keys
        self._penalties: dict[torch.dtype, Tensor] = {}
        if len(queries.position) != len(keys.position):
            raise ValueError(
                f"queries of {len(queries.position)} sentences cannot read keys of {len(keys.position)}"
            )

    @cached_property
    def allowed(self) -> Tensor | None:
        """(B,1,Q,K) bool, sizes of 1 broadcast; None where nothing is forbidden."""
        if isinstance(self.rule, Everything) and self.keys.valid is None:
            return None
        allowed = self.rule.allows(self.queries, self.keys)
        if self.keys.valid is not None:
            allowed = allowed & self.keys.valid[:, None, :]
        # A look at the data is free on a CPU; elsewhere it would make the host wait for the device.
        if allowed.device.type == "cpu" and bool(allowed.all()):
            return None
        # (B,Q,K) -> (B,1,Q,K), over all heads
        return allowed[:, None]

    @cached_property
    def reachable(self) -> Tensor | None:
        """(B,1,Q,1) bool: queries that see at least one key; None where all of them do."""
        if self.allowed is None:
            return None
        reachable = self.allowed.any(dim=-1, keepdim=True)
        return None if reachable.device.type == "cpu" and bool(reachable.all()) else reachable

    def penalty(self, dtype: torch.dtype) -> Tensor | None:
        """What to add to the logits: 0 where allowed, the lowest finite number elsewhere; None for nothing.

        It is finite so that a query without keys gives finite numbers, which ``reachable`` then turns
        into zeros, forward and backward; minus infinity would give NaN.
        """
        if self.allowed is None:
            return None
        if dtype not in self._penalties:
            penalty = torch.zeros(self.allowed.shape, dtype=dtype, device=self.allowed.device)
            self._penalties[dtype] = penalty.masked_fill_(~self.allowed, torch.finfo(dtype).min)
        return self._penalties[dtype]

    @cached_property
    def is_plain_causal(self) -> bool:
        """Whether this is just the lower triangle, for which kernels have a form without a matrix."""
        if not isinstance(self.rule, Causal) or self.queries is not self.keys or self.keys.valid is not None:
            return False
        return self.keys.start is not None
