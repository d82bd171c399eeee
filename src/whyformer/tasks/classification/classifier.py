"""The classifier: texts in, a label for each out."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch

from whyformer.data.batches.planning import map_by_length
from whyformer.data.corpora.detection.blank import is_blank
from whyformer.data.corpora.labelled import Labelled, LabelledSpec
from whyformer.data.tokenizers.tokenizer import Tokenizer
from whyformer.engines.cores import in_turns
from whyformer.models.classifier import ClassifierSpec, PooledClassifier
from whyformer.tasks.bad_lines import BadLines
from whyformer.tasks.classification.metrics import ClassificationMetrics
from whyformer.tasks.classification.training import held_out_examples
from whyformer.tasks.embedding.encoder import TextOrPair, encoder, usable_texts


@dataclass(frozen=True)
class Classified:
    """Label of a text, by a classifier."""

    probabilities: dict[str, float]
    """Probability of every label; empty for a blank text."""

    @property
    def label(self) -> str | None:
        """The likeliest label; a blank text has none."""
        return max(self.probabilities, key=self.probabilities.__getitem__, default=None)

    @property
    def probability(self) -> float:
        """Probability of the likeliest label; 0 where there is none."""
        return max(self.probabilities.values(), default=0.0)


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

    def __call__(self, *texts: str) -> str | None:
        """The likeliest label of a text, or of two if the run was trained on pairs; a blank text has none."""
        return self.classify([texts])[0].label

    @torch.inference_mode()
    def classify(
        self,
        texts: Sequence[TextOrPair],
        *,
        batch: int = 64,
        first: int = 1,
        advance: Callable[[int], None] | None = None,
        bad: BadLines | None = None,
    ) -> list[Classified]:
        """Labels of ``texts``, in their order; see ``Embedder.embed`` for the other arguments.

        A blank line has no label, nor has one that cannot be read.

        Raises:
            DecodingError: a text is longer than the model reads, no text, or alone where it should be a
                pair.
        """
        bad = BadLines("stop") if bad is None else bad
        blank = ("",) * self.texts
        lines = [self._line(text, number, bad) or blank for number, text in enumerate(texts, start=first)]
        usable, lengths = usable_texts(self._encoder, lines, first, bad)
        rows = [lines[index] for index in usable]

        def told(indices: list[int]) -> Iterator[Classified]:
            layers, valid = self._encoder.encode(self.model.backbone, [rows[index] for index in indices])
            logits = self.model.logits(self.model(self.model.pooled(layers, valid)))
            likely = logits.float().softmax(dim=1).tolist()
            return (Classified(dict(zip(self.labels, row, strict=True))) for row in likely)

        found = dict(
            zip(usable, map_by_length(in_turns(self.model, told), lengths, batch, advance), strict=True)
        )
        return [found.get(index, Classified({})) for index in range(len(texts))]

    def _line(self, text: TextOrPair, number: int, bad: BadLines) -> TextOrPair | None:
        """``text``, if it is as many as this run reads; None where it is blank or left out."""
        if all(map(is_blank, text)):
            return None
        if len(text) == self.texts:
            return text
        asked = "one text" if self.texts == 1 else "two texts with a tab between them"
        bad.leave_out(number, f"line {number} has {len(text)} columns, but this run reads {asked}.")
        return None

    def evaluate(self, examples: Sequence[Labelled], *, batch: int = 64) -> ClassificationMetrics:
        """Metrics on labelled examples.

        Raises:
            DataError: an example is longer than the model reads.
        """
        return held_out_examples(examples, self._encoder, self.labels).metrics(self.model, batch=batch)
