"""Language modelling both ways apart as the trainer sees it: windows of words, and how others are predicted.

B batch · L words of a window · N predicted words · M model dimension
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from whyformer.data.batches.planning import length_batches
from whyformer.data.batches.word_windows import Windows
from whyformer.data.corpora.documents import Documents
from whyformer.data.tokenizers.tokenizer import Tokenizer
from whyformer.models.elmo import ELMo, ELMoSpec
from whyformer.nn.vectors.characters import SpelledWords
from whyformer.tasks.bidirectional_lm.metrics import BidirectionalLMMetrics
from whyformer.training.held_out import held_out_losses
from whyformer.training.objective import Losses, token_cross_entropy
from whyformer.training.task import Probe


class WindowBatch(NamedTuple):
    """Windows side by side."""

    words: SpelledWords
    ids: Tensor
    """(B,L) words as tokens to predict."""


@dataclass(frozen=True)
class BothWays:
    """Cross-entropy of each word after those before it, and before those behind it."""

    label_smoothing: float
    apart: bool = False
    """Whether the directions are summed apart besides, which computes logits once for each."""

    def __call__(self, model: ELMo, batch: WindowBatch) -> Losses:
        """The sums over the real neighbours of ``batch``, in both directions."""
        words, ids = batch
        # (B,L-1,M) twice -> (2,B,L-1,M)
        hidden = torch.stack(_predicting_states(model, model.embed(words), words.valid))
        gold = torch.stack([ids[:, 1:], ids[:, :-1]])
        # Neighbours are real where the second is; padding is left out of the loss.
        real = words.valid[:, 1:].expand(2, -1, -1)
        # (2,B,L-1,M) -> (2N,M), forwards first
        states, gold = hidden[real], gold[real]
        if not self.apart:
            return token_cross_entropy(states, model.output_weight, gold, self.label_smoothing)
        forward, backward = (
            token_cross_entropy(of, model.output_weight, right, self.label_smoothing)
            for of, right in zip(states.chunk(2), gold.chunk(2), strict=True)
        )
        ways = {"forward_nll": forward.figures["nll"], "backward_nll": backward.figures["nll"]}
        both = {"nll": forward.figures["nll"] + backward.figures["nll"], **ways}
        return Losses(forward.total + backward.total, forward.predictions + backward.predictions, both)


def _predicting_states(model: ELMo, x: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """States (B,L-1,M) that predict the word after theirs, and those that predict the one before."""
    forwards, backwards = model(x, valid)
    return forwards[:, :-1], backwards[:, 1:]


def bidirectional_lm_metrics(
    model: ELMo, windows: Windows, label_smoothing: float, *, batch: int = 32
) -> BidirectionalLMMetrics:
    """Metrics of ``model``, in evaluation mode, on the words of ``windows``, ``batch`` at a time."""
    device = model.output_weight.device
    order = length_batches(windows.lengths.tolist(), batch)
    batches = (WindowBatch(*windows.batch(np.array(indices), device)) for indices in order)
    losses = held_out_losses(model, BothWays(label_smoothing, apart=True), batches, len(order))
    words = losses.predictions // 2
    forward, backward = (losses.sums[name] / words for name in ("forward_nll", "backward_nll"))
    return BidirectionalLMMetrics(losses.predictions, losses.loss, forward, backward)


class BidirectionalLMTraining:
    """Trains both directions on windows of documents and judges them by how well they predict others."""

    def __init__(
        self, documents: Documents, tokenizer: Tokenizer, spec: ELMoSpec, objective: BothWays
    ) -> None:
        self.objective = objective
        self.windows = windows_of(documents.train, tokenizer, spec)
        self._valid = windows_of(documents.valid, tokenizer, spec)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(windows, 1) words, special tokens included."""
        return self.windows.lengths[:, None]

    def predicted(self, indices: NDArray[np.int64], epoch: int) -> int:
        """Words of these windows, once for each direction: all but the one at which it begins."""
        return 2 * int((self.windows.lengths[indices] - 1).sum())

    def batch(self, indices: NDArray[np.int64], epoch: int, device: torch.device) -> WindowBatch:
        """The windows of ``indices``, alike in all epochs."""
        return WindowBatch(*self.windows.batch(indices, device))

    def probe(self, model: ELMo) -> Probe:
        """A made-up text of eight words, (1,8,M), and the states of both directions that predict, (1,14,M).

        None sees the word that it predicts, nor what lies behind it.
        """
        words = torch.arange(8, device=model.output_weight.device)
        text = SpelledWords(words[:, None] + 1, words[None], words[None] >= 0)
        embedded = model.embed(text)
        hidden = torch.cat(_predicting_states(model, embedded, text.valid), dim=1)
        every = torch.ones(8, 8, dtype=torch.bool)
        return Probe(embedded, hidden, torch.cat([every.tril()[:-1], every.triu()[1:]]))

    def validate(self, model: ELMo, device: torch.device, *, translate: bool | None) -> dict[str, float]:
        """Loss and negative log-likelihood in nats per word, of each direction too, and perplexity."""
        return bidirectional_lm_metrics(model, self._valid, self.objective.label_smoothing).figures

    def better(self, new: dict[str, float], old: dict[str, float]) -> bool:
        """Compare by likelihood."""
        return new["nll"] < old["nll"]

    def chosen_by(self, scores: dict[str, float]) -> str:
        """Likelihood."""
        return "nll"


def windows_of(texts: Sequence[str], tokenizer: Tokenizer, spec: ELMoSpec) -> Windows:
    """Windows of ``texts`` that a model of ``spec`` reads."""
    return Windows(texts, tokenizer, spec.characters, spec.longest)
