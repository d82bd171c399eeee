"""Masked language modelling as the trainer sees it: holes to fill, and how those of others are filled.

B batch · L tokens of a text · N hidden tokens · M model dimension
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from whyformer.data.batches.by_length import ExamplesByLength
from whyformer.data.batches.masked_texts import MaskedBatch, MaskedTexts
from whyformer.data.batches.masking import MaskingSpec
from whyformer.data.batches.next_sentence import Sentences, Texts, sentence_pairs, single_texts
from whyformer.data.batches.planning import Lengths, length_batches
from whyformer.data.corpora.documents import Documents
from whyformer.data.store.reader import TokenStore
from whyformer.data.tokenizers.tokenizer import Tokenizer
from whyformer.models.bert import BERT
from whyformer.nn.embedding import token_logits
from whyformer.position.layout import Layout
from whyformer.tasks.masked_lm.metrics import MaskedLMMetrics
from whyformer.tasks.masked_lm.stored import StoredTexts, commonest_stored_token
from whyformer.training.held_out import held_out_losses
from whyformer.training.objective import Losses, token_cross_entropy
from whyformer.training.task import Probe


@dataclass(frozen=True)
class FillHoles:
    """Cross-entropy of hidden tokens, and with the head next_sentence that of each pair.

    Both are divided by the number of hidden tokens: a pair counts as often as it has such, so that neither
    accumulated batches nor several machines change the mean.
    """

    label_smoothing: float
    commonest: int | None = None
    """The most frequent token, to count how often it is the true one, and how often a guess is right; None to
    count neither."""

    def __call__(self, model: BERT, batch: MaskedBatch) -> Losses:
        """The sums over the hidden tokens of ``batch``."""
        hidden = model(batch.tokens, batch.layout, batch.token_types)
        # (B,L,M) -> (N,M)
        states, table = model.scored(hidden[batch.chosen])
        losses = token_cross_entropy(states, table, batch.gold, self.label_smoothing)
        figures = dict(losses.figures)
        if self.commonest is not None:
            guessed = token_logits(states, table).argmax(dim=1)
            figures["right"] = (guessed == batch.gold).sum()
            figures["commonest"] = (batch.gold == self.commonest).sum()
        if model.next_sentence is not None and batch.is_not_next is not None:
            logits = model.next_sentence(model.pool(hidden)).float()
            losses = losses.plus(next_sentence_loss(logits, batch.is_not_next, batch.chosen))
            if self.commonest is not None:
                figures["followed"] = (logits.argmax(dim=1) == batch.is_not_next).sum()
        return losses._replace(figures=figures)


def next_sentence_loss(logits: Tensor, is_not_next: Tensor, chosen: Tensor) -> Tensor:
    """The sum of cross-entropies over pairs, each as often as it has hidden tokens.

    Args:
        logits: (B,2).
        is_not_next: (B,) true classes.
        chosen: (B,L) True where a token is hidden.
    """
    return (F.cross_entropy(logits, is_not_next, reduction="none") * chosen.sum(dim=1)).sum()


class TextsSpec(NamedTuple):
    """Numbers and parts by which texts are made of documents, and their tokens hidden."""

    tokenizer: Tokenizer
    masking: MaskingSpec
    longest: int
    """Maximum number of tokens of a text, special tokens included."""
    pairs: bool
    """Whether a text is two sentences, of which the second may be from elsewhere."""

    def lay_out(
        self, documents: Sequence[str], source_name: str, *, seed: int = 0, duplicates: int = 1
    ) -> tuple[MaskedTexts[Texts], Sentences]:
        """The texts of ``documents``, called ``source_name`` in errors, and their sentences.

        Raises:
            DataError: they make no texts or pairs.
        """
        if self.pairs:
            texts, sentences = sentence_pairs(
                documents,
                self.tokenizer,
                self.longest,
                seed=seed,
                duplicates=duplicates,
                source_name=source_name,
            )
        else:
            texts, sentences = single_texts(documents, self.tokenizer, self.longest, source_name=source_name)
        return MaskedTexts(texts, self.masking.build(self.tokenizer, seed)), sentences


def masked_lm_metrics(
    model: BERT, examples: MaskedTexts[Texts], label_smoothing: float, commonest: int, *, batch: int = 32
) -> MaskedLMMetrics:
    """Metrics of ``model``, in evaluation mode, on the holes of ``examples``, ``batch`` texts at a time."""
    texts, device = examples.texts, model.embedding.weight.device
    order = length_batches(texts.lengths.tolist(), batch)
    held_out = (examples.batch(np.array(indices), 0, device) for indices in order)
    losses = held_out_losses(model, FillHoles(label_smoothing, commonest), held_out, len(order))
    right, common = (100.0 * losses.sums[name] / losses.predictions for name in ("right", "commonest"))
    followed = None if texts.follows is None else 100.0 * losses.sums["followed"] / len(texts)
    return MaskedLMMetrics(len(texts), losses.predictions, losses.loss, losses.nll, right, common, followed)


class MaskedLMTraining:
    """Trains a model to fill holes, and to know the next sentence, and judges it by how it fills others."""

    def __init__(
        self,
        examples: MaskedTexts[Texts] | MaskedTexts[StoredTexts],
        valid: MaskedTexts[Texts],
        objective: FillHoles,
        *,
        commonest: int,
        summary: str,
    ) -> None:
        self.objective = objective
        self.examples = examples
        self.summary = summary
        """One sentence on what was read, and how it was laid out."""
        self.commonest = commonest
        """The most frequent token of the training text."""
        self._valid = valid

    @staticmethod
    def of(
        documents: Documents, texts: TextsSpec, objective: FillHoles, *, seed: int, duplicates: int
    ) -> "MaskedLMTraining":
        """The training on ``documents`` in memory.

        Raises:
            DataError: they make no texts or pairs.
        """
        examples, sentences = texts.lay_out(documents.train, "data.train", seed=seed, duplicates=duplicates)
        valid, _ = texts.lay_out(documents.valid, "data.valid")
        summary = f"{documents.summary}; {_laid_out(examples.texts, sentences)}"
        commonest = commonest_token(texts.tokenizer, sentences)
        return MaskedLMTraining(examples, valid, objective, commonest=commonest, summary=summary)

    @staticmethod
    def of_store(
        store: TokenStore, valid: Sequence[str], texts: TextsSpec, objective: FillHoles, *, seed: int
    ) -> "MaskedLMTraining":
        """The training on the documents of a ``store``.

        Raises:
            DataError: the validation set makes no texts.
        """
        stored = StoredTexts(store, texts.longest)
        examples = MaskedTexts(stored, texts.masking.build(texts.tokenizer, seed))
        held_out, _ = texts.lay_out(valid, "data.valid")
        summary = f"{store.summary}; {len(stored.lengths):,} texts"
        commonest = commonest_stored_token(store)
        return MaskedLMTraining(examples, held_out, objective, commonest=commonest, summary=summary)

    @property
    def lengths(self) -> Lengths | ExamplesByLength:
        """(texts, 1) tokens, special tokens included."""
        lengths = self.examples.texts.lengths
        return lengths if isinstance(lengths, ExamplesByLength) else lengths[:, None]

    def predicted(self, indices: NDArray[np.int64], epoch: int) -> int:
        """Tokens hidden in these texts."""
        return self.examples.hidden(indices, epoch)

    def batch(self, indices: NDArray[np.int64], epoch: int, device: torch.device) -> MaskedBatch:
        """The texts of ``indices``, with the holes of ``epoch``."""
        return self.examples.batch(indices, epoch, device)

    def probe(self, model: BERT) -> Probe:
        """A made-up text of six tokens and two of padding, which the six must not see."""
        weight = model.embedding.weight
        tokens = torch.arange(8, device=weight.device)[None]
        layout = Layout.right_padded(tokens < 6, [6])
        embedded = model.embed(tokens % (len(weight) - 1) + 1, layout)
        # (1,8) -> (8,8); what padding sees does not matter
        return Probe(embedded, model.stack(embedded, layout), (tokens < 6) | (tokens.T >= 6))

    def validate(self, model: BERT, device: torch.device, *, translate: bool | None) -> dict[str, float]:
        """Loss and negative log-likelihood in nats per hidden token, accuracies in percent."""
        smoothing = self.objective.label_smoothing
        return masked_lm_metrics(model, self._valid, smoothing, self.commonest).figures

    def better(self, new: dict[str, float], old: dict[str, float]) -> bool:
        """Compare by likelihood."""
        return new["nll"] < old["nll"]

    def chosen_by(self, scores: dict[str, float]) -> str:
        """Likelihood."""
        return "nll"


def commonest_token(tokenizer: Tokenizer, sentences: Sentences) -> int:
    """The most frequent ordinary token of ``sentences``."""
    first = tokenizer.ordinary_ids.start
    return first + int(np.bincount(sentences.tokens)[first:].argmax())


def _laid_out(texts: Texts, sentences: Sentences) -> str:
    kind = "texts" if texts.follows is None else "pairs"
    cut = f", {sentences.cut:,} over-long ones cut," if sentences.cut else ""
    return f"{len(sentences):,} sentences{cut} in {len(texts):,} {kind}"
