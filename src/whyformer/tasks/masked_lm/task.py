"""Masked language models: the recipe, and the task's five answers."""

import json
from collections.abc import Iterator, Sequence
from functools import partial
from shlex import quote
from typing import Literal

from pydantic import Field, model_validator
from typing_extensions import override

from whyformer.config.recipe_files import RecipeLayer
from whyformer.data.batches.masking import MASK, MaskingSpec
from whyformer.data.corpora.detection.sentences import split_sentences
from whyformer.data.corpora.held_out import VALID, wanted_sets
from whyformer.data.store.document_data import DocumentDataSpec, StoredDocumentsSpec
from whyformer.data.store.reader import stored_tokenizers
from whyformer.data.store.tokenizers import described_one, single_tokenizer
from whyformer.data.tokenizers.kinds import TokenizerSpec, WordPiece
from whyformer.data.tokenizers.single import SingleTokenizer
from whyformer.data.tokenizers.tokenizer import Tokenizer
from whyformer.errors import DataError
from whyformer.models.bert import BERTSpec
from whyformer.plots.panels import Curve, Curves
from whyformer.tasks.decision import Decision, says
from whyformer.tasks.masked_lm.filler import Filler
from whyformer.tasks.masked_lm.metrics import MaskedLMMetrics
from whyformer.tasks.masked_lm.stored import commonest_stored_token
from whyformer.tasks.masked_lm.training import (
    FillHoles,
    MaskedLMTraining,
    TextsSpec,
    commonest_token,
    masked_lm_metrics,
)
from whyformer.tasks.recipe import Recipe, require_data
from whyformer.tasks.task import (
    EvaluationOptions,
    Prepared,
    SingleTokenizerTask,
    TaskSummary,
    documents_fingerprints,
)
from whyformer.tasks.words import model_words
from whyformer.training.settings import TrainingSpec
from whyformer.training.storage.fingerprint import Fingerprint, text_fingerprint


class MaskedLMRecipe(Recipe):
    """Everything that makes a model that fills holes, from raw text to its accuracy."""

    task: Literal["masked_lm"] = "masked_lm"
    """Purpose of the model."""
    data: DocumentDataSpec | None
    """Source of the documents, which are cut into sentences by rule; null for an imported model. Those of a
    store are read as they are, and cut where they are too long."""
    tokenizer: TokenizerSpec = WordPiece(vocabulary=4000, specials=(MASK,))
    """Tokenizer of the text; [MASK] is among its ``specials``."""
    model: BERTSpec = BERTSpec()
    """The network; with the head next_sentence it reads pairs, otherwise single texts."""
    masking: MaskingSpec = MaskingSpec()
    """Choice of the tokens that are hidden, anew in every epoch."""
    duplicates: int = Field(default=1, ge=1, json_schema_extra={"formerly": "layouts"})
    """Times that an epoch reads all documents, each time in other pairs; between epochs only masks differ."""
    training: TrainingSpec
    """Training of the network."""

    @model_validator(mode="after")
    def _fits_together(self) -> "MaskedLMRecipe":
        if self.data is None:
            return self  # as it was imported
        if MASK not in self.tokenizer.specials:
            raise ValueError(f"tokenizer.specials has no {MASK}, which stands for what is hidden; add it")
        if "masked" not in self.model.heads:
            raise ValueError("model.heads has no masked, which this task trains; add it")
        if isinstance(self.data, StoredDocumentsSpec) and "next_sentence" in self.model.heads:
            raise ValueError(
                "model.heads has next_sentence, which needs ends of sentences, but a store (data.path) keeps "
                "none; take it out, or name the files (data.train)"
            )
        if self.duplicates > 1 and "next_sentence" not in self.model.heads:
            raise ValueError(
                "duplicates is above 1, but without the head next_sentence all are the same; remove it"
            )
        return self


