"""Quality of a language model: its predictions of documents."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from typing_extensions import override

from whyformer.tasks.task import Metrics

_LARGEST = 700.0
"""Nats beyond which a perplexity is no floating-point number."""


def perplexity(nll: float) -> float:
    """exp(nll), of a negative log-likelihood in nats per token."""
    return math.exp(min(nll, _LARGEST))


@dataclass(frozen=True)
class CausalLMMetrics(Metrics):
    """Predictions of documents, EOS included; long documents in windows that do not overlap."""

    documents: int
    characters: int
    """Number of characters of the text, EOS left out."""
    tokens: int
    """Number of predicted tokens, EOS included."""
    loss: float
    """The mean that training minimises, in nats per token."""
    nll: float
    """Negative log-likelihood, in nats per token."""

    @property
    def perplexity(self) -> float:
        """exp(nll) per token, so it depends on the tokenizer."""
        return perplexity(self.nll)

    @property
    def bits_per_character(self) -> float:
        """The cost of documents spread over their characters: comparable between lossless tokenizers."""
        return self.nll * self.tokens / math.log(2) / self.characters

    @property
    @override
    def figures(self) -> dict[str, float]:
        return {
            "loss": self.loss,
            "nll": self.nll,
            "perplexity": self.perplexity,
            "bits_per_character": self.bits_per_character,
        }

    @override
    def lines(self, name: str, examples: int = 0) -> Iterator[str]:
        yield f"{name}: {self.documents:,} documents, {self.characters:,} characters, {self.tokens:,} tokens"
        yield f"  bits per character  {self.bits_per_character:.4f}"
        yield f"  perplexity          {self.perplexity:.2f} per token"
