"""Translation: the recipe, and the task's five answers."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator
from typing_extensions import override

from whyformer.config.recipe_files import RecipeLayer
from whyformer.config.validation import check
from whyformer.data.checks.forms import with_forms
from whyformer.data.corpora.pair_files import JoinedPairs, PairsSpec, Referenced, TextPairs
from whyformer.data.corpora.parallel import Corpus, FilesSpec, load_corpus, read_test_set
from whyformer.data.segmentation.segmentation import BPEDropout, Fixed, SegmentationSpec
from whyformer.data.store.pair_data import PairDataSpec, StoredPairsSpec, held_out_pairs
from whyformer.data.tokenizers.pair import JointTokenizer, SeparateTokenizers, TokenizerPair, TokenizersSpec
from whyformer.decoding.beam import BeamSpec
from whyformer.decoding.search import SearchSpec
from whyformer.errors import DataError, RecipeError
from whyformer.models.encoder_decoder import AnyEncoderDecoder
from whyformer.models.recurrent import RecurrentSpec
from whyformer.models.transformer import TransformerSpec
from whyformer.plots.panels import Curve, Curves
from whyformer.tasks.decision import Decision, says, value_of
from whyformer.tasks.recipe import Recipe, require_data
from whyformer.tasks.task import EvaluationOptions, Prepared, Task, TaskSummary
from whyformer.tasks.translation.defaults import PairCounts, decide, implied, is_complete
from whyformer.tasks.translation.evaluation import Evaluation, evaluate_translator
from whyformer.tasks.translation.pairs.reading import read_store, read_texts, tokenizer_decisions
from whyformer.tasks.translation.scores.metrics import ScoringSpec, Tokenize
from whyformer.tasks.translation.training import TeacherForcing, TranslationTraining
from whyformer.tasks.translation.translator import Translator
from whyformer.tasks.words import model_words
from whyformer.training.settings import TrainingSpec


class TranslationRecipe(Recipe):
    """Everything that makes a translator, from raw text to its scores."""

    reads_twice = True

    task: Literal["translation"] = "translation"
    """Purpose of the model."""
    data: PairDataSpec | None
    """Source of the sentence pairs; null for an imported model."""
    tokenizers: TokenizersSpec = JointTokenizer()
    """Tokenizers of both sides."""
    segmentation: SegmentationSpec = Fixed()
    """Way to cut the text that is trained on."""
    model: Annotated[TransformerSpec | RecurrentSpec, Field(discriminator="kind")] = TransformerSpec()
    """The network."""
    training: TrainingSpec
    """Training of the network."""
    decoding: SearchSpec = BeamSpec(size=5)
    """Way to search for translations, unless the command line says otherwise."""
    scoring: ScoringSpec = ScoringSpec()
    """Scoring of translations."""

    @model_validator(mode="after")
    def _one_table_needs_one_tokenizer(self) -> "TranslationRecipe":
        if self.tokenizers.kind == "separate" and self.model.embedding.tie == "all":
            raise ValueError(
                "tokenizers.kind is separate, but model.embedding.tie is all, which makes one table of both "
                "vocabularies; use tie: output, or a joint tokenizer"
            )
        return self

    @model_validator(mode="after")
    def _dropout_needs_merges(self) -> "TranslationRecipe":
        if isinstance(self.segmentation, BPEDropout):
            match self.tokenizers:
                case JointTokenizer(both=both):
                    self.segmentation.check(both.kind, both.kind)
                case SeparateTokenizers(source=source, target=target):
                    self.segmentation.check(source.kind, target.kind)
                case _:
                    pass  # those of a run are known once they are read
        return self


class TranslationTask(Task[TranslationRecipe, TokenizerPair, Translator]):
    """Translation: a sentence of one language in, a sentence of another out."""

    recipe_type = TranslationRecipe
    runner_type = Translator
    does = "translates"
    verb = "translate"
    writes_text = True
    figures = ("nll", "bleu")
    asset_keys = ("tokenizers",)
    taken_keys = ("model", "decoding", "scoring")

    @override
    def measures(self, recipe: TranslationRecipe) -> tuple[str, ...]:
        return ("bleu", "chrf", "exact")

    @override
    def found(self, recipe: TranslationRecipe) -> tuple[TranslationRecipe, list[Decision]]:
        if not isinstance(recipe.data, FilesSpec):
            return recipe, []
        data, keys = with_forms(recipe.data)
        return recipe.model_copy(update={"data": data}), [Decision(*each) for each in keys]

    @override
    def provisional(self, said: RecipeLayer) -> RecipeLayer:
        ends = any(says(said, f"training.{limit}") for limit in ("epochs", "steps", "minutes"))
        # Where no data is named either, only that is missing.
        return {"training": {"epochs": 1}} if not ends and (_brings_text(said) or "data" not in said) else {}

    @override
    def implied(self, said: RecipeLayer) -> list[Decision]:
        return implied(said)

    @override
    def decide(self, recipe: TranslationRecipe, said: RecipeLayer) -> list[Decision]:
        if isinstance(recipe.data, StoredPairsSpec):
            return tokenizer_decisions(said, recipe.data)
        # Of a recipe that says everything, such as a run's, the data are not read for nothing.
        if not isinstance(recipe.data, FilesSpec) or is_complete(said):
            return []
        if not _can_be_read_twice(recipe.data.train):
            return []
        # The pairs are read once more to train on them; here a share that is held out is counted, too.
        pairs, _ = recipe.data.train.training(recipe.data.cleaning)
        return decide(said, PairCounts.of((pair.source, pair.target) for pair in pairs))

    @override
    def load_assets(self, folder: Path) -> TokenizerPair:
        return TokenizerPair.load(folder)

    @override
    def prepare(self, recipe: TranslationRecipe, assets: TokenizerPair | None) -> Prepared:
        data, longest = require_data(recipe.data), recipe.model.longest
        if isinstance(data, StoredPairsSpec):
            read = read_store(data, recipe.tokenizers, assets, longest)
        else:
            corpus = load_corpus(data)
            pair = train_tokenizers(recipe, corpus) if assets is None else assets
            read = read_texts(corpus, pair, longest)
        segmentation = recipe.segmentation.build(
            read.tokenizers, (longest - 1, longest - 2), recipe.training.seed
        )
        scoring, decisions = recipe.scoring.settled(
            read.some_targets, [pair.references[0] for pair in read.valid]
        )
        return Prepared(
            training := TranslationTraining(
                read.pairs, read.valid, read.tokenizers, longest, recipe.training, scoring, segmentation
            ),
            partial(build_model, recipe, read.tokenizers),
            read.tokenizers,
            read.summary + training.left_out,
            read.fingerprints,
            recipe.model_copy(update={"scoring": scoring}),
            [*decisions, *training.decisions],
        )

    @override
    def objective(self, recipe: TranslationRecipe) -> TeacherForcing:
        loss = recipe.training.loss
        return TeacherForcing(loss.label_smoothing, loss.r_drop)

    @override
    def runner(self, recipe: TranslationRecipe, assets: TokenizerPair) -> Translator:
        return Translator(build_model(recipe, assets), assets, recipe.decoding)

    @override
    def evaluate(
        self,
        recipe: TranslationRecipe,
        runner: Translator,
        names: Sequence[str],
        options: EvaluationOptions,
    ) -> Iterator[tuple[str, Evaluation]]:
        cuts: list[Tokenize] = [
            check(ScoringSpec, {"tokenize": name}, "--tokenize").tokenize for name in options.tokenize
        ]
        settings = options.search.over(runner.settings)
        for name, pairs in _test_sets(recipe, names, options).items():
            with options.progress(name, len(pairs)) as advance:
                yield (
                    name,
                    evaluate_translator(
                        runner,
                        pairs,
                        recipe.scoring,
                        settings=settings,
                        tokenize=cuts,
                        batch=options.batch,
                        advance=advance,
                    ),
                )

    @override
    def summary(self, recipe: TranslationRecipe) -> TaskSummary:
        data = "elsewhere: the model was imported" if recipe.data is None else recipe.data.kind
        words = {"data": data, **model_words(recipe.model), "decoding": recipe.decoding.kind}
        scores = (Curve("bleu", "BLEU"), Curve("chrf", "chrF"), Curve("exact", "exact match"))
        return TaskSummary(words, Curves(per="token", scores=scores))


def _can_be_read_twice(pairs: PairsSpec) -> bool:
    """Whether the files of ``pairs`` are still there when they have been counted, as no pipe is."""
    parts = pairs.parts if isinstance(pairs, JoinedPairs) else (pairs,)
    files = [
        file
        for part in parts
        for file in ((part.source, part.target) if isinstance(part, TextPairs) else (part.path,))
    ]
    return all(not isinstance(file, Path) or file.is_file() or not file.exists() for file in files)


def _brings_text(said: RecipeLayer) -> bool:
    """Whether the recipe names text of its own, whose counts decide what it leaves out."""
    return isinstance(said.get("data"), Mapping) and value_of(said, "data.kind") not in ("cldr", "reverse")


def train_tokenizers(recipe: TranslationRecipe, corpus: Corpus) -> TokenizerPair:
    """Tokenizers for the training side of ``corpus``; see the kind's own ``train`` for errors.

    Raises:
        RecipeError: those of another run are two, and the model has one table of both vocabularies.
    """
    spec = recipe.tokenizers
    pair = spec.train((source for source, _ in corpus.train), (target for _, target in corpus.train))
    if spec.kind == "run" and not pair.joint and recipe.model.embedding.tie == "all":
        raise RecipeError(
            "model.embedding.tie is all, which makes one table of both vocabularies, but the run in "
            f"{spec.run} has a tokenizer for each side; use model.embedding.tie=output."
        )
    return pair


def build_model(recipe: TranslationRecipe, tokenizers: TokenizerPair) -> AnyEncoderDecoder:
    """The model of ``recipe``, its weights drawn from torch's global random state."""
    return recipe.model.build(tokenizers.source.size, tokenizers.target.size)


def _test_sets(
    recipe: TranslationRecipe, names: Sequence[str], options: EvaluationOptions
) -> dict[str, list[Referenced]]:
    source, references = options.source, options.references
    if source is None and not references:
        return held_out_pairs(require_data(recipe.data), names)
    if source is None or not references or names:
        raise DataError("a test set of your own needs --source and --reference, and goes without --on.")
    return {source.name: read_test_set(source, references)}
