"""Language models that read from left to right: the recipe, the training task, how well they foresee text.

B batch · L tokens of a row · N predicted tokens · M model dimension · V vocabulary
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from typing_extensions import override

from whyformer.data.batches.packing import Rows, pack
from whyformer.data.corpora.documents import Documents, DocumentsSpec
from whyformer.data.tokenizers.kinds import BPE, TokenizerSpec
from whyformer.data.tokenizers.pair import TokenizerPair
from whyformer.data.tokenizers.tokenizer import Tokenizer
from whyformer.decoding.sampling import SamplingSpec
from whyformer.decoding.search import SearchSpec
from whyformer.models.gpt import GPT, GPTSpec
from whyformer.position.layout import Layout
from whyformer.special_tokens import BOS, EOS, PAD
from whyformer.tasks.recipe import Prepared, Recipe, require_data
from whyformer.training.loss import token_loss
from whyformer.training.settings import TrainingSpec
from whyformer.training.task import Prediction, Probe


class CausalLMRecipe(Recipe):
    """Everything that makes a generator, from raw text to its perplexity."""

    figures = ("nll", "bits_per_character")
    task: Literal["causal_lm"] = "causal_lm"
    """What the model is for."""
    data: DocumentsSpec | None
    """Where documents come from; null for an imported model."""
    tokenizer: TokenizerSpec = BPE(vocabulary=4000)
    """How text is cut into tokens."""
    model: GPTSpec = GPTSpec()
    """The network; documents are packed into rows of its longest."""
    training: TrainingSpec
    """How the network is trained."""
    decoding: SearchSpec = SamplingSpec(top_p=0.9, longest_factor=0.0, longest_extra=100)
    """How text is written, unless the command line says otherwise."""

    @override
    def prepare(self, tokenizers: TokenizerPair | None) -> Prepared:
        documents = require_data(self.data).load()
        tokenizer = self.tokenizer.train(documents.train) if tokenizers is None else tokenizers.source
        task = CausalLMTask(self, documents, tokenizer)
        pair = TokenizerPair(tokenizer, tokenizer)
        return Prepared(task, lambda: self.model.build(tokenizer.size), pair, documents.summary)


@dataclass(frozen=True)
class Fit:
    """How well a model foresees documents, end marks included; long ones in windows that do not overlap."""

    documents: int
    characters: int
    """Of the text, end marks left out."""
    tokens: int
    """Predicted, end marks included."""
    loss: float
    """What training minimises, in nats per token."""
    nll: float
    """Negative log-likelihood, in nats per token."""

    @property
    def perplexity(self) -> float:
        """Per token, so it depends on the tokenizer."""
        return math.exp(min(self.nll, 700.0))  # beyond that it is no floating-point number

    @property
    def bits_per_character(self) -> float:
        """What documents cost, spread over their characters: comparable between lossless tokenizers."""
        return self.nll * self.tokens / math.log(2) / self.characters

    @property
    def figures(self) -> dict[str, float]:
        """All of them, by name."""
        return {
            "loss": self.loss,
            "nll": self.nll,
            "perplexity": self.perplexity,
            "bits_per_character": self.bits_per_character,
        }


class HeldOut:
    """Documents to be foreseen, packed."""

    def __init__(self, documents: Sequence[str], tokenizer: Tokenizer, longest: int) -> None:
        self.documents = len(documents)
        self.characters = sum(map(len, documents))
        self.rows = _packed(documents, tokenizer, longest, seed=0)

    @torch.no_grad()
    def fit(self, model: GPT, label_smoothing: float = 0.0, *, batch: int = 32) -> Fit:
        """How well ``model``, in evaluation mode, foresees them, ``batch`` rows at a time."""
        loss = nll = tokens = 0.0
        for indices in np.split(np.arange(len(self.rows)), range(batch, len(self.rows), batch)):
            hidden, table, gold, _ = _forced(model, self.rows, indices, model.output_weight.device)
            part = token_loss(hidden, table, gold, label_smoothing)
            loss, nll = loss + part.loss.item(), nll + part.negative_log_likelihood.item()
            tokens += part.tokens
        return Fit(self.documents, self.characters, int(tokens), loss / tokens, nll / tokens)


class CausalLMTask:
    """Trains a model on packed documents and judges it by how well it foresees others."""

    def __init__(self, recipe: CausalLMRecipe, documents: Documents, tokenizer: Tokenizer) -> None:
        longest = recipe.model.longest
        self.rows = _packed(documents.train, tokenizer, longest, seed=recipe.training.seed)
        self._lengths = self.rows.lengths
        self._valid = HeldOut(documents.valid, tokenizer, longest)
        self._label_smoothing = recipe.training.loss.label_smoothing

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(rows, 1) tokens, padding left out."""
        return self._lengths[:, None]

    def predicted(self, indices: NDArray[np.int64], epoch: int) -> int:
        """Tokens of these rows: each predicts the next."""
        return int(self._lengths[indices].sum())

    def predict(self, model: GPT, indices: NDArray[np.int64], epoch: int, device: torch.device) -> Prediction:
        """The hidden states of real tokens and the tokens that follow."""
        return _forced(model, self.rows, indices, device)

    def probe(self, model: GPT) -> Probe:
        """One made-up document of eight tokens: embedded tokens and hidden states, (1,8,M) each."""
        tokens = torch.arange(8, device=model.output_weight.device)[None]
        layout = Layout(tokens)
        embedded = model.embed(tokens % (len(model.output_weight) - 1) + 1, layout)
        return Probe(embedded, model.stack(embedded, layout))

    def validate(self, model: GPT, device: torch.device, *, translate: bool) -> dict[str, float]:
        """Loss and negative log-likelihood in nats per token, perplexity, bits per character."""
        return self._valid.fit(model, self._label_smoothing).figures

    def better(self, new: dict[str, float], old: dict[str, float]) -> bool:
        """By likelihood."""
        return new["nll"] < old["nll"]


def _packed(documents: Sequence[str], tokenizer: Tokenizer, longest: int, *, seed: int) -> Rows:
    return pack([[BOS, *ids, EOS] for ids in tokenizer.encode_all(documents)], longest, seed=seed)


def _forced(model: GPT, rows: Rows, indices: NDArray[np.int64], device: torch.device) -> Prediction:
    # What is padding in all of these rows is cut off.
    longest = int(rows.lengths[indices].max())
    tokens, gold, position, segment = (
        torch.from_numpy(part[indices, :longest]).long().to(device)
        for part in (rows.tokens, rows.gold, rows.position, rows.segment)
    )
    real = gold != PAD
    hidden = model(tokens, Layout(position, real, segment))
    # (B,L,M) -> (N,M): what predicts padding is left out of the loss
    return Prediction(*model.scored(hidden[real]), gold[real])
