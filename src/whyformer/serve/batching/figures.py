"""Figures of a queue: what waits, what runs, and what has become of the rest."""

from dataclasses import dataclass, field, replace
from typing import Protocol


class Observer(Protocol):
    """Listener to what queues do; called in threads of engines."""

    def waited(self, run: str, seconds: float) -> None:
        """Note that a request to ``run`` waited for ``seconds`` until its computing began."""
        ...

    def batched(self, run: str, texts: int) -> None:
        """Note that the engine of ``run`` computes so many ``texts`` side by side."""
        ...


@dataclass
class QueueFigures:
    """Counters of one queue. Tokens are bounds, see ``Operation.costs``."""

    waiting_items: int = 0
    waiting_tokens: int = 0
    running_items: int = 0
    running_tokens: int = 0
    calls: int = 0
    """Calls of the engine that are over."""
    items: int = 0
    """Items that they had, those of clients that have left among them."""
    tokens: int = 0
    """Tokens that they had."""
    refused: dict[str, int] = field(default_factory=dict[str, int])
    """Requests that were refused at once, by reason."""

    def copy(self) -> "QueueFigures":
        """The same, no matter what comes."""
        return replace(self, refused=dict(self.refused))

    def count(self, reason: str) -> None:
        """Count a refusal."""
        self.refused[reason] = self.refused.get(reason, 0) + 1

    def enter(self, items: int, tokens: int) -> None:
        """Count what begins to wait."""
        self.waiting_items += items
        self.waiting_tokens += tokens

    def leave(self, items: int, tokens: int) -> None:
        """Count what no longer waits."""
        self.enter(-items, -tokens)

    def start(self, items: int, tokens: int) -> None:
        """Count what begins to be computed."""
        self.running_items += items
        self.running_tokens += tokens

    def finish(self, items: int, tokens: int) -> None:
        """Count what has been computed."""
        self.start(-items, -tokens)
        self.calls += 1
        self.items += items
        self.tokens += tokens
