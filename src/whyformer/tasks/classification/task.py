"""Classification with a pretrained model: the recipe, the training task, how often it is right.

B batch · N examples · J layers that are read · M model dimension · C classes
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from typing_extensions import override

from whyformer.data.batches.planning import length_batches
from whyformer.data.corpora.labelled import Labelled, LabelledSpec, LabelledTexts
from whyformer.data.tokenizers.pair import TokenizerPair
from whyformer.data.tokenizers.tokenizer import Tokenizer
from whyformer.errors import DataError
from whyformer.models.backbone import backbone_tensors
from whyformer.models.classifier import ClassifierSpec, PooledClassifier
from whyformer.tasks.embedding.encoder import Encoder, encoder
from whyformer.tasks.recipe import Prepared, Recipe
from whyformer.training.checkpoint import load_weights
from whyformer.training.loss import token_loss
from whyformer.training.run import RunFolder
from whyformer.training.settings import TrainingSpec
from whyformer.training.task import Prediction, Probe


class ClassificationRecipe(Recipe):
    """Everything that makes a classifier from a pretrained model, from labelled texts to its accuracy."""

    figures = ("accuracy", "macro_f1")
    task: Literal["classification"] = "classification"
    """What the model is for."""
    start: Path
    """Folder of the pretrained run, whose tokenizer, network and weights are taken when training begins."""
    weights: Literal["pretrained", "random"] = "pretrained"
    """Where the backbone begins: at the run's weights; or, to compare, at fresh ones."""
    data: LabelledSpec
    """Where labelled texts come from."""
    model: ClassifierSpec = ClassifierSpec()
    """The network."""
    training: TrainingSpec
    """How the network is trained."""

    @override
    def prepare(self, tokenizers: TokenizerPair | None) -> Prepared:
        pair = TokenizerPair.load(self.start) if tokenizers is None else tokenizers
        # A run that goes on has the weights in its state; the pretrained run may be gone.
        tensors = None
        if tokenizers is None and self.weights == "pretrained":
            tensors = self._pretrained(pair)

        def build() -> PooledClassifier:
            model = self.model.build(pair.source.size, len(self.data.known))
            if tensors is not None:
                load_weights(model.backbone, tensors, RunFolder(self.start).weights)
            return model

        task = ClassificationTask(self, self.data.load(), pair.source)
        return Prepared(task, build, pair, task.summary)

    def _pretrained(self, pair: TokenizerPair) -> dict[str, Tensor]:
        folder = RunFolder(self.start, pair.fingerprints)
        return backbone_tensors(folder.read_weights(folder.weights))


@dataclass(frozen=True)
class Fit:
    """How well a classifier does on labelled texts."""

    examples: int
    loss: float
    """What training minimises, in nats per example."""
    nll: float
    """Negative log-likelihood, in nats per example."""
    accuracy: float
    """Share of right classes, in percent."""
    macro_f1: float
    """See ``macro_f1``."""
    majority: float
    """Accuracy of always telling the most frequent class of these texts, in percent."""

    @property
    def figures(self) -> dict[str, float]:
        """All of them, by name."""
        return {name: value for name, value in vars(self).items() if name != "examples"}


def macro_f1(gold: Tensor, predicted: Tensor) -> float:
    """The mean of F1 over the classes that occur in ``gold`` or ``predicted``, (N,) each, in percent.

    F1 = 2 · right / (gold + predicted), each counted for one class.
    """
    scores: list[float] = []
    for label in torch.cat([gold, predicted]).unique():
        is_gold, is_predicted = gold == label, predicted == label
        right = (is_gold & is_predicted).sum()
        scores.append((2 * right / (is_gold.sum() + is_predicted.sum())).item())
    return 100.0 * sum(scores) / len(scores)


