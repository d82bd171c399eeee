"""Recognition of video: the recipe, and the task's five answers."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator
from typing_extensions import override

from whyformer.data.corpora.held_out import VALID, wanted_sets
from whyformer.data.video.front import FrameSpec
from whyformer.decoding.ctc.endpoint import EndpointSpec
from whyformer.decoding.ctc.search import CTCGreedySpec, CTCSearchSpec
from whyformer.models.video import VideoSpec
from whyformer.nn.streaming.chunking import ChunkingSpec, UniformChunksSpec
from whyformer.nn.streaming.tubelet import TubeletSpec
from whyformer.plots.panels import Curve, Curves
from whyformer.tasks.recipe import Recipe, require_data
from whyformer.tasks.streaming.settings import ChunksSpec, FrameClock, StreamSettings
from whyformer.tasks.streaming.vocabulary import SymbolTable
from whyformer.tasks.task import EvaluationOptions, Prepared, Task, TaskSummary
from whyformer.tasks.video.data import MovingDigitsDataSpec, signal_of
from whyformer.tasks.video.evaluation import WatchingMetrics, evaluate_watcher
from whyformer.tasks.video.training import WatchingObjective, WatchingTraining
from whyformer.tasks.video.watcher import Watcher
from whyformer.tasks.words import streaming_words
from whyformer.training.ctc.joint import JointLossSpec
from whyformer.training.settings import TrainingSpec


class VideoRecipe(Recipe):
    """Everything that makes a recogniser of video, from pictures to its error rate."""

    task: Literal["video"] = "video"
    """Purpose of the model."""
    data: MovingDigitsDataSpec | None
    """Source of the videos."""
    frames: FrameSpec = FrameSpec()
    """Pictures as the model sees them."""
    model: VideoSpec = VideoSpec()
    """The network."""
    chunking: ChunkingSpec = UniformChunksSpec()
    """Law by which the chunks of each training batch are drawn."""
    loss: JointLossSpec = JointLossSpec()
    """Loss of the events that training minimises."""
    label_weight: float = Field(default=0.1, ge=0.0)
    """Weight of the loss of frames' labels, a sum over frames, beside that of the events."""
    training: TrainingSpec
    """Training of the network."""
    chunks: ChunksSpec = ChunksSpec()
    """Pieces in which a stream is recognised, unless the command line says otherwise."""
    search: CTCSearchSpec = CTCGreedySpec()
    """Way to read what the frames emit."""
    endpoint: EndpointSpec | None = None
    """Rules that end a segment of a stream; null where only its end does."""

    @model_validator(mode="after")
    def _fits_together(self) -> "VideoRecipe":
        front = self.model.encoder.front
        if not isinstance(front, TubeletSpec):
            raise ValueError(f"model.encoder.front.kind {front.kind} hears sound; use tubelet for video")
        for name in ("height", "width"):
            ours, theirs = getattr(front, name), getattr(self.frames, name)
            if ours != theirs:
                raise ValueError(
                    f"model.encoder.front.{name} is {ours}, but frames.{name} is {theirs}; make them equal"
                )
        return self

    @property
    def settings(self) -> StreamSettings:
        """Way to watch."""
        return StreamSettings(self.chunks, self.search, self.endpoint, None)

    @property
    def clock(self) -> FrameClock:
        """The way from pictures to the encoder's frames."""
        return FrameClock(self.frames.rate, self.model.encoder.front.stages)


class VideoTask(Task[VideoRecipe, SymbolTable, Watcher]):
    """Recognition of video: pictures in, events out as they pass."""

    recipe_type = VideoRecipe
    runner_type = Watcher
    does = "recognises video"
    verb = "watch"
    figures = ("nll", "wer")
    recognises_streams = True
    asset_keys = ("frames",)
    taken_keys = ("model", "chunks", "search", "endpoint")

    @override
    def load_assets(self, folder: Path) -> SymbolTable:
        return SymbolTable.load(folder)

    @override
    def prepare(self, recipe: VideoRecipe, assets: SymbolTable | None) -> Prepared:
        data, frames, stride = require_data(recipe.data), recipe.frames, recipe.model.encoder.front.stride
        symbols = assets or data.symbols
        training = WatchingTraining(
            data.source(frames, stride, recipe.training.seed),
            [signal_of(each.video, symbols, stride) for each in data.held_out(VALID, frames)],
            symbols,
            self.objective(recipe),
            chunking=recipe.chunking,
            rule=recipe.clock.rule(recipe.chunks),
            stride=stride,
            seed=recipe.training.seed,
        )
        build = partial(recipe.model.build, symbols.size)
        return Prepared(training, build, symbols, data.summary, data.fingerprints)

    @override
    def objective(self, recipe: VideoRecipe) -> WatchingObjective:
        return WatchingObjective(recipe.loss, recipe.label_weight)

    @override
    def runner(self, recipe: VideoRecipe, assets: SymbolTable) -> Watcher:
        return Watcher(recipe.model.build(assets.size), recipe.frames, assets, recipe.settings)

    @override
    def evaluate(
        self, recipe: VideoRecipe, runner: Watcher, names: Sequence[str], options: EvaluationOptions
    ) -> Iterator[tuple[str, WatchingMetrics]]:
        data = require_data(recipe.data)
        for name in wanted_sets(names, data.test_names):
            videos = data.held_out(name, recipe.frames)
            for settings in runner.settings.grid(*options.streams):
                yield name, evaluate_watcher(runner, videos, settings, options, name)

    @override
    def summary(self, recipe: VideoRecipe) -> TaskSummary:
        data = "elsewhere: the model was imported" if recipe.data is None else recipe.data.kind
        words = {"data": data, **streaming_words(recipe.model.encoder), "decoding": recipe.search.kind}
        scores = (Curve("wer", "error rate of events"), Curve("labels", "labels right"))
        return TaskSummary(words, Curves(per="symbol", scores=scores))
