"""Language modelling from left to right as the trainer sees it: packed rows, and how others are predicted.

B batch · L tokens of a row · N predicted tokens · M model dimension
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from whyformer.data.batches.packing import Rows, pack, plan_rows
from whyformer.data.store.reader import TokenStore
from whyformer.data.tokenizers.tokenizer import Tokenizer
from whyformer.models.gpt import GPT
from whyformer.position.layout import Layout
from whyformer.special_tokens import BOS, EOS, PAD
from whyformer.tasks.causal_lm.metrics import CausalLMMetrics
from whyformer.training.held_out import held_out_losses
from whyformer.training.objective import Losses, r_drop_cross_entropy, token_cross_entropy
from whyformer.training.task import Probe


class RowBatch(NamedTuple):
    """Packed rows side by side."""

    tokens: Tensor
    """(B,L) tokens that are read."""
    gold: Tensor
    """(B,L) tokens that follow; padding where nothing does."""
    layout: Layout
    """Where they stand; real is what is followed."""


@dataclass(frozen=True)
class NextToken:
    """Cross-entropy of each token after those before it in its document."""

    label_smoothing: float
    r_drop: float = 0.0

    def __call__(self, model: GPT, batch: RowBatch) -> Losses:
        """The sums over the real tokens of ``batch``."""
        # (B,L) -> (B·L,) -> (N,): what predicts padding is left out of the loss
        gold = batch.gold.flatten()[batch.layout.real_indices]
        twice = self.r_drop > 0.0 and model.training
        tokens, layout = batch.tokens, batch.layout
        if twice:
            tokens, layout = tokens.repeat(2, 1), layout.repeated(2)
        # (B,L,M) -> (B·L,M) -> (N,M)
        states, table = model.scored(model(tokens, layout).flatten(0, 1)[layout.real_indices])
        if twice:
            return r_drop_cross_entropy(states, table, gold, self.label_smoothing, self.r_drop)
        return token_cross_entropy(states, table, gold, self.label_smoothing)


class PackedDocuments:
    """Documents packed into rows; ``longest`` is the maximum number of tokens of a row."""

    def __init__(
        self, documents: Sequence[str], tokenizer: Tokenizer, longest: int, *, seed: int = 0
    ) -> None:
        self.documents = len(documents)
        self.characters = sum(map(len, documents))
        ids = [[BOS, *ids, EOS] for ids in tokenizer.encode_all(documents)]
        self.rows: Rows = pack(ids, longest, seed=seed)
        self.lengths: NDArray[np.int64] = self.rows.lengths
        """(R,) predictions of each row."""

    def batch(self, indices: NDArray[np.int64], device: torch.device) -> RowBatch:
        """The rows of ``indices``."""
        return _batch(self.rows, indices, device)

    def metrics(self, model: GPT, objective: NextToken, *, batch: int = 32) -> CausalLMMetrics:
        """Metrics of ``model``, in evaluation mode, on these documents, ``batch`` rows at a time."""
        device = model.output_weight.device
        parts = np.split(np.arange(len(self.rows)), range(batch, len(self.rows), batch))
        losses = held_out_losses(
            model, objective, (self.batch(indices, device) for indices in parts), len(parts)
        )
        return CausalLMMetrics(self.documents, self.characters, losses.predictions, losses.loss, losses.nll)


class StoredDocuments:
    """Documents of a store packed into the rows that ``PackedDocuments`` packs; tokens stay on the disk."""

    def __init__(self, store: TokenStore, longest: int, *, seed: int) -> None:
        self._store = store
        # BOS and EOS
        self._plan = plan_rows(store.lengths[:, 0].astype(np.int64) + 2, longest, seed=seed)
        self.lengths: NDArray[np.int64] = self._plan.lengths
        """(R,) predictions of each row."""

    def batch(self, indices: NDArray[np.int64], device: torch.device) -> RowBatch:
        """The rows of ``indices``."""
        rows = self._plan.rows(indices.tolist(), lambda index: [BOS, *self._store.ids(index)[0], EOS])
        return _batch(rows, np.arange(len(rows)), device)


def _batch(rows: Rows, indices: NDArray[np.int64], device: torch.device) -> RowBatch:
    # What is padding in all of these rows is cut off.
    longest = int(rows.lengths[indices].max())
    tokens, gold = (
        torch.from_numpy(part[indices, :longest]).long().to(device) for part in (rows.tokens, rows.gold)
    )
    return RowBatch(tokens, gold, rows.layout(indices, gold != PAD))


class CausalLMTraining:
    """Trains a model on packed documents and judges it by how well it predicts others."""

    def __init__(
        self, examples: PackedDocuments | StoredDocuments, valid: PackedDocuments, objective: NextToken
    ) -> None:
        self.objective = objective
        self.examples = examples
        self._valid = valid

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(rows, 1) tokens, padding left out."""
        return self.examples.lengths[:, None]

    def predicted(self, indices: NDArray[np.int64], epoch: int) -> int:
        """Tokens of these rows: each predicts the next."""
        return int(self.examples.lengths[indices].sum())

    def batch(self, indices: NDArray[np.int64], epoch: int, device: torch.device) -> RowBatch:
        """The rows of ``indices``, alike in all epochs."""
        return self.examples.batch(indices, device)

    def probe(self, model: GPT) -> Probe:
        """One made-up document of eight tokens: embedded tokens and hidden states, (1,8,M) each."""
        tokens = torch.arange(8, device=model.output_weight.device)[None]
        layout = Layout.counting(1, 8, device=tokens.device)
        embedded = model.embed(tokens % (len(model.output_weight) - 1) + 1, layout)
        return Probe(embedded, model.stack(embedded, layout))

    def validate(self, model: GPT, device: torch.device, *, translate: bool | None) -> dict[str, float]:
        """Loss and negative log-likelihood in nats per token, perplexity, bits per character."""
        return self._valid.metrics(model, self.objective).figures

    def better(self, new: dict[str, float], old: dict[str, float]) -> bool:
        """Compare by likelihood."""
        return new["nll"] < old["nll"]

    def chosen_by(self, scores: dict[str, float]) -> str:
        """Likelihood."""
        return "nll"
