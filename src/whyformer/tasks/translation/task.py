"""Translation: the recipe, the training task, and the translator that comes out.

N predicted tokens · V vocabulary · M model dimension
"""

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator
from torch import Tensor, nn
from typing_extensions import override

from whyformer.data.batches.batch import PairBatch
from whyformer.data.corpora.parallel import Corpus, DataSpec, load_corpus
from whyformer.data.tokenizers.pair import JointTokenizer, TokenizerPair, TokenizersSpec
from whyformer.decoding.beam import BeamSpec
from whyformer.decoding.greedy import GreedySpec
from whyformer.decoding.search import SearchSpec
from whyformer.errors import DataError
from whyformer.models.encoder_decoder import AnyEncoderDecoder
from whyformer.models.recurrent import RecurrentSpec
from whyformer.models.transformer import TransformerSpec
from whyformer.special_tokens import EOS
from whyformer.tasks.recipe import Prepared, Recipe, require_data
from whyformer.tasks.translation.metrics import ScoringSpec, score
from whyformer.tasks.translation.translator import Translator
from whyformer.training.loss import token_loss
from whyformer.training.settings import TrainingSpec
from whyformer.training.task import Prediction, Probe


class TranslationRecipe(Recipe):
    """Everything that makes a translator, from raw text to its scores."""

    figures = ("nll", "bleu")
    task: Literal["translation"] = "translation"
    """What the model is for."""
    data: DataSpec | None
    """Where sentence pairs come from; null for an imported model."""
    tokenizers: TokenizersSpec = JointTokenizer()
    """How text is cut into tokens."""
    model: Annotated[TransformerSpec | RecurrentSpec, Field(discriminator="kind")] = TransformerSpec()
    """The network."""
    training: TrainingSpec
    """How the network is trained."""
    decoding: SearchSpec = BeamSpec(size=5)
    """How translations are searched for, unless the command line says otherwise."""
    scoring: ScoringSpec = ScoringSpec()
    """How translations are scored."""

    @override
    def prepare(self, tokenizers: TokenizerPair | None) -> Prepared:
        corpus = load_corpus(require_data(self.data))
        pair = train_tokenizers(self, corpus) if tokenizers is None else tokenizers
        task = TranslationTask(self, corpus, pair)
        return Prepared(task, lambda: build_model(self, pair), pair, task.summary)

    @model_validator(mode="after")
    def _one_table_needs_one_tokenizer(self) -> "TranslationRecipe":
        if self.tokenizers.kind == "separate" and self.model.embedding.tie == "all":
            raise ValueError(
                "tokenizers.kind is separate, but model.embedding.tie is all, which makes one table of both "
                "vocabularies; use tie: output, or a joint tokenizer"
            )
        return self


@dataclass(frozen=True)
class _Examples:
    """Training pairs as token ids without marks."""

    sources: list[list[int]]
    targets: list[list[int]]
    lengths: NDArray[np.int64]
    """(pairs, 2), marks included."""


class TranslationTask:
    """Trains a model on pairs and judges it by what it translates."""

    def __init__(self, recipe: TranslationRecipe, corpus: Corpus, tokenizers: TokenizerPair) -> None:
        self.recipe = recipe
        self.corpus = corpus
        self.tokenizers = tokenizers
        self._examples = _encoded(corpus, tokenizers, recipe.model.longest)
        sources = tokenizers.source.encode_all([pair.source for pair in corpus.valid])
        targets = tokenizers.target.encode_all([pair.references[0] for pair in corpus.valid])
        self._valid = PairBatch.of(list(zip(sources, targets, strict=True)))

    @property
    def summary(self) -> str:
        """One sentence on the pairs that were read, dropped, and left out as too long for the model."""
        overlong = len(self.corpus.train) - len(self._examples.sources)
        longest = self.recipe.model.longest
        left_out = f"; {overlong:,} more are longer than model.longest ({longest} tokens)" if overlong else ""
        return self.corpus.summary + left_out

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(pairs, 2) tokens of source and target, marks included."""
        return self._examples.lengths

    def predicted(self, indices: NDArray[np.int64], epoch: int) -> int:
        """Target tokens of these pairs, the end mark included."""
        return int(self.lengths[indices, 1].sum()) - len(indices)

    def predict(
        self, model: AnyEncoderDecoder, indices: NDArray[np.int64], epoch: int, device: torch.device
    ) -> Prediction:
        """Teacher forcing: the hidden states of real tokens and the tokens that follow."""
        examples = self._examples
        pairs = PairBatch.of(
            [(examples.sources[index], examples.targets[index]) for index in indices.tolist()], device
        )
        return _forced(model, pairs)

    def probe(self, model: AnyEncoderDecoder) -> Probe:
        """One made-up pair of eight tokens: embedded target tokens and hidden states, (1,8,M) each."""
        device = model.output_weight.device
        source = torch.full((1, 8), EOS, device=device)
        target = torch.arange(8, device=device)[None] % (len(model.output_weight) - 1) + 1
        embedded: list[Tensor] = []
        valid = torch.ones_like(source, dtype=torch.bool)

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
        loss = nll = tokens = 0.0
        smoothing = self.recipe.training.loss.label_smoothing
        for first in range(0, len(self.corpus.valid), 128):
            hidden, table, gold, _ = _forced(model, self._valid.rows(first, first + 128).to(device))
            part = token_loss(hidden, table, gold, smoothing)
            loss, nll = loss + part.loss.item(), nll + part.negative_log_likelihood.item()
            tokens += part.tokens
        figures = {"loss": loss / tokens, "nll": nll / tokens}
        if translate:
            shown = self.corpus.valid[: self.recipe.training.validation.sentences]
            translator = Translator(model, self.tokenizers, GreedySpec())
            hypotheses = translator.best([pair.source for pair in shown])
            scores = score(hypotheses, [pair.references for pair in shown], self.recipe.scoring)
            figures |= {each.name: each.value for each in scores}
        return figures

    def better(self, new: dict[str, float], old: dict[str, float]) -> bool:
        """By BLEU where both were translated, by likelihood where neither was; a translated one wins."""
        if "bleu" in new and "bleu" in old:
            return new["bleu"] > old["bleu"]
        return "bleu" in new or ("bleu" not in old and new["nll"] < old["nll"])


def train_tokenizers(recipe: TranslationRecipe, corpus: Corpus) -> TokenizerPair:
    """Tokenizers for the training side of ``corpus``; see the kind's own ``train`` for errors."""
    return recipe.tokenizers.train(
        (source for source, _ in corpus.train), (target for _, target in corpus.train)
    )


def build_model(recipe: TranslationRecipe, tokenizers: TokenizerPair) -> AnyEncoderDecoder:
    """The model of ``recipe``, its weights drawn from torch's global random state."""
    return recipe.model.build(tokenizers.source.size, tokenizers.target.size)


def _forced(model: AnyEncoderDecoder, pairs: PairBatch) -> Prediction:
    source, target = pairs.source, pairs.target
    hidden = model(source.tokens, source.valid, target.tokens[:, :-1], target.valid[:, 1:])
    real = target.valid[:, 1:]
    # (B,T,M) -> (N,M): what predicts padding is left out of the loss
    return Prediction(*model.scored(hidden[real]), target.tokens[:, 1:][real])


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
