"""Which ids our tokens have in another format."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from whyformer.special_tokens import BOS, EOS, NAMES, UNK


@dataclass(frozen=True)
class TokenIds:
    """Which ids our tokens have in another format."""

    first: tuple[int | None, ...]
    """Theirs of our first ids, marks and then other special tokens; None where they have none. Start and end
    may be one token there. All others follow in their order."""
    size: int
    """How many tokens we have."""

    @cached_property
    def theirs(self) -> list[int | None]:
        """Theirs of each of our ids."""
        known = set(self.first)
        return [*self.first, *(id for id in range(self.their_size) if id not in known)]

    def known(self, mark: int) -> int:
        """Theirs of a mark that they have."""
        theirs = self.first[mark]
        assert theirs is not None, f"their tokens have no {NAMES[mark]}"
        return theirs

    def has(self, mark: int) -> bool:
        """Whether they have a token for ``mark``."""
        return self.first[mark] is not None

    @property
    def their_size(self) -> int:
        """How many tokens they have."""
        return self.size - len(self.first) + len({id for id in self.first if id is not None})

    @property
    def one_mark(self) -> bool:
        """Whether one token of theirs is both start and end."""
        return self.first[BOS] == self.first[EOS]

    @property
    def added(self) -> tuple[int, ...]:
        """Our marks that their model has never predicted: the unknown token or a start mark of our own."""
        return tuple(mark for mark in (UNK, BOS) if self.first[mark] in (None, self.first[EOS]))

    @property
    def start_apart(self) -> TokenIds:
        """The same with a token more, so that start and end are two."""
        return TokenIds((*self.first[:BOS], self.their_size, *self.first[EOS:]), self.size)
