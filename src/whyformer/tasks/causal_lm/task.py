"""Language models that read from left to right: the recipe, and the task's five answers."""

import json
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Literal

from typing_extensions import override

from whyformer.config.recipe_files import RecipeLayer
from whyformer.data.corpora.held_out import VALID, wanted_sets
from whyformer.data.store.document_data import DocumentDataSpec, StoredDocumentsSpec
from whyformer.data.store.reader import stored_tokenizers
from whyformer.data.store.tokenizers import described_one, single_tokenizer
from whyformer.data.tokenizers.kinds import BPE, TokenizerSpec
from whyformer.data.tokenizers.single import SingleTokenizer
from whyformer.decoding.sampling import SamplingSpec
from whyformer.decoding.search import SearchSpec
from whyformer.models.gpt import GPTSpec
from whyformer.plots.panels import Curve, Curves
from whyformer.tasks.causal_lm.generator import Generator
from whyformer.tasks.causal_lm.metrics import CausalLMMetrics
from whyformer.tasks.causal_lm.training import CausalLMTraining, NextToken, PackedDocuments, StoredDocuments
from whyformer.tasks.decision import Decision, says
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


class CausalLMRecipe(Recipe):
    """Everything that makes a generator, from raw text to its perplexity."""

    reads_twice = True

    task: Literal["causal_lm"] = "causal_lm"
    """Purpose of the model."""
    data: DocumentDataSpec | None
    """Source of the documents; null for an imported model."""
    tokenizer: TokenizerSpec = BPE(vocabulary=4000)
    """Tokenizer of the text."""
    model: GPTSpec = GPTSpec()
    """The network; documents are packed into rows of its longest."""
    training: TrainingSpec
    """Training of the network."""
    decoding: SearchSpec = SamplingSpec(top_p=0.9, longest_factor=0.0, longest_extra=100)
    """Way to write text, unless the command line says otherwise."""


class CausalLMTask(SingleTokenizerTask[CausalLMRecipe, Generator]):
    """Language modelling from left to right: the beginning of a text in, the rest of it out."""

    recipe_type = CausalLMRecipe
    runner_type = Generator
    does = "generates text"
    verb = "generate"
    figures = ("nll", "bits_per_character")
    taken_keys = ("model", "decoding")

    @override
    def prepare(self, recipe: CausalLMRecipe, assets: SingleTokenizer | None) -> Prepared:
        data, longest, seed = require_data(recipe.data), recipe.model.longest, recipe.training.seed
        if isinstance(data, StoredDocumentsSpec):
            store, valid = data.open(), data.held_out(VALID)
            assets = single_tokenizer(store, recipe.tokenizer.for_documents(), assets)
            examples = StoredDocuments(store, longest, seed=seed)
            summary = store.summary
            train = Fingerprint(len(store), store.manifest.digest)
            fingerprints = {"train": train, "valid": text_fingerprint((text,) for text in valid)}
        else:
            documents = data.load()
            if assets is None:
                assets = SingleTokenizer(recipe.tokenizer.for_documents().train(documents.train))
            examples = PackedDocuments(documents.train, assets.tokenizer, longest, seed=seed)
            valid, summary = documents.valid, documents.summary
            fingerprints = documents_fingerprints(documents)
        tokenizer = assets.tokenizer
        held_out = PackedDocuments(valid, tokenizer, longest)
        training = CausalLMTraining(examples, held_out, self.objective(recipe))
        build = partial(recipe.model.build, tokenizer.size)
        return Prepared(training, build, assets, summary, fingerprints)

    @override
    def decide(self, recipe: CausalLMRecipe, said: RecipeLayer) -> list[Decision]:
        if not isinstance(recipe.data, StoredDocumentsSpec) or says(said, "tokenizer") or says(said, "start"):
            return []
        tokenizer = described_one(stored_tokenizers(recipe.data.path).source)
        text = json.dumps(tokenizer, ensure_ascii=False)
        return [Decision("tokenizer", text, "the store was built with it")]

    @override
    def objective(self, recipe: CausalLMRecipe) -> NextToken:
        loss = recipe.training.loss
        return NextToken(loss.label_smoothing, loss.r_drop)

    @override
    def runner(self, recipe: CausalLMRecipe, assets: SingleTokenizer) -> Generator:
        tokenizer = assets.tokenizer
        return Generator(recipe.model.build(tokenizer.size), tokenizer, recipe.decoding)

    @override
    def evaluate(
        self, recipe: CausalLMRecipe, runner: Generator, names: Sequence[str], options: EvaluationOptions
    ) -> Iterator[tuple[str, CausalLMMetrics]]:
        data, objective = require_data(recipe.data), NextToken(0.0)
        for name in wanted_sets(names, data.test):
            held_out = PackedDocuments(data.held_out(name), runner.tokenizer, runner.model.longest)
            yield name, held_out.metrics(runner.model, objective, batch=options.batch)

    @override
    def summary(self, recipe: CausalLMRecipe) -> TaskSummary:
        data = "elsewhere: the model was imported" if recipe.data is None else "documents"
        words = {"data": data, **model_words(recipe.model), "decoding": recipe.decoding.kind}
        bits = Curve("bits_per_character", "bits per character", axis="bits per character")
        return TaskSummary(words, Curves(per="token", scores=(bits,)))
