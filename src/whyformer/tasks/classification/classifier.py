"""The classifier: texts in, a label for each out."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch

from whyformer.data.batches.planning import map_by_length
from whyformer.data.corpora.labelled import Labelled, LabelledSpec
from whyformer.data.tokenizers.tokenizer import Tokenizer
from whyformer.errors import DecodingError
from whyformer.models.classifier import ClassifierSpec, PooledClassifier
from whyformer.tasks.classification.metrics import ClassificationMetrics
from whyformer.tasks.classification.training import held_out_examples
from whyformer.tasks.embedding.encoder import TextOrPair, checked_lengths, encoder


@dataclass(frozen=True)
class Classified:
    """Label of a text, by a classifier."""

    probabilities: dict[str, float]
    """Probability of every label."""

    @property
    def label(self) -> str:
        """The likeliest label."""
        return max(self.probabilities, key=self.probabilities.__getitem__)

    @property
    def probability(self) -> float:
        """Probability of the likeliest label."""
        return self.probabilities[self.label]


class Classifier:
    """A trained model with its tokenizer and its labels."""

    def __init__(
        self, model: PooledClassifier, spec: ClassifierSpec, tokenizer: Tokenizer, data: LabelledSpec
    ) -> None:
        self.model = model.eval()
        self.labels = data.known
        self.texts = data.texts
        """Texts of an example: one, or two."""
        self._encoder = encoder(spec.whole_backbone, tokenizer)

    def __call__(self, *texts: str) -> str:
        """The likeliest label of a text, or of two if the run was trained on pairs."""
        return self.classify([texts])[0].label

    @torch.inference_mode()
    def classify(
        self,
        texts: Sequence[TextOrPair],
        *,
        batch: int = 64,
        first: int = 1,
        advance: Callable[[int], None] | None = None,
    ) -> list[Classified]:
        """Labels of ``texts``, in their order; see ``Embedder.embed`` for the other arguments.

        Raises:
            DecodingError: a text is empty, longer than the model reads, or alone where it should be a pair.
        """
        for number, text in enumerate(texts, start=first):
            if len(text) != self.texts:
                asked = "one text" if self.texts == 1 else "two texts with a tab between them"
                raise DecodingError(f"line {number} has {len(text)} columns, but this run reads {asked}.")
        lengths = checked_lengths(self._encoder, texts, first)

        def told(indices: list[int]) -> Iterator[Classified]:
            layers, valid = self._encoder.encode(self.model.backbone, [texts[index] for index in indices])
            logits = self.model.logits(self.model(self.model.pooled(layers, valid)))
            rows = logits.float().softmax(dim=1).tolist()
            return (Classified(dict(zip(self.labels, row, strict=True))) for row in rows)

        return map_by_length(told, lengths, batch, advance)

    def evaluate(self, examples: Sequence[Labelled], *, batch: int = 64) -> ClassificationMetrics:
        """Metrics on labelled examples.

        Raises:
            DataError: an example is longer than the model reads.
        """
        return held_out_examples(examples, self._encoder, self.labels).metrics(self.model, batch=batch)
