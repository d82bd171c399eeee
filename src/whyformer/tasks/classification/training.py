"""Classification as the trainer sees it: labelled texts, and how often the right label is found.

B batch · N examples · J layers that are read · M model dimension · C classes
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from whyformer.data.batches.planning import length_batches, map_by_length
from whyformer.data.corpora.labelled import Labelled, LabelledTexts
from whyformer.errors import DataError
from whyformer.models.classifier import PooledClassifier
from whyformer.tasks.classification.metrics import ClassificationMetrics, macro_f1
from whyformer.tasks.embedding.encoder import Encoder
from whyformer.training.held_out import held_out_losses
from whyformer.training.objective import Losses, r_drop_cross_entropy, token_cross_entropy
from whyformer.training.task import Probe


class LabelledBatch(NamedTuple):
    """Some of a set of labelled texts."""

    examples: "LabelledExamples"
    indices: Sequence[int]


@dataclass(frozen=True)
class ClassCrossEntropy:
    """Cross-entropy of the class of each text."""

    label_smoothing: float
    predictions: list[Tensor] | None = None
    """List that the likeliest classes (B,) of every batch are added to, if given."""
    r_drop: float = 0.0

    def __call__(self, model: PooledClassifier, batch: LabelledBatch) -> Losses:
        """The sums over the texts of ``batch``."""
        examples, indices = batch
        twice = self.r_drop > 0.0 and model.training
        hidden, table = model.scored(
            model(examples.pooled(model, [*indices, *indices] if twice else indices))
        )
        # The loss leaves row 0, padding's, out; so classes count from 1 there.
        gold = examples.gold[list(indices)].to(hidden.device) + 1
        if self.predictions is not None:
            self.predictions.append((hidden @ table[1:].t()).argmax(dim=1).cpu())
        if twice:
            return r_drop_cross_entropy(hidden, table, gold, self.label_smoothing, self.r_drop)
        return token_cross_entropy(hidden, table, gold, self.label_smoothing)


class LabelledExamples:
    """Labelled texts, ready for a classifier, and what its backbone makes of them if that never changes."""

    def __init__(self, examples: Sequence[Labelled], encoder: Encoder[Any], labels: Sequence[str]) -> None:
        self._encoder = encoder
        self._texts = [example.texts for example in examples]
        numbers = {label: number for number, label in enumerate(labels)}
        self.gold = torch.tensor([numbers[example.label] for example in examples])
        """(N,) classes, counted from 0."""
        self.lengths = np.array(encoder.lengths(self._texts), dtype=np.int64)
        self._features: Tensor | None = None

    def pooled(self, model: PooledClassifier, indices: Sequence[int]) -> Tensor:
        """The vectors (B,J,M) that the backbone of ``model`` makes of some of the texts."""
        if not model.frozen:
            return self._read(model, indices)
        if self._features is None:
            self._features = self._all_features(model)
        return self._features[list(indices)].to(model.output.weight.device)

    def metrics(
        self, model: PooledClassifier, label_smoothing: float = 0.0, *, batch: int = 64
    ) -> ClassificationMetrics:
        """Metrics of ``model``, in evaluation mode, on these texts, ``batch`` of them at a time."""
        order = length_batches(self.lengths.tolist(), batch)
        objective = ClassCrossEntropy(label_smoothing, predictions := [])
        batches = (LabelledBatch(self, indices) for indices in order)
        losses = held_out_losses(model, objective, batches, len(order))
        predicted = torch.empty_like(self.gold)
        predicted[[index for indices in order for index in indices]] = torch.cat(predictions)
        return ClassificationMetrics(
            losses.predictions,
            losses.loss,
            losses.nll,
            accuracy=100.0 * (predicted == self.gold).double().mean().item(),
            macro_f1=macro_f1(self.gold, predicted),
            majority=100.0 * self.gold.bincount().max().item() / len(self.gold),
        )

    def _read(self, model: PooledClassifier, indices: Sequence[int]) -> Tensor:
        layers, valid = self._encoder.encode(model.backbone, [self._texts[index] for index in indices])
        return model.pooled(layers, valid)

    @torch.no_grad()
    def _all_features(self, model: PooledClassifier) -> Tensor:
        """Vectors (N,J,M), in fp32 and in batches of their own, so that they are always the same."""
        with torch.autocast(model.output.weight.device.type, enabled=False):
            return torch.stack(map_by_length(partial(self._read, model), self.lengths.tolist(), 64))


class ClassificationTraining:
    """Trains a classifier and judges it by how often it is right."""

    def __init__(
        self,
        data: LabelledTexts,
        reader: Encoder[Any],
        labels: Sequence[str],
        objective: ClassCrossEntropy,
    ) -> None:
        self.objective = objective
        self._train, overlong = _fitting(data.train, reader, labels, "training")
        self._valid, overlong_valid = _fitting(data.valid, reader, labels, "validation")
        counts = {"training": overlong, "validation": overlong_valid}
        left_out = " and ".join(f"{count:,} {side} examples" for side, count in counts.items() if count)
        longer = f"; left out, as longer than the model reads ({reader.longest} tokens): {left_out}"
        self.summary = data.summary + (longer if left_out else "")
        """One sentence on what was read and left out."""

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(examples, 1) number of tokens, special tokens included."""
        return self._train.lengths[:, None]

    def predicted(self, indices: NDArray[np.int64], epoch: int) -> int:
        """One class for each example."""
        return len(indices)

    def batch(self, indices: NDArray[np.int64], epoch: int, device: torch.device) -> LabelledBatch:
        """The examples of ``indices``, alike in all epochs."""
        return LabelledBatch(self._train, indices.tolist())

    def probe(self, model: PooledClassifier) -> Probe:
        """The vectors (1,J,M) of one text, and what is classified, (1,1,M): it may see all of them."""
        weight = model.output.weight
        pooled = torch.ones(1, model.read_layers, weight.shape[1], device=weight.device, requires_grad=True)
        return Probe(pooled, model(pooled)[:, None], torch.ones(1, model.read_layers, dtype=torch.bool))

    def validate(
        self, model: PooledClassifier, device: torch.device, *, translate: bool | None
    ) -> dict[str, float]:
        """Loss and negative log-likelihood in nats per example; accuracy, F1 and majority in percent."""
        return self._valid.metrics(model, self.objective.label_smoothing).figures

    def better(self, new: dict[str, float], old: dict[str, float]) -> bool:
        """Compare by accuracy, and where that is equal by likelihood."""
        return (new["accuracy"], -new["nll"]) > (old["accuracy"], -old["nll"])

    def chosen_by(self, scores: dict[str, float]) -> str:
        """Accuracy."""
        return "accuracy"


