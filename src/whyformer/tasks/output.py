"""Texts that models write."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TextOutput:
    """A text that a search has found: a translation, or what follows a prompt."""

    text: str
    score: float
    """What the search ranks by: log-probability in nats, length penalty and coverage penalty applied."""
    ids: tuple[int, ...]
    """The tokens it was written in, without marks."""
    tokens: list[str]
    """The same, readable."""
    finished: bool
    """False where the length limit came before the end mark."""

    def record(self) -> dict[str, object]:
        """The output without its ids, ready for JSON."""
        return {"text": self.text, "score": self.score, "tokens": self.tokens, "finished": self.finished}
