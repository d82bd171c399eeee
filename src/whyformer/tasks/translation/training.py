"""Translation as the trainer sees it: pairs to draw, teacher forcing, a verdict by what is translated.

B batch · T target length · N predicted tokens · M model dimension
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from whyformer.data.batches.batch import PairBatch
from whyformer.data.batches.by_length import ExamplesByLength
from whyformer.data.batches.planning import Lengths
from whyformer.data.corpora.pair_files import Referenced
from whyformer.data.segmentation.segmentation import AS_CUT, PairSegmentation
from whyformer.data.tokenizers.pair import TokenizerPair
from whyformer.decoding.greedy import GreedySpec
from whyformer.errors import DataError, WhyformerNote, without_notes
from whyformer.models.encoder_decoder import AnyEncoderDecoder
from whyformer.position.layout import Layout
from whyformer.special_tokens import EOS
from whyformer.tasks.translation.pairs.examples import EncodedPairs, TrainingPairs
from whyformer.tasks.translation.scores.metrics import Metric, ScoringSpec, score, words_of_zero
from whyformer.tasks.translation.translator import Translator
from whyformer.training.held_out import held_out_losses
from whyformer.training.objective import Losses, r_drop_cross_entropy, token_cross_entropy
from whyformer.training.settings import TrainingSpec
from whyformer.training.task import Probe

_ROWS = 128
"""Held-out pairs side by side."""
_INFORMED = 0.9
"""Share of the entropy of single tokens below which the likelihood is good enough to translate."""
_SOME_CHRF = 20.0
"""chrF in percent above which translations are not nothing."""


@dataclass(frozen=True)
class TeacherForcing:
    """Cross-entropy of each target token, after the source and the true tokens before it."""

    label_smoothing: float
    r_drop: float = 0.0

    def __call__(self, model: AnyEncoderDecoder, batch: PairBatch) -> Losses:
        """The sums over the real target tokens of ``batch``, BOS left out."""
        queries = batch.target.layout.without_last()
        # (B,T) -> (B·T,) -> (N,): what predicts padding is left out of the loss
        gold = batch.target.tokens[:, 1:].flatten()[queries.real_indices]
        twice = self.r_drop > 0.0 and model.training
        if twice:
            batch = batch.repeated(2)
            queries = batch.target.layout.without_last()
        source, target = batch.source, batch.target
        hidden = model(source.tokens, source.layout, target.tokens[:, :-1], queries)
        # (B,T,M) -> (B·T,M) -> (N,M)
        states, table = model.scored(hidden.flatten(0, 1)[queries.real_indices])
        if twice:
            return r_drop_cross_entropy(states, table, gold, self.label_smoothing, self.r_drop)
        return token_cross_entropy(states, table, gold, self.label_smoothing)


class TranslationTraining:
    """Trains a model on pairs and judges it by what it translates."""

    def __init__(
        self,
        pairs: TrainingPairs,
        valid: Sequence[Referenced],
        tokenizers: TokenizerPair,
        longest: int,
        training: TrainingSpec,
        scoring: ScoringSpec,
        segmentation: PairSegmentation = AS_CUT,
    ) -> None:
        """Encode the validation pairs.

        Args:
            pairs: pairs to train on.
            valid: pairs to judge by.
            tokenizers: cut both into tokens.
            longest: maximum number of tokens of a side, BOS and EOS included.
            training: settings of the training.
            scoring: settings of scores.
            segmentation: cuts of the training pairs, epoch by epoch.

        Raises:
            DataError: all pairs of one sort are longer.
        """
        self.objective = TeacherForcing(training.loss.label_smoothing, training.loss.r_drop)
        self._pairs = pairs
        self.tokenizers = tokenizers
        self._longest = longest
        self._scoring = scoring
        self._segmentation = segmentation
        self._translates_from = training.validation.translate_from
        if not len(pairs.lengths):
            raise DataError(f"all training pairs are longer than model.longest ({longest} tokens); raise it.")
        held_out = EncodedPairs.of(
            tokenizers,
            [pair.source for pair in valid],
            [pair.references[0] for pair in valid],
            longest,
        )
        if not held_out.sources:
            raise DataError(
                f"all validation pairs are longer than model.longest ({longest} tokens); raise it."
            )
        self._overlong = held_out.overlong
        self.valid = [valid[index] for index in held_out.kept]
        """Validation pairs that the model can read and write."""
        self._valid = PairBatch.of(list(zip(held_out.sources, held_out.targets, strict=True)))
        self._shown = self.valid[: training.validation.sentences]
        self._informed = _INFORMED * unigram_entropy(pairs.target_counts())
        # From all over the data, in case that is sorted.
        self._sample = PairBatch.of([pairs.ids(index) for index in pairs.spread(_ROWS).tolist()])
        self._told = False

    @property
    def left_out(self) -> str:
        """Half a sentence on the pairs that are left out as too long for the model; empty where none are."""
        overlong = {"training": self._pairs.overlong, "validation": self._overlong}
        left_out = " and ".join(f"{count:,} {side} pairs" for side, count in overlong.items() if count)
        longer = f"; left out, as longer than model.longest ({self._longest} tokens): {left_out}"
        return longer if left_out else ""

    @property
    def decisions(self) -> list[str]:
        """A line on when validations translate, where the recipe leaves that open."""
        if self._translates_from is not None:
            return []
        return [
            f"validations translate once the nll of training pairs is below {self._informed:.3g}, "
            f"{_INFORMED:.0%} of the entropy of single target tokens, and at the end"
        ]

    @property
    def lengths(self) -> Lengths | ExamplesByLength:
        """(pairs, 2) number of tokens of source and target, BOS and EOS included; sorted where many."""
        return self._pairs.lengths

    def predicted(self, indices: NDArray[np.int64], epoch: int) -> int:
        """Number of target tokens of these pairs as ``epoch`` cuts them, EOS included."""
        if self._segmentation.target is None:
            return self._pairs.predicted(indices)
        targets = [self._pairs.ids(index)[1] for index in indices.tolist()]
        return sum(len(target) + 1 for target in self._segmentation.targets(targets, indices, epoch))

    def batch(self, indices: NDArray[np.int64], epoch: int, device: torch.device) -> PairBatch:
        """The pairs of ``indices`` as ``epoch`` cuts them, padded."""
        pairs = [self._pairs.ids(index) for index in indices.tolist()]
        sources = self._segmentation.sources([source for source, _ in pairs], indices, epoch)
        targets = self._segmentation.targets([target for _, target in pairs], indices, epoch)
        return PairBatch.of([*zip(sources, targets, strict=True)], device)

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
        self, model: AnyEncoderDecoder, device: torch.device, *, translate: bool | None
    ) -> dict[str, float]:
        """Loss and negative log-likelihood per token, in nats; with ``translate`` also scores in percent.

        None translates where training pairs are likelier than the frequencies of tokens alone make them: till
        then translations say nothing of their sources, and mostly run on to their length limit.
        """
        starts = range(0, len(self.valid), _ROWS)
        held_out = (self._valid.rows(first, first + _ROWS).to(device) for first in starts)
        losses = held_out_losses(model, self.objective, held_out, len(starts))
        figures = {"loss": losses.loss, "nll": losses.nll}
        if self._is_informed(model, device) if translate is None else translate:
            translator = Translator(model, self.tokenizers, GreedySpec())
            with without_notes():
                hypotheses = translator.best([pair.source for pair in self._shown])
            scores = score(hypotheses, [pair.references for pair in self._shown], self._scoring)
            figures |= {each.name: each.value for each in scores}
            self._tell(scores)
        return figures

    def better(self, new: dict[str, float], old: dict[str, float]) -> bool:
        """Compare by the score that the recipe names, and where that is equal by likelihood.

        Of two of which one was translated that is better.
        """
        if ("bleu" in new) != ("bleu" in old):
            return "bleu" in new
        return self._scoring.better(new, old)

    def chosen_by(self, scores: dict[str, float]) -> str:
        """The score that the recipe names, or likelihood where that tells nothing."""
        return self._scoring.chosen_by(scores)

    def _is_informed(self, model: AnyEncoderDecoder, device: torch.device) -> bool:
        """Whether ``model``, in evaluation mode, knows more of training pairs than the frequencies of tokens.

        Held-out pairs would not tell: of little data their likelihood falls again long before translations
        are at their best.
        """
        return held_out_losses(model, self.objective, [self._sample.to(device)]).nll < self._informed

    def _tell(self, scores: Sequence[Metric]) -> None:
        """Say once that BLEU, by which weights are chosen, is zero where chrF shows that it should not be."""
        if self._told or self._scoring.choose_by != "bleu":
            return
        said = words_of_zero(scores, [pair.references[0] for pair in self._shown], _SOME_CHRF)
        if said:
            self._told = True
            warnings.warn(f"{said} (scoring.tokenize, scoring.choose_by).", WhyformerNote, stacklevel=2)


def unigram_entropy(counts: NDArray[np.int64]) -> float:
    """Nats per token that predicting by the frequencies of tokens costs; ``counts`` is how often each stands.

    A model that has found nothing else is as good; what it translates does not depend on its source.
    """
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())
