"""Texts that models write."""

import json
from dataclasses import dataclass
from typing import NamedTuple


class Piece(NamedTuple):
    """Part of a text that is shown while the text is written; all of them joined are the text."""

    text: str
    tokens: int
    """Number of tokens written so far, without those that also hold the end of the prompt."""
    finished: bool | None = None
    """In the last piece, whether EOS came before the length limit; None in all others."""


@dataclass(frozen=True)
class TextOutput:
    """A text that a search has found: a translation, or what follows a prompt."""

    text: str
    score: float
    """Score by which the search ranks: log-probability in nats, with length and coverage penalties, or
    expected agreement from 0 to 1."""
    ids: tuple[int, ...]
    """Tokens it was written in, BOS and EOS left out."""
    tokens: list[str]
    """The same tokens, readable."""
    finished: bool
    """Whether EOS came before the length limit."""
    completing: int = 0
    """Number of first tokens that also hold the end of the prompt; a limit does not count them as written."""

    @property
    def written(self) -> int:
        """Number of tokens, without those that also hold the end of the prompt."""
        return len(self.ids) - self.completing

    def record(self) -> dict[str, object]:
        """The output without its ids, ready for JSON."""
        return {"text": self.text, "score": self.score, "tokens": self.tokens, "finished": self.finished}


def as_json_line(value: object) -> str:
    """``value`` as JSON on one line; half of a surrogate pair, which is no text, is written as an escape."""
    written = json.dumps(value, ensure_ascii=False)
    try:
        written.encode()
    except UnicodeEncodeError:
        return json.dumps(value)
    return written
