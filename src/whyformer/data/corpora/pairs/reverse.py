"""A made-up language that is its own mirror: the smallest task that attention must solve."""

import random
from typing import Literal, NamedTuple, Self

from pydantic import Field, model_validator

from whyformer.data.corpora.lines import SentencePair
from whyformer.spec import Spec


class ReversedStrings(NamedTuple):
    """Three lists of pairs that share no source and no target."""

    train: list[SentencePair]
    valid: list[SentencePair]
    test: list[SentencePair]


class ReverseSpec(Spec):
    """Random strings of symbols; the target is the source read backwards."""

    kind: Literal["reverse"] = "reverse"
    symbols: int = Field(default=10, ge=2)
    """Number of different symbols, written 0, 1, 2 and so on with spaces between them."""
    shortest: int = Field(default=3, ge=1)
    """Minimum number of symbols of a string."""
    longest: int = Field(default=8, ge=1)
    """Maximum number of symbols of a string; every length from the shortest on is about as frequent."""
    pairs: int = Field(default=10_000, ge=20)
    """Different pairs in all; a twentieth is for validation, another for testing."""
    seed: int = 1
    """Seed of the strings that are drawn."""

    @model_validator(mode="after")
    def _enough_strings(self) -> Self:
        if self.shortest > self.longest:
            raise ValueError(f"shortest is {self.shortest} but longest is {self.longest}; exchange them")
        if (room := self.symbols**self.longest // 2) < self.pairs:
            raise ValueError(f"there are too few strings for {self.pairs:,} pairs; {room:,} is the most here")
        return self

    def build(self) -> ReversedStrings:
        """Draw the strings; the same spec gives the same ones."""
        generator = random.Random(self.seed)
        drawn: dict[tuple[int, ...], None] = {}  # keeps the order
        while len(drawn) < self.pairs:
            length = generator.randint(self.shortest, self.longest)
            drawn[tuple(generator.choices(range(self.symbols), k=length))] = None
        pairs = [
            SentencePair(" ".join(map(str, string)), " ".join(map(str, string[::-1]))) for string in drawn
        ]
        held_out = self.pairs // 20
        return ReversedStrings(pairs[2 * held_out :], pairs[:held_out], pairs[held_out : 2 * held_out])
