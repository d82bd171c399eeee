"""Translation as the trainer sees it: pairs to draw, teacher forcing, a verdict by what is translated.

B batch · T target length · N predicted tokens · M model dimension
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from whyformer.data.batches.batch import PairBatch
from whyformer.data.corpora.parallel import Corpus
from whyformer.data.tokenizers.pair import TokenizerPair
from whyformer.decoding.greedy import GreedySpec
from whyformer.errors import DataError
from whyformer.models.encoder_decoder import AnyEncoderDecoder
from whyformer.position.layout import Layout
from whyformer.special_tokens import EOS
from whyformer.tasks.translation.metrics import ScoringSpec, score
from whyformer.tasks.translation.translator import Translator
from whyformer.training.held_out import held_out_losses
from whyformer.training.objective import Losses, token_cross_entropy
from whyformer.training.settings import TrainingSpec
from whyformer.training.task import Probe

_ROWS = 128
"""Held-out pairs side by side."""


@dataclass(frozen=True)
class TeacherForcing:
    """Cross-entropy of each target token, after the source and the true tokens before it."""

    label_smoothing: float

    def __call__(self, model: AnyEncoderDecoder, batch: PairBatch) -> Losses:
        """The sums over the real target tokens of ``batch``, BOS left out."""
        source, target = batch.source, batch.target
        hidden = model(source.tokens, source.layout, target.tokens[:, :-1], target.layout.without_last())
        real = target.valid[:, 1:]
        # (B,T,M) -> (N,M): states that predict padding are left out of the loss
        states, table = model.scored(hidden[real])
        return token_cross_entropy(states, table, target.tokens[:, 1:][real], self.label_smoothing)


@dataclass(frozen=True)
class _Examples:
    """Training pairs as token ids, BOS and EOS left out."""

    sources: list[list[int]]
    targets: list[list[int]]
    lengths: NDArray[np.int64]
    """(pairs, 2) number of tokens of source and target, BOS and EOS included."""


class TranslationTraining:
    """Trains a model on pairs and judges it by what it translates."""

    def __init__(
        self,
        corpus: Corpus,
        tokenizers: TokenizerPair,
        longest: int,
        training: TrainingSpec,
        scoring: ScoringSpec,
    ) -> None:
        """Encode the pairs; ``longest`` is the maximum number of tokens of a side, BOS and EOS included."""
        self.objective = TeacherForcing(training.loss.label_smoothing)
        self.corpus = corpus
        self.tokenizers = tokenizers
        self._longest = longest
        self._shown = corpus.valid[: training.validation.sentences]
        self._scoring = scoring
        self._examples = _encoded(corpus, tokenizers, longest)
        sources = tokenizers.source.encode_all([pair.source for pair in corpus.valid])
        targets = tokenizers.target.encode_all([pair.references[0] for pair in corpus.valid])
        self._valid = PairBatch.of(list(zip(sources, targets, strict=True)))

    @property
    def summary(self) -> str:
        """One sentence on the pairs that were read, dropped, and left out as too long for the model."""
        overlong = len(self.corpus.train) - len(self._examples.sources)
        left_out = f"; {overlong:,} more are longer than model.longest ({self._longest} tokens)"
        return self.corpus.summary + (left_out if overlong else "")

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(pairs, 2) number of tokens of source and target, BOS and EOS included."""
        return self._examples.lengths

    def predicted(self, indices: NDArray[np.int64], epoch: int) -> int:
        """Number of target tokens of these pairs, EOS included."""
        return int(self.lengths[indices, 1].sum()) - len(indices)

    def batch(self, indices: NDArray[np.int64], epoch: int, device: torch.device) -> PairBatch:
        """The pairs of ``indices``, padded."""
        examples = self._examples
        return PairBatch.of(
            [(examples.sources[index], examples.targets[index]) for index in indices.tolist()], device
        )

    def probe(self, model: AnyEncoderDecoder) -> Probe:
        """One made-up pair of eight tokens: embedded target tokens and hidden states, (1,8,M) each."""
        device = model.output_weight.device
        source = torch.full((1, 8), EOS, device=device)
        target = torch.arange(8, device=device)[None] % (len(model.output_weight) - 1) + 1
        embedded: list[Tensor] = []
        valid = Layout.counting(1, 8, device=device)

        def keep(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
            embedded.append(output)

        hook = model.target_embedding.register_forward_hook(keep)
        try:
            hidden = model(source, valid, target, valid)
        finally:
            hook.remove()
        # A table that both sides share is read twice, the target last.
        return Probe(embedded[-1], hidden)

    def validate(
        self, model: AnyEncoderDecoder, device: torch.device, *, translate: bool
    ) -> dict[str, float]:
        """Loss and negative log-likelihood per token, in nats; with ``translate`` also scores in percent."""
        starts = range(0, len(self.corpus.valid), _ROWS)
        held_out = (self._valid.rows(first, first + _ROWS).to(device) for first in starts)
        losses = held_out_losses(model, self.objective, held_out, len(starts))
        figures = {"loss": losses.loss, "nll": losses.nll}
        if translate:
            translator = Translator(model, self.tokenizers, GreedySpec())
            hypotheses = translator.best([pair.source for pair in self._shown])
            scores = score(hypotheses, [pair.references for pair in self._shown], self._scoring)
            figures |= {each.name: each.value for each in scores}
        return figures

    def better(self, new: dict[str, float], old: dict[str, float]) -> bool:
        """Compare by BLEU if both were translated, by likelihood if neither was; a translated one wins."""
        if "bleu" in new and "bleu" in old:
            return new["bleu"] > old["bleu"]
        return "bleu" in new or ("bleu" not in old and new["nll"] < old["nll"])


def _encoded(corpus: Corpus, tokenizers: TokenizerPair, longest: int) -> _Examples:
    """Token ids of the training pairs, without those that have more than ``longest`` tokens on a side."""
    sources = tokenizers.source.encode_all([source for source, _ in corpus.train])
    targets = tokenizers.target.encode_all([target for _, target in corpus.train])
    pairs = list(zip(sources, targets, strict=True))
    lengths = np.array([(len(source) + 1, len(target) + 2) for source, target in pairs], dtype=np.int64)
    fits = lengths.max(axis=1) <= longest
    if not fits.any():
        raise DataError(f"all training pairs are longer than model.longest ({longest} tokens); raise it.")
    kept = [pairs[index] for index in np.flatnonzero(fits).tolist()]
    return _Examples([source for source, _ in kept], [target for _, target in kept], lengths[fits])
