"""Quality of a language model that reads both ways apart: its predictions of documents."""

from collections.abc import Iterator
from dataclasses import dataclass

from typing_extensions import override

from whyformer.tasks.causal_lm.metrics import perplexity
from whyformer.tasks.task import Metrics


@dataclass(frozen=True)
class BidirectionalLMMetrics(Metrics):
    """Predictions of documents, their special tokens and ``<unk>`` included, from either side."""

    words: int
    """Number of predicted words, once for each direction."""
    loss: float
    """The mean that training minimises, in nats per word."""
    forward_nll: float
    """Negative log-likelihood of each word after what stands before it, in nats."""
    backward_nll: float
    """Negative log-likelihood of each word before what stands behind it, in nats."""

    @property
    def nll(self) -> float:
        """The mean of both directions."""
        return (self.forward_nll + self.backward_nll) / 2

    @property
    def perplexity(self) -> float:
        """exp(nll) per word, so it depends on the vocabulary."""
        return perplexity(self.nll)

    @property
    @override
    def figures(self) -> dict[str, float]:
        return {
            "loss": self.loss,
            "nll": self.nll,
            "forward_nll": self.forward_nll,
            "backward_nll": self.backward_nll,
            "perplexity": self.perplexity,
        }

    @override
    def lines(self, name: str, examples: int = 0) -> Iterator[str]:
        yield f"{name}: {self.words:,} words, counted once for each direction"
        yield f"  perplexity           {self.perplexity:.2f} per word"
        yield f"  nll forwards         {self.forward_nll:.4f} nats"
        yield f"  nll backwards        {self.backward_nll:.4f} nats"
