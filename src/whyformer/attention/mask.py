"""Masks: who may attend to whom. True = may attend, everywhere, without exception.

B batch · Q query length · K key length

A *rule* is a frozen value that compares positions; a *mask* joins a rule with the padding of one
batch. Rules combine by ``&`` and ``|``. Because rules see positions and never lengths, caches, left
padding and streaming need no special case.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Literal

import torch
from torch import Tensor

from whyformer.spec import Spec


@dataclass(frozen=True)
class Axis:
    """One side of an attention: where its tokens stand, and which of them are real.

    ``position`` (B,L) int64; ``valid`` (B,L) bool, or None where all are real.
    """

    position: Tensor
    valid: Tensor | None = None

    def __post_init__(self) -> None:
        if self.position.dim() != 2 or self.position.dtype != torch.int64:
            raise TypeError(f"position must be an int64 (B,L) tensor, not {_describe(self.position)}")
        valid = self.valid
        if valid is not None and (valid.dtype != torch.bool or valid.shape != self.position.shape):
            raise TypeError(f"valid must be a bool tensor shaped like position, not {_describe(valid)}")

    @staticmethod
    def of(valid: Tensor) -> "Axis":
        """The axis of sentences ``valid`` (B,L) padded on either side: positions count real tokens."""
        return Axis((valid.cumsum(dim=1) - 1).clamp_min(0), valid)

    def select(self, rows: Tensor) -> "Axis":
        """Keep, reorder or repeat sentences: ``rows`` (B',) int64."""
        return Axis(self.position[rows], None if self.valid is None else self.valid[rows])


class Rule(ABC):
    """A frozen, composable predicate over query and key positions."""

    @abstractmethod
    def allows(self, queries: Axis, keys: Axis) -> Tensor:
        """Whether each query may attend to each key: bool, broadcastable to (B,Q,K)."""

    def __and__(self, other: "Rule") -> "Rule":
        return Both(self, other)

    def __or__(self, other: "Rule") -> "Rule":
        return Either(self, other)

    def draw(self, length: int) -> str:
        """The rule for one sentence of ``length`` tokens: a row a query, ``x`` = may attend."""
        axis = Axis(torch.arange(length)[None])
        matrix = self.allows(axis, axis).expand(1, length, length)[0]
        return "\n".join(" ".join("x" if cell else "." for cell in row) for row in matrix.tolist())


@dataclass(frozen=True)
class Everything(Rule):
    """Every query may attend to every key: an encoder, and cross-attention.

    >>> print(Everything().draw(3))
    x x x
    x x x
    x x x
    """

    def allows(self, queries: Axis, keys: Axis) -> Tensor:
        """All of it, as (1,1,1)."""
        return torch.ones(1, 1, 1, dtype=torch.bool, device=queries.position.device)


@dataclass(frozen=True)
class Causal(Rule):
    """A query may attend to keys at its own position and before: a decoder.

    >>> print(Causal().draw(4))
    x . . .
    x x . .
    x x x .
    x x x x
    """

    def allows(self, queries: Axis, keys: Axis) -> Tensor:
        """(B,Q,1) against (B,1,K) -> (B,Q,K)."""
        return keys.position[:, None, :] <= queries.position[:, :, None]


@dataclass(frozen=True)
class Both(Rule):
    """Where both rules allow: ``first & second``.

    >>> (Causal() & Everything()).draw(3) == Causal().draw(3)
    True
    """

    first: Rule
    second: Rule

    def allows(self, queries: Axis, keys: Axis) -> Tensor:
        """The intersection."""
        return self.first.allows(queries, keys) & self.second.allows(queries, keys)


@dataclass(frozen=True)
class Either(Rule):
    """Where one rule or the other allows: ``first | second``.

    >>> (Causal() | Everything()).draw(3) == Everything().draw(3)
    True
    """

    first: Rule
    second: Rule

    def allows(self, queries: Axis, keys: Axis) -> Tensor:
        """The union."""
        return self.first.allows(queries, keys) | self.second.allows(queries, keys)


class EverythingSpec(Spec):
    """Attend to every real token."""

    kind: Literal["everything"] = "everything"
    causal: ClassVar[bool] = False

    def build(self) -> Rule:
        """The rule."""
        return Everything()


class CausalSpec(Spec):
    """Attend to no later token."""

    kind: Literal["causal"] = "causal"
    causal: ClassVar[bool] = True

    def build(self) -> Rule:
        """The rule."""
        return Causal()


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
        return bool((self.keys.position.diff(dim=1) > 0).all())


def _describe(x: Tensor) -> str:
    return f"{x.dtype} of shape {tuple(x.shape)}"
