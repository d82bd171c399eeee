"""Language models that read both ways apart: the recipe, and the task's five answers."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Literal

from typing_extensions import override

from whyformer.data.corpora.documents import DocumentsSpec
from whyformer.data.corpora.held_out import wanted_sets
from whyformer.data.tokenizers.kinds import Word
from whyformer.data.tokenizers.single import SingleTokenizer
from whyformer.models.elmo import ELMoSpec
from whyformer.plots.panels import Curve, Curves
from whyformer.tasks.bidirectional_lm.metrics import BidirectionalLMMetrics
from whyformer.tasks.bidirectional_lm.training import (
    BidirectionalLMTraining,
    BothWays,
    bidirectional_lm_metrics,
    windows_of,
)
from whyformer.tasks.bidirectional_lm.word_embedder import WordEmbedder
from whyformer.tasks.recipe import Recipe
from whyformer.tasks.task import (
    EvaluationOptions,
    Prepared,
    SingleTokenizerTask,
    TaskSummary,
    documents_fingerprints,
)
from whyformer.tasks.words import model_words
from whyformer.training.settings import TrainingSpec


class BidirectionalLMRecipe(Recipe):
    """Everything that makes an ELMo, from raw text to its perplexity."""

    task: Literal["bidirectional_lm"] = "bidirectional_lm"
    """Purpose of the model."""
    data: DocumentsSpec
    """Source of the documents."""
    tokenizer: Word = Word(vocabulary=8000)
    """Words that can be predicted; any other is read all the same, by its spelling."""
    model: ELMoSpec = ELMoSpec()
    """The network; documents are cut into windows of its longest."""
    training: TrainingSpec
    """Training of the network."""


class BidirectionalLMTask(SingleTokenizerTask[BidirectionalLMRecipe, WordEmbedder]):
    """Language modelling both ways apart: a text in, a vector for each of its words out."""

    recipe_type = BidirectionalLMRecipe
    runner_type = WordEmbedder
    does = "makes vectors of words"
    verb = "embed"
    figures = ("nll", "forward_nll", "backward_nll")

    @override
    def prepare(self, recipe: BidirectionalLMRecipe, assets: SingleTokenizer | None) -> Prepared:
        documents = recipe.data.load()
        if assets is None:
            assets = SingleTokenizer(recipe.tokenizer.for_documents().train(documents.train))
        tokenizer = assets.tokenizer
        training = BidirectionalLMTraining(documents, tokenizer, recipe.model, self.objective(recipe))
        build = partial(recipe.model.build, tokenizer.size)
        data = documents_fingerprints(documents)
        return Prepared(training, build, assets, documents.summary, data)

    @override
    def objective(self, recipe: BidirectionalLMRecipe) -> BothWays:
        return BothWays(recipe.training.loss.label_smoothing)

    @override
    def runner(self, recipe: BidirectionalLMRecipe, assets: SingleTokenizer) -> WordEmbedder:
        tokenizer = assets.tokenizer
        return WordEmbedder(recipe.model.build(tokenizer.size), recipe.model, tokenizer)

    @override
    def evaluate(
        self,
        recipe: BidirectionalLMRecipe,
        runner: WordEmbedder,
        names: Sequence[str],
        options: EvaluationOptions,
    ) -> Iterator[tuple[str, BidirectionalLMMetrics]]:
        for name in wanted_sets(names, recipe.data.test):
            windows = windows_of(recipe.data.held_out(name), runner.tokenizer, recipe.model)
            yield name, bidirectional_lm_metrics(runner.model, windows, 0.0, batch=options.batch)

    @override
    def summary(self, recipe: BidirectionalLMRecipe) -> TaskSummary:
        curve = Curve("perplexity", "perplexity per word", axis="perplexity per word")
        words = {"data": "documents", **model_words(recipe.model)}
        return TaskSummary(words, Curves(per="word", scores=(curve,)))
