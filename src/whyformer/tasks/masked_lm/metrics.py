"""Quality of a masked language model: how it fills the holes of texts."""

from collections.abc import Iterator
from dataclasses import dataclass

from typing_extensions import override

from whyformer.tasks.task import Metrics


@dataclass(frozen=True)
class MaskedLMMetrics(Metrics):
    """Predictions of hidden tokens and of next sentences; accuracies are in percent."""

    texts: int
    """Number of texts, or of pairs."""
    tokens: int
    """Number of hidden tokens."""
    loss: float
    """The mean that training minimises, in nats per hidden token."""
    nll: float
    """Negative log-likelihood, in nats per hidden token."""
    masked_accuracy: float
    """Share of hidden tokens whose likeliest guess is the true one."""
    unigram_accuracy: float
    """The same of a model that always predicts the most frequent token of the training text."""
    next_sentence_accuracy: float | None
    """Share of pairs that are told apart; chance is a half. None where texts stand alone."""

    @property
    @override
    def figures(self) -> dict[str, float]:
        counts = {"texts", "tokens"}
        return {name: value for name, value in vars(self).items() if name not in counts and value is not None}

    @override
    def lines(self, name: str, examples: int = 0) -> Iterator[str]:
        yield f"{name}: {self.texts:,} texts, {self.tokens:,} hidden tokens"
        yield f"  right tokens         {self.masked_accuracy:.2f} %"
        yield f"  by the most frequent {self.unigram_accuracy:.2f} %"
        if self.next_sentence_accuracy is not None:
            yield f"  right next sentences {self.next_sentence_accuracy:.2f} %, half of them by chance"