class LabelledExamples:
    """Labelled texts, ready for a classifier, and what its backbone makes of them if that never changes."""

    def __init__(self, examples: Sequence[Labelled], encoder: Encoder[Any], labels: Sequence[str]) -> None:
        self._encoder = encoder
        self._texts = [example.texts for example in examples]
        numbers = {label: number for number, label in enumerate(labels)}
        self.gold = torch.tensor([numbers[example.label] for example in examples])
        """(N,) classes, from 0."""
        self.lengths = np.array(encoder.lengths(self._texts), dtype=np.int64)
        self._features: Tensor | None = None

    def pooled(self, model: PooledClassifier, indices: Sequence[int]) -> Tensor:
        """What the backbone of ``model`` makes of some of the texts: (B,J,M)."""
        if not model.frozen:
            return self._read(model, indices)
        if self._features is None:
            self._features = self._all_features(model)
        return self._features[list(indices)].to(model.output.weight.device)

    def predict(self, model: PooledClassifier, indices: Sequence[int]) -> Prediction:
        """The hidden states that tell the classes of some of the texts."""
        hidden, table = model.scored(model(self.pooled(model, indices)))
        return Prediction(hidden, table, self.gold[list(indices)].to(hidden.device) + 1)

    @torch.no_grad()
    def fit(self, model: PooledClassifier, label_smoothing: float = 0.0, *, batch: int = 64) -> Fit:
        """How well ``model``, in evaluation mode, tells their classes, ``batch`` texts at a time."""
        loss = nll = 0.0
        predicted = torch.empty_like(self.gold)
        for indices in length_batches(self.lengths.tolist(), batch):
            hidden, table, gold, _ = self.predict(model, indices)
            part = token_loss(hidden, table, gold, label_smoothing)
            loss, nll = loss + part.loss.item(), nll + part.negative_log_likelihood.item()
            predicted[indices] = (hidden @ table[1:].t()).argmax(dim=1).cpu()
        count = len(self.gold)
        return Fit(
            count,
            loss / count,
            nll / count,
            accuracy=100.0 * (predicted == self.gold).double().mean().item(),
            macro_f1=macro_f1(self.gold, predicted),
            majority=100.0 * self.gold.bincount().max().item() / count,
        )

    def _read(self, model: PooledClassifier, indices: Sequence[int]) -> Tensor:
        layers, valid = self._encoder.encode(model.backbone, [self._texts[index] for index in indices])
        return model.pooled(layers, valid)

    @torch.no_grad()
    def _all_features(self, model: PooledClassifier) -> Tensor:
        """(N,J,M), in fp32 and in batches of their own, so that they are the same whenever they are made."""
        order = length_batches(self.lengths.tolist(), 64)
        with torch.autocast(model.output.weight.device.type, enabled=False):
            rows = torch.cat([self._read(model, indices) for indices in order])
        features = torch.empty_like(rows)
        features[[index for indices in order for index in indices]] = rows
        return features


class ClassificationTask:
    """Trains a classifier and judges it by how often it is right."""

    def __init__(self, recipe: ClassificationRecipe, data: LabelledTexts, tokenizer: Tokenizer) -> None:
        self._label_smoothing = recipe.training.loss.label_smoothing
        reader, labels = encoder(recipe.model.whole_backbone, tokenizer), recipe.data.known
        train = LabelledExamples(data.train, reader, labels)
        most = math.inf if reader.longest is None else reader.longest
        kept = [example for example, n in zip(data.train, train.lengths.tolist(), strict=True) if n <= most]
        if not kept:
            raise DataError(f"every training example is longer than the model reads ({most} tokens).")
        overlong = len(data.train) - len(kept)
        self._train = LabelledExamples(kept, reader, labels) if overlong else train
        self._valid = held_out_examples(data.valid, reader, labels)
        left_out = f"; {overlong:,} more are longer than the model reads ({most} tokens)"
        self.summary = data.summary + (left_out if overlong else "")
        """One sentence on what was read and left out."""

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(examples, 1) tokens, marks included."""
        return self._train.lengths[:, None]

    def predicted(self, indices: NDArray[np.int64], epoch: int) -> int:
        """One class for each example."""
        return len(indices)

    def predict(
        self, model: PooledClassifier, indices: NDArray[np.int64], epoch: int, device: torch.device
    ) -> Prediction:
        """The vectors of the examples and their classes."""
        return self._train.predict(model, indices.tolist())

    def probe(self, model: PooledClassifier) -> Probe:
        """The vectors (1,J,M) of one text, and what is classified, (1,1,M): it may see all of them."""
        weight = model.output.weight
        pooled = torch.ones(1, model.read_layers, weight.shape[1], device=weight.device, requires_grad=True)
        return Probe(pooled, model(pooled)[:, None], torch.ones(1, model.read_layers, dtype=torch.bool))

    def validate(self, model: PooledClassifier, device: torch.device, *, translate: bool) -> dict[str, float]:
        """Loss and negative log-likelihood in nats per example; accuracy, F1 and majority in percent."""
        return self._valid.fit(model, self._label_smoothing).figures

    def better(self, new: dict[str, float], old: dict[str, float]) -> bool:
        """By accuracy, and where that is equal by likelihood."""
        return (new["accuracy"], -new["nll"]) > (old["accuracy"], -old["nll"])


def held_out_examples(
    examples: Sequence[Labelled], reader: Encoder[Any], labels: Sequence[str]
) -> LabelledExamples:
    """``examples``, every one of which counts.

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