def _fitting(
    examples: Sequence[Labelled], reader: Encoder[Any], labels: Sequence[str], side: str
) -> tuple[LabelledExamples, int]:
    """The ``examples`` that the model can read, and the number of others.

    Raises:
        DataError: there are only others.
    """
    ready = LabelledExamples(examples, reader, labels)
    most = math.inf if reader.longest is None else reader.longest
    kept = [example for example, n in zip(examples, ready.lengths.tolist(), strict=True) if n <= most]
    if not kept:
        raise DataError(f"every {side} example is longer than the model reads ({most} tokens).")
    overlong = len(examples) - len(kept)
    return (LabelledExamples(kept, reader, labels) if overlong else ready), overlong


def held_out_examples(
    examples: Sequence[Labelled], reader: Encoder[Any], labels: Sequence[str]
) -> LabelledExamples:
    """Held-out ``examples``, ready for a classifier; every one of them counts.

    Raises:
        DataError: one is longer than the model reads.
    """
    ready = LabelledExamples(examples, reader, labels)
    for example, length in zip(examples, ready.lengths.tolist(), strict=True):
        if reader.longest is not None and length > reader.longest:
            raise DataError(
                f"{example.place}: has {length:,} tokens with its marks, but the model reads "
                f"{reader.longest:,} at most; shorten it."
            )
    return ready
