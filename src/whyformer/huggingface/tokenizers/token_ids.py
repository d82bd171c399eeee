"""Ids of our tokens in another format."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from whyformer.special_tokens import BOS, EOS, NAMES, UNK


@dataclass(frozen=True)
class TokenIds:
    """Ids of our tokens in another format."""

    first: tuple[int | None, ...]
    """Theirs of our first ids, the special tokens; None where they have none. BOS and EOS may be one token
    there. All others follow in their order."""
    size: int
    """Number of our tokens."""
    strays: int = 0
    """Number of our last tokens that are their unknown token: pieces without a row of their own."""

    @cached_property
    def theirs(self) -> list[int | None]:
        """Their id for each of ours."""
        known = set(self.first)
        others = (id for id in range(self.their_size) if id not in known)
        return [*self.first, *others, *[self.first[UNK]] * self.strays]

    def known(self, mark: int) -> int:
        """Their id of a special token that they have."""
        theirs = self.first[mark]
        assert theirs is not None, f"their tokens have no {NAMES[mark]}"
        return theirs

    def has(self, mark: int) -> bool:
        """Whether they have a token for ``mark``."""
        return self.first[mark] is not None

    @property
    def their_size(self) -> int:
        """Number of their tokens."""
        shared = len(self.first) - len({id for id in self.first if id is not None})
        return self.size - shared - self.strays

    @property
    def one_mark(self) -> bool:
        """Whether one token of theirs is both BOS and EOS."""
        return self.first[BOS] is not None and self.first[BOS] == self.first[EOS]

    @property
    def added(self) -> tuple[int, ...]:
        """Our special tokens that their model has never predicted, as it has no such token besides EOS."""
        ours = [mark for mark in (UNK, BOS) if self.first[mark] in (None, self.first[EOS])]
        return (*ours, EOS) if self.first[EOS] is None else tuple(ours)

    @property
    def start_apart(self) -> TokenIds:
        """The same with a token more, so that BOS and EOS are two."""
        return TokenIds((*self.first[:BOS], self.their_size, *self.first[EOS:]), self.size, self.strays)