class MaskedLMTask(SingleTokenizerTask[MaskedLMRecipe, Filler]):
    """Masked language modelling: a text with holes in, the whole text out."""

    recipe_type = MaskedLMRecipe
    runner_type = Filler
    does = "fills holes in texts"
    verb = "fill"
    figures = ("nll", "masked_accuracy")

    @override
    def measures(self, recipe: MaskedLMRecipe) -> tuple[str, ...]:
        pairs = ("next_sentence_accuracy",) if "next_sentence" in recipe.model.heads else ()
        return ("masked_accuracy", "unigram_accuracy", *pairs)

    @override
    def prepare(self, recipe: MaskedLMRecipe, assets: SingleTokenizer | None) -> Prepared:
        data = require_data(recipe.data)
        if isinstance(data, StoredDocumentsSpec):
            return self._stored(recipe, data, assets)
        documents = data.load()
        if assets is None:
            sentences = (each for document in documents.train for each in split_sentences(document))
            assets = SingleTokenizer(recipe.tokenizer.train(sentences))
        training = MaskedLMTraining.of(
            documents,
            _texts(recipe, assets.tokenizer),
            self.objective(recipe),
            seed=recipe.training.seed,
            duplicates=recipe.duplicates,
        )
        build = partial(recipe.model.build, assets.tokenizer.size)
        return Prepared(training, build, assets, training.summary, documents_fingerprints(documents))

    def _stored(
        self, recipe: MaskedLMRecipe, data: StoredDocumentsSpec, assets: SingleTokenizer | None
    ) -> Prepared:
        store, valid = data.open(), data.held_out(VALID)
        assets = single_tokenizer(store, recipe.tokenizer, assets)
        texts, seed = _texts(recipe, assets.tokenizer), recipe.training.seed
        training = MaskedLMTraining.of_store(store, valid, texts, self.objective(recipe), seed=seed)
        train = Fingerprint(len(store), store.manifest.digest)
        fingerprints = {"train": train, "valid": text_fingerprint((text,) for text in valid)}
        build = partial(recipe.model.build, assets.tokenizer.size)
        return Prepared(training, build, assets, training.summary, fingerprints)

    @override
    def decide(self, recipe: MaskedLMRecipe, said: RecipeLayer) -> list[Decision]:
        if not isinstance(recipe.data, StoredDocumentsSpec) or says(said, "start"):
            return []
        tokenizer = stored_tokenizers(recipe.data.path).source
        if MASK not in tokenizer.spec.get("specials", ()):
            raise DataError(
                f"{recipe.data.path}: the tokenizer of this store has no {MASK}; train one by `whyformer "
                f"tokenizer train FILES --special {quote(MASK)}`, and build with --tokenizer."
            )
        if says(said, "tokenizer"):
            return []
        text = json.dumps(described_one(tokenizer), ensure_ascii=False)
        return [Decision("tokenizer", text, "the store was built with it")]

    @override
    def objective(self, recipe: MaskedLMRecipe) -> FillHoles:
        return FillHoles(recipe.training.loss.label_smoothing)

    @override
    def runner(self, recipe: MaskedLMRecipe, assets: SingleTokenizer) -> Filler:
        return Filler(recipe.model.build(assets.tokenizer.size), assets.tokenizer)

    @override
    def evaluate(
        self, recipe: MaskedLMRecipe, runner: Filler, names: Sequence[str], options: EvaluationOptions
    ) -> Iterator[tuple[str, MaskedLMMetrics]]:
        data, texts = require_data(recipe.data), _texts(recipe, runner.tokenizer)
        seed, duplicates = recipe.training.seed, recipe.duplicates
        # What is most frequent is a fact about the text that was trained on.
        if isinstance(data, StoredDocumentsSpec):
            commonest = commonest_stored_token(data.open())
        else:
            _, sentences = texts.lay_out(data.load().train, "data.train", seed=seed, duplicates=duplicates)
            commonest = commonest_token(runner.tokenizer, sentences)
        for name in wanted_sets(names, data.test):
            examples, _ = texts.lay_out(data.held_out(name), name)
            yield name, masked_lm_metrics(runner.model, examples, 0.0, commonest, batch=options.batch)

    @override
    def summary(self, recipe: MaskedLMRecipe) -> TaskSummary:
        data = "elsewhere: the model was imported" if recipe.data is None else "documents"
        scores = (
            Curve("masked_accuracy", "hidden tokens right"),
            Curve("unigram_accuracy", "by the most frequent"),
            Curve("next_sentence_accuracy", "next sentences right"),
        )
        words = {"data": data, **model_words(recipe.model)}
        return TaskSummary(words, Curves(per="hidden token", scores=scores))


def _texts(recipe: MaskedLMRecipe, tokenizer: Tokenizer) -> TextsSpec:
    model = recipe.model
    return TextsSpec(tokenizer, recipe.masking, model.longest, pairs="next_sentence" in model.heads)
