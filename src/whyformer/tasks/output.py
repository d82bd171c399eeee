"""Texts that models write."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TextOutput:
    """One translation of a sentence."""

    text: str
    score: float
    """What the search ranks by: log-probability in nats, length penalty and coverage penalty applied."""
    ids: tuple[int, ...]
    """The tokens it was written in, without marks."""
    tokens: list[str]
    """The same, readable."""
    finished: bool
    """False where the length limit came before the end mark."""
