"""Speech recognition: the recipe, and the task's five answers."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

from pydantic import model_validator
from typing_extensions import override

from whyformer.data.audio.augmentation import AugmentationSpec
from whyformer.data.audio.features import FilterBankSpec
from whyformer.data.audio.statistics import FeatureStatistics
from whyformer.data.corpora.held_out import wanted_sets
from whyformer.decoding.ctc.endpoint import EndpointSpec
from whyformer.decoding.ctc.rescoring import RescoringSpec
from whyformer.decoding.ctc.search import CTCGreedySpec, CTCSearchSpec
from whyformer.models.speech import SpeechSpec
from whyformer.nn.streaming.chunking import ChunkingSpec, UniformChunksSpec
from whyformer.nn.streaming.subsampling import ConvolutionalSubsamplingSpec
from whyformer.plots.panels import Curve, Curves
from whyformer.tasks.recipe import Recipe, require_data
from whyformer.tasks.speech.data import SpeechDataSpec
from whyformer.tasks.speech.evaluation import evaluate_listener
from whyformer.tasks.speech.listener import Listener, SpeechAssets, frame_clock
from whyformer.tasks.speech.signals import SoundSignals, estimate_statistics, held_out_signals
from whyformer.tasks.streaming.measures.evaluation import StreamingMetrics
from whyformer.tasks.streaming.objective import StreamingObjective
from whyformer.tasks.streaming.settings import ChunksSpec, StreamSettings
from whyformer.tasks.streaming.training import StreamingTraining
from whyformer.tasks.streaming.vocabulary import SymbolTable, SymbolUnit
from whyformer.tasks.task import EvaluationOptions, Prepared, Task, TaskSummary
from whyformer.tasks.words import streaming_words
from whyformer.training.ctc.joint import JointLossSpec
from whyformer.training.settings import TrainingSpec


class SpeechRecipe(Recipe):
    """Everything that makes a speech recogniser, from sound to its error rate."""

    task: Literal["speech"] = "speech"
    """Purpose of the model."""
    data: SpeechDataSpec | None
    """Source of the sounds and of what is said in them."""
    symbols: SymbolUnit = "word"
    """Symbol that a text is written in: a word, all of which training has to hear; or a character."""
    features: FilterBankSpec = FilterBankSpec()
    """Way from samples to the model's input."""
    augmentation: AugmentationSpec = AugmentationSpec()
    """Changes of the sounds that are trained on."""
    model: SpeechSpec = SpeechSpec()
    """The network."""
    chunking: ChunkingSpec = UniformChunksSpec()
    """Law by which the chunks of each training batch are drawn."""
    loss: JointLossSpec = JointLossSpec()
    """Losses that training minimises."""
    training: TrainingSpec
    """Training of the network."""
    chunks: ChunksSpec = ChunksSpec()
    """Pieces in which a stream is recognised, unless the command line says otherwise."""
    search: CTCSearchSpec = CTCGreedySpec()
    """Way to read what the frames emit."""
    endpoint: EndpointSpec | None = None
    """Rules that end a segment of a stream; null where only its end does."""
    rescoring: RescoringSpec | None = None
    """Way to judge the readings of a segment that is over by model.rescorer; null leaves CTC's first."""

    @model_validator(mode="after")
    def _fits_together(self) -> "SpeechRecipe":
        front, bins = self.model.encoder.front, self.features.bins
        if not isinstance(front, ConvolutionalSubsamplingSpec):
            raise ValueError(
                f"model.encoder.front.kind {front.kind} sees pictures; use convolution for sound"
            )
        if front.features != bins:
            raise ValueError(
                f"model.encoder.front.features is {front.features}, but features.bins is {bins}; make them "
                "equal"
            )
        if self.rescoring is not None and self.model.rescorer is None:
            raise ValueError(
                "rescoring needs a decoder to judge by; set model.rescorer, or leave rescoring out"
            )
        return self

    @property
    def settings(self) -> StreamSettings:
        """Way to listen."""
        return StreamSettings(self.chunks, self.search, self.endpoint, self.rescoring)


class SpeechTask(Task[SpeechRecipe, SpeechAssets, Listener]):
    """Speech recognition: sound in, words out while it is heard."""

    recipe_type = SpeechRecipe
    runner_type = Listener
    does = "recognises speech"
    verb = "listen"
    figures = ("nll", "wer")
    recognises_streams = True
    asset_keys = ("symbols", "features")
    taken_keys = ("model", "chunks", "search", "endpoint", "rescoring")

    @override
    def load_assets(self, folder: Path) -> SpeechAssets:
        return SpeechAssets(SymbolTable.load(folder), FeatureStatistics.load(folder))

    @override
    def prepare(self, recipe: SpeechRecipe, assets: SpeechAssets | None) -> Prepared:
        features, augmentation = recipe.features, recipe.augmentation
        sets = require_data(recipe.data).load(features, augmentation, recipe.training.seed)
        if assets is None:
            symbols = SymbolTable.of_texts(sets.texts, recipe.symbols)
            assets = SpeechAssets(symbols, estimate_statistics(sets.train, features, augmentation))
        symbols, statistics = assets
        source = SoundSignals(sets.train, features, augmentation, symbols, statistics)
        build = partial(recipe.model.build, symbols.size)
        training = StreamingTraining(
            source,
            held_out_signals(sets.valid, features, symbols, statistics),
            symbols,
            self.objective(recipe),
            chunking=recipe.chunking,
            rule=frame_clock(features, recipe.model.encoder.front.stride).rule(recipe.chunks),
            stride=recipe.model.encoder.front.stride,
            seed=recipe.training.seed,
        )
        return Prepared(training, build, assets, sets.summary, sets.fingerprints)

    @override
    def objective(self, recipe: SpeechRecipe) -> StreamingObjective:
        return StreamingObjective(recipe.loss)

    @override
    def runner(self, recipe: SpeechRecipe, assets: SpeechAssets) -> Listener:
        model = recipe.model.build(assets.symbols.size)
        return Listener(model, recipe.features, assets, recipe.settings)

    @override
    def evaluate(
        self, recipe: SpeechRecipe, runner: Listener, names: Sequence[str], options: EvaluationOptions
    ) -> Iterator[tuple[str, StreamingMetrics]]:
        data = require_data(recipe.data)
        for name in wanted_sets(names, data.test_names):
            sounds = data.held_out(name, recipe.features)
            for settings in runner.settings.grid(*options.streams):
                yield name, evaluate_listener(runner, sounds, settings, options, name)

    @override
    def summary(self, recipe: SpeechRecipe) -> TaskSummary:
        data = "elsewhere: the model was imported" if recipe.data is None else recipe.data.kind
        words = {"data": data, **streaming_words(recipe.model.encoder), "decoding": recipe.search.kind}
        return TaskSummary(words, Curves(per="symbol", scores=(Curve("wer", "word error rate"),)))
