"""Language models that read both ways apart: the recipe, the training task, how well they foresee text.

R windows · T words of all texts · W distinct words · C bytes of a word · B batch · L words of a window
N predicted words · M model dimension · V vocabulary
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from typing_extensions import override

from whyformer.data.batches.planning import length_batches
from whyformer.data.batches.word_windows import Windows
from whyformer.data.corpora.documents import Documents, DocumentsSpec
from whyformer.data.tokenizers.kinds import Word
from whyformer.data.tokenizers.pair import TokenizerPair
from whyformer.data.tokenizers.tokenizer import Tokenizer
from whyformer.models.elmo import ELMo, ELMoSpec
from whyformer.nn.characters import SpelledWords
from whyformer.tasks.recipe import Prepared, Recipe
from whyformer.training.loss import token_loss
from whyformer.training.settings import TrainingSpec
from whyformer.training.task import Prediction, Probe


class BidirectionalLMRecipe(Recipe):
    """Everything that makes an ELMo, from raw text to its perplexity."""

    figures = ("nll", "forward_nll", "backward_nll")
    task: Literal["bidirectional_lm"] = "bidirectional_lm"
    """What the model is for."""
    data: DocumentsSpec
    """Where documents come from."""
    tokenizer: Word = Word(vocabulary=8000)
    """Which words can be foretold; any other is read all the same, by its spelling."""
    model: ELMoSpec = ELMoSpec()
    """The network; documents are cut into windows of its longest."""
    training: TrainingSpec
    """How the network is trained."""

    @override
    def prepare(self, tokenizers: TokenizerPair | None) -> Prepared:
        documents = self.data.load()
        tokenizer = self.tokenizer.train(documents.train) if tokenizers is None else tokenizers.source
        task = BidirectionalLMTask(self, documents, tokenizer)
        pair = TokenizerPair(tokenizer, tokenizer)
        return Prepared(task, lambda: self.model.build(tokenizer.size), pair, documents.summary)


@dataclass(frozen=True)
class Fit:
    """How well a model foresees documents, their marks and ``<unk>`` included, from either side."""

    words: int
    """Predicted, once for each direction."""
    loss: float
    """What training minimises, in nats per word."""
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
        """Per word, so it depends on the vocabulary."""
        return math.exp(min(self.nll, 700.0))  # beyond that it is no floating-point number

    @property
    def figures(self) -> dict[str, float]:
        """All of them, by name."""
        return {
            "loss": self.loss,
            "nll": self.nll,
            "forward_nll": self.forward_nll,
            "backward_nll": self.backward_nll,
            "perplexity": self.perplexity,
        }


class HeldOut:
    """Documents to be foreseen."""

    def __init__(self, documents: Sequence[str], tokenizer: Tokenizer, spec: ELMoSpec) -> None:
        self.windows = Windows(documents, tokenizer, spec.characters, spec.longest)

    @torch.no_grad()
    def fit(self, model: ELMo, label_smoothing: float = 0.0, *, batch: int = 32) -> Fit:
        """How well ``model``, in evaluation mode, foresees them, ``batch`` windows at a time."""
        device, lengths = model.output_weight.device, self.windows.lengths
        sums = np.zeros((2, 2))
        for indices in length_batches(lengths.tolist(), batch):
            hidden, table, gold, _ = _foretold(model, *self.windows.batch(np.array(indices), device))
            for way, (states, right) in enumerate(zip(hidden.chunk(2), gold.chunk(2), strict=True)):
                part = token_loss(states, table, right, label_smoothing)
                sums[way] += (part.loss.item(), part.negative_log_likelihood.item())
        words = int((lengths - 1).sum())
        (forward_loss, forward_nll), (backward_loss, backward_nll) = (sums / words).tolist()
        return Fit(2 * words, (forward_loss + backward_loss) / 2, forward_nll, backward_nll)


class BidirectionalLMTask:
    """Trains both directions on windows of documents and judges them by how well they foresee others."""

    def __init__(self, recipe: BidirectionalLMRecipe, documents: Documents, tokenizer: Tokenizer) -> None:
        spec = recipe.model
        self.windows = Windows(documents.train, tokenizer, spec.characters, spec.longest)
        self._valid = HeldOut(documents.valid, tokenizer, spec)
        self._label_smoothing = recipe.training.loss.label_smoothing

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(windows, 1) words, marks included."""
        return self.windows.lengths[:, None]

    def predicted(self, indices: NDArray[np.int64], epoch: int) -> int:
        """Words of these windows, once for each direction: all but the one at which it begins."""
        return 2 * int((self.windows.lengths[indices] - 1).sum())

    def predict(
        self, model: ELMo, indices: NDArray[np.int64], epoch: int, device: torch.device
    ) -> Prediction:
        """What both directions make of each word, and the words that they come to next."""
        return _foretold(model, *self.windows.batch(indices, device))

    def probe(self, model: ELMo) -> Probe:
        """A made-up text of eight words, (1,8,M), and the states of both directions that foresee, (1,14,M).

        None sees the word that it foresees, nor what lies behind it.
        """
        words = torch.arange(8, device=model.output_weight.device)
        text = SpelledWords(words[:, None] + 1, words[None], words[None] >= 0)
        embedded = model.embed(text)
        hidden = torch.cat(_predicting_states(model, embedded, text.valid), dim=1)
        every = torch.ones(8, 8, dtype=torch.bool)
        return Probe(embedded, hidden, torch.cat([every.tril()[:-1], every.triu()[1:]]))

    def validate(self, model: ELMo, device: torch.device, *, translate: bool) -> dict[str, float]:
        """Loss and negative log-likelihood in nats per word, of each direction too, and perplexity."""
        return self._valid.fit(model, self._label_smoothing).figures

    def better(self, new: dict[str, float], old: dict[str, float]) -> bool:
        """By likelihood."""
        return new["nll"] < old["nll"]


def _foretold(model: ELMo, words: SpelledWords, ids: Tensor) -> Prediction:
    # (B,L-1,M) twice -> (2,B,L-1,M)
    hidden = torch.stack(_predicting_states(model, model.embed(words), words.valid))
    gold = torch.stack([ids[:, 1:], ids[:, :-1]])
    # Neighbours are real where the second is; padding is left out of the loss.
    real = words.valid[:, 1:].expand(2, -1, -1)
    # (2,B,L-1,M) -> (2N,M), forwards first
    return Prediction(hidden[real], model.output_weight, gold[real])


def _predicting_states(model: ELMo, x: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """States (B,L-1,M) that are to tell the word after theirs, and those that are to tell the one before."""
    forwards, backwards = model(x, valid)
    return forwards[:, :-1], backwards[:, 1:]
