"""Masked language models: the recipe, the training task, how well hidden tokens and next sentences are told.

B batch · L tokens of a text · N tokens to tell · M model dimension · V vocabulary
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator
from torch import Tensor
from torch.nn import functional as F
from typing_extensions import override

from whyformer.data.batches.masked import MaskedBatch, MaskedTexts
from whyformer.data.batches.masking import MASK, MaskingSpec
from whyformer.data.batches.next_sentence import Sentences, Texts, sentence_pairs, single_texts
from whyformer.data.batches.planning import length_batches
from whyformer.data.corpora.documents import Documents, DocumentsSpec
from whyformer.data.corpora.sentences import split_sentences
from whyformer.data.tokenizers.kinds import TokenizerSpec, WordPiece
from whyformer.data.tokenizers.pair import TokenizerPair
from whyformer.data.tokenizers.tokenizer import Tokenizer
from whyformer.models.bert import BERT, BERTSpec
from whyformer.nn.embedding import token_logits
from whyformer.position.layout import Layout
from whyformer.tasks.recipe import Prepared, Recipe, require_data
from whyformer.training.loss import token_loss
from whyformer.training.settings import TrainingSpec
from whyformer.training.task import Prediction, Probe


class MaskedLMRecipe(Recipe):
    """Everything that makes a model that fills holes, from raw text to its accuracy."""

    figures = ("nll", "masked_accuracy")
    task: Literal["masked_lm"] = "masked_lm"
    """What the model is for."""
    data: DocumentsSpec | None
    """Where documents come from; they are cut into sentences by rule. Null for an imported model."""
    tokenizer: TokenizerSpec = WordPiece(vocabulary=4000, specials=(MASK,))
    """How text is cut into tokens; [MASK] is among its ``specials``."""
    model: BERTSpec = BERTSpec()
    """The network; with the head next_sentence it reads pairs, otherwise single texts."""
    masking: MaskingSpec = MaskingSpec()
    """What is hidden, anew in every epoch."""
    duplicates: int = Field(default=1, ge=1, json_schema_extra={"formerly": "layouts"})
    """Times that an epoch reads all documents, each time in other pairs; between epochs only masks differ."""
    training: TrainingSpec
    """How the network is trained."""

    @model_validator(mode="after")
    def _fits_together(self) -> "MaskedLMRecipe":
        if self.data is None:
            return self  # as it was imported
        if MASK not in self.tokenizer.specials:
            raise ValueError(f"tokenizer.specials has no {MASK}, which stands for what is hidden; add it")
        if "masked" not in self.model.heads:
            raise ValueError("model.heads has no masked, which this task trains; add it")
        if self.duplicates > 1 and "next_sentence" not in self.model.heads:
            raise ValueError(
                "duplicates is above 1, but without the head next_sentence all are the same; remove it"
            )
        return self

    @override
    def prepare(self, tokenizers: TokenizerPair | None) -> Prepared:
        documents = require_data(self.data).load()
        if tokenizers is None:
            sentences = (each for document in documents.train for each in split_sentences(document))
            tokenizer = self.tokenizer.train(sentences)
        else:
            tokenizer = tokenizers.source
        task = MaskedLMTask(self, documents, tokenizer)
        pair = TokenizerPair(tokenizer, tokenizer)
        return Prepared(task, lambda: self.model.build(tokenizer.size), pair, task.summary)


@dataclass(frozen=True)
class Fit:
    """How well a model fills the holes of texts; accuracies are in percent."""

    texts: int
    """Or pairs."""
    tokens: int
    """Hidden ones."""
    loss: float
    """What training minimises, in nats per hidden token."""
    nll: float
    """Negative log-likelihood, in nats per hidden token."""
    masked_accuracy: float
    """How often the likeliest token is the true one."""
    unigram_accuracy: float
    """The same of who always tells the most frequent token of the training text."""
    next_sentence_accuracy: float | None
    """Of pairs; half of them are by chance. None where texts stand alone."""

    @property
    def figures(self) -> dict[str, float]:
        """All of them, by name."""
        counts = {"texts", "tokens"}
        return {name: value for name, value in vars(self).items() if name not in counts and value is not None}


class HeldOut:
    """Documents with holes that stay the same, to be filled."""

    def __init__(self, examples: MaskedTexts, commonest: int) -> None:
        self._examples = examples
        self._commonest = commonest

    @torch.no_grad()
    def fit(self, model: BERT, label_smoothing: float = 0.0, *, batch: int = 32) -> Fit:
        """How well ``model``, in evaluation mode, fills the holes, ``batch`` texts at a time."""
        texts, device = self._examples.texts, model.embedding.weight.device
        loss = nll = right = common = followed = 0.0
        tokens = 0
        for indices in length_batches(texts.lengths.tolist(), batch):
            masked = self._examples.batch(np.array(indices), 0, device)
            told = _told(model, masked)
            part = token_loss(told.states, told.table, masked.gold, label_smoothing)
            loss, nll = loss + part.loss.item(), nll + part.negative_log_likelihood.item()
            tokens += part.tokens
            guessed = token_logits(told.states, told.table).argmax(dim=1)
            right += (guessed == masked.gold).sum().item()
            common += (masked.gold == self._commonest).sum().item()
            if told.is_not_next is not None and masked.is_not_next is not None:
                loss += _next_sentence_loss(told.is_not_next, masked.is_not_next, masked.chosen).item()
                followed += (told.is_not_next.argmax(dim=1) == masked.is_not_next).sum().item()
        shares = (100.0 * right / tokens, 100.0 * common / tokens)
        known = None if texts.follows is None else 100.0 * followed / len(texts)
        return Fit(len(texts), tokens, loss / tokens, nll / tokens, *shares, known)


class MaskedLMTask:
    """Trains a model to fill holes, and to know the next sentence, and judges it by how it fills others.

    The loss is the mean over hidden tokens; with the head next_sentence, the cross-entropy of each pair is
    added with the weight of its number of hidden tokens. Both are thus sums divided by one number, and
    neither accumulated batches nor several machines change the mean.
    """

    def __init__(self, recipe: MaskedLMRecipe, documents: Documents, tokenizer: Tokenizer) -> None:
        self._recipe = recipe
        self._tokenizer = tokenizer
        texts, sentences = self._laid_out(
            documents.train, recipe.training.seed, recipe.duplicates, "data.train"
        )
        self.examples = MaskedTexts(texts, recipe.masking.build(tokenizer, recipe.training.seed))
        self.summary = f"{documents.summary}; {_account(texts, sentences)}"
        self._lengths = texts.lengths[:, None]
        first = tokenizer.ordinary_ids.start
        self._commonest = first + int(np.bincount(sentences.tokens)[first:].argmax())
        self._valid = self.held_out(documents.valid, "data.valid")

    def held_out(self, documents: Sequence[str], origin: str) -> HeldOut:
        """Other documents to be judged by, whose name for errors is ``origin``.

        Raises:
            DataError: they make no texts or pairs.
        """
        texts, _ = self._laid_out(documents, 0, 1, origin)
        return HeldOut(MaskedTexts(texts, self._recipe.masking.build(self._tokenizer, 0)), self._commonest)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(texts, 1) tokens, marks included."""
        return self._lengths

    def predicted(self, indices: NDArray[np.int64], epoch: int) -> int:
        """Tokens hidden in these texts."""
        return self.examples.hidden(indices, epoch)

    def predict(
        self, model: BERT, indices: NDArray[np.int64], epoch: int, device: torch.device
    ) -> Prediction:
        """The states of hidden tokens alone, those tokens, and the loss of the next sentences."""
        masked = self.examples.batch(indices, epoch, device)
        told, extra = _told(model, masked), None
        if told.is_not_next is not None and masked.is_not_next is not None:
            extra = _next_sentence_loss(told.is_not_next, masked.is_not_next, masked.chosen)
        return Prediction(told.states, told.table, masked.gold, extra)

    def probe(self, model: BERT) -> Probe:
        """A made-up text of six tokens and two of padding, which the six must not see."""
        weight = model.embedding.weight
        tokens = torch.arange(8, device=weight.device)[None]
        layout = Layout(tokens, tokens < 6)
        embedded = model.embed(tokens % (len(weight) - 1) + 1, layout)
        # (1,8) -> (8,8); what padding sees does not matter
        return Probe(embedded, model.stack(embedded, layout), (tokens < 6) | (tokens.T >= 6))

    def validate(self, model: BERT, device: torch.device, *, translate: bool) -> dict[str, float]:
        """Loss and negative log-likelihood in nats per hidden token, accuracies in percent."""
        return self._valid.fit(model, self._recipe.training.loss.label_smoothing).figures

    def better(self, new: dict[str, float], old: dict[str, float]) -> bool:
        """By likelihood."""
        return new["nll"] < old["nll"]

    def _laid_out(
        self, documents: Sequence[str], seed: int, duplicates: int, origin: str
    ) -> tuple[Texts, Sentences]:
        model, tokenizer = self._recipe.model, self._tokenizer
        if "next_sentence" not in model.heads:
            return single_texts(documents, tokenizer, model.longest, origin=origin)
        return sentence_pairs(
            documents, tokenizer, model.longest, seed=seed, duplicates=duplicates, origin=origin
        )


class _Told(NamedTuple):
    states: Tensor
    """(N,M) of hidden tokens."""
    table: Tensor
    """(V,M) that scores them."""
    is_not_next: Tensor | None
    """(B,2) logits: the second side follows the first, or is from elsewhere; None without the head."""


def _told(model: BERT, masked: MaskedBatch) -> _Told:
    hidden = model(masked.tokens, masked.layout, masked.token_types)
    # (B,L,M) -> (N,M)
    states, table = model.scored(hidden[masked.chosen])
    is_not_next = None if model.next_sentence is None else model.next_sentence(model.pool(hidden)).float()
    return _Told(states, table, is_not_next)


def _next_sentence_loss(logits: Tensor, is_not_next: Tensor, chosen: Tensor) -> Tensor:
    """The sum over pairs, each as often as it has hidden tokens: (B,2), (B,), (B,L)."""
    return (F.cross_entropy(logits, is_not_next, reduction="none") * chosen.sum(dim=1)).sum()


def _account(texts: Texts, sentences: Sentences) -> str:
    kind = "texts" if texts.follows is None else "pairs"
    cut = f", {sentences.cut:,} over-long ones cut," if sentences.cut else ""
    return f"{len(sentences):,} sentences{cut} in {len(texts):,} {kind}"
