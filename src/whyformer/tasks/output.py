"""Texts that models write."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TextOutput:
    """A text that a search has found: a translation, or what follows a prompt."""

    text: str
    score: float
    """Score by which the search ranks: log-probability in nats, with length and coverage penalties."""
    ids: tuple[int, ...]
    """Tokens it was written in, BOS and EOS left out."""
    tokens: list[str]
    """The same tokens, readable."""
    finished: bool
    """Whether EOS came before the length limit."""
    completing: int = 0
    """Number of first tokens that also hold the end of the prompt; a limit does not count them as written."""

    def record(self) -> dict[str, object]:
        """The output without its ids, ready for JSON."""
        return {"text": self.text, "score": self.score, "tokens": self.tokens, "finished": self.finished}
