"""A task: one object with five answers, by which a run is trained, used, evaluated and described.

The answers: what to prepare (data, assets, model), which objective to train by, what a user calls, how good
it is, and what is shown of it. ``runs.registry`` lists all tasks; nothing else names them.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, NamedTuple, Protocol, TypeVar

from torch import nn
from typing_extensions import override

from whyformer.config.recipe_files import RecipeLayer
from whyformer.data.corpora.documents import Documents
from whyformer.data.tokenizers.single import SingleTokenizer
from whyformer.decoding.overrides import SearchChoice
from whyformer.errors import DataError, RecipeError
from whyformer.plots.panels import Curves
from whyformer.tasks.decision import Decision
from whyformer.tasks.recipe import Recipe
from whyformer.training.objective import Objective
from whyformer.training.storage.checkpoint import load_weights
from whyformer.training.storage.fingerprint import Fingerprint, text_fingerprint
from whyformer.training.storage.run import RunFolder
from whyformer.training.task import TrainingTask


class Assets(Protocol):
    """Everything besides weights that a trained model cannot be used without, such as its tokenizers."""

    @property
    def fingerprints(self) -> list[str]:
        """Texts that identify all of them; weights remember theirs."""
        ...

    @property
    def description(self) -> str:
        """All of them in a few words."""
        ...

    def save(self, folder: Path) -> None:
        """Write them as files of a run's ``folder``."""
        ...


class Runner(Protocol):
    """The object that a user calls: a trained model with all that it needs."""

    @property
    def model(self) -> nn.Module:
        """The network, in evaluation mode."""
        ...

    def __call__(self, text: str, /) -> Any:
        """The output for one text."""
        ...


class Metrics(ABC):
    """Quality of a run on one set of data."""

    @property
    @abstractmethod
    def figures(self) -> dict[str, float]:
        """Numbers that can be compared, by name."""

    @abstractmethod
    def lines(self, name: str, examples: int = 0) -> Iterator[str]:
        """The lines to print of the set ``name``, with up to ``examples`` of right and of wrong outputs."""

    def record(self, examples: int = 0) -> dict[str, object]:
        """All figures, ready for JSON."""
        return {**vars(self), **self.figures}

    @property
    def settings(self) -> dict[str, object]:
        """Way in which outputs were made, ready for JSON; empty where none are."""
        return {}

    def outputs(self) -> Iterator[dict[str, object]]:
        """Every output beside what it should be, ready for JSON; none where none are made."""
        yield from ()


@contextmanager
def _silent(_label: str, _total: int) -> Generator[Callable[[int], None]]:
    yield lambda _: None


class StreamChoice(NamedTuple):
    """Chunks to recognise streams in, as a command line says them, instead of the recipe's."""

    chunks: tuple[str, ...] = ()
    """Durations, such as 320ms or full; each is tried."""
    left: tuple[str, ...] = ()
    """Numbers of chunks to the left, such as 4 or all; each is tried with each duration."""


@dataclass(frozen=True)
class EvaluationOptions:
    """Way to evaluate; all but ``batch`` is for tasks that write text."""

    batch: int = 64
    """Examples side by side; it changes the speed, not the result."""
    search: SearchChoice = field(default_factory=SearchChoice)
    """Way to search where the recipe is not to decide."""
    tokenize: tuple[str, ...] = ()
    """BLEU's ways to cut text, instead of the recipe's."""
    source: Path | None = None
    """Sentences of a test set of one's own."""
    references: tuple[Path, ...] = ()
    """Translations of those sentences, one file or more."""
    shows_text: bool = False
    """Whether outputs are to be shown or kept."""
    streams: StreamChoice = field(default_factory=StreamChoice)
    """Chunks to try a stream with."""
    progress: Callable[[str, int], AbstractContextManager[Callable[[int], None]]] = _silent
    """Progress bar: opened with a label and a number of sentences, yields a function to report those done."""

    @property
    def about_text(self) -> bool:
        """Whether any of them only means something where text is written."""
        given = self.tokenize or self.source or self.references
        return bool(given or self.search != SearchChoice())

    @property
    def about_streams(self) -> bool:
        """Whether any of them only means something where a stream is recognised."""
        return self.streams != StreamChoice()


@dataclass(frozen=True)
class Prepared:
    """Data that was read, and what follows from it."""

    task: TrainingTask[Any]
    """Training task, which fits the model that ``build`` makes, and no other."""
    build: Callable[[], nn.Module]
    """A new model, its weights drawn from torch's global random state."""
    assets: Assets
    summary: str
    """One sentence on what was read and dropped."""
    data: Mapping[str, Fingerprint] = field(default_factory=dict)
    """Fingerprints of what is trained on (``train``) and judged by (``valid``)."""
    recipe: Recipe | None = None
    """The recipe with what the data decided, where that is more than it says itself."""
    decisions: Sequence[str] = ()
    """Decisions that the data took so, a line each."""


def documents_fingerprints(documents: Documents) -> dict[str, Fingerprint]:
    """Fingerprints of both sides of ``documents``."""
    sides = {"train": documents.train, "valid": documents.valid}
    return {name: text_fingerprint((document,) for document in side) for name, side in sides.items()}


@dataclass(frozen=True)
class TaskSummary:
    """Description of a run of the task, and the figures of its training that are drawn."""

    words: Mapping[str, str]
    """The recipe in a few lines, by a name each."""
    curves: Curves


RecipeT = TypeVar("RecipeT", bound=Recipe)
AssetsT = TypeVar("AssetsT", bound=Assets)
RunnerT = TypeVar("RunnerT", bound=Runner)


class Task(ABC, Generic[RecipeT, AssetsT, RunnerT]):
    """A family of models and what they are for."""

    recipe_type: type[RecipeT]
    """The recipes of this task, whose ``task`` is its name."""
    runner_type: type[RunnerT]
    """The object that ``runner`` gives."""
    does: ClassVar[str]
    """Phrase that says what a run does, as the end of a sentence."""
    verb: ClassVar[str]
    """The verb of the program that uses such runs."""
    writes_text: ClassVar[bool] = False
    """Whether evaluation writes texts and compares them with references."""
    recognises_streams: ClassVar[bool] = False
    """Whether it reads a signal chunk by chunk."""
    figures: ClassVar[tuple[str, ...]]
    """Names of the figures to compare by where a comparison does not say which."""

    asset_keys: ClassVar[tuple[str, ...]] = ()
    """Keys of the recipe by which its assets are made; one that starts from a run takes them from there."""
    taken_keys: ClassVar[tuple[str, ...]] = ("model",)
    """Other keys that such a recipe takes from there, where it does not say otherwise."""

    @property
    def name(self) -> str:
        """The name of the task in recipes."""
        return str(self.recipe_type.model_fields["task"].default)

    def complete(self, recipe: RecipeT) -> RecipeT:
        """``recipe`` with what it leaves to other files, such as the network of a pretrained run.

        Raises:
            RecipeError: such a file cannot be used.
        """
        return recipe

    def measures(self, recipe: RecipeT) -> tuple[str, ...]:
        """Names of the figures of a validation of ``recipe``, besides ``loss`` and ``nll``."""
        return tuple(name for name in self.figures if name != "nll")

    def found(self, recipe: RecipeT) -> tuple[RecipeT, list[Decision]]:
        """``recipe`` with what it does not say of the form of its files and these show, and the decisions.

        Raises:
            DataError: the files do not show it either.
        """
        return recipe, []

    def provisional(self, said: RecipeLayer) -> RecipeLayer:
        """Keys that stand in a recipe, of which ``said`` was written, until ``decide`` has decided them."""
        return {}

    def implied(self, said: RecipeLayer) -> list[Decision]:
        """Decisions on keys that were not ``said`` and follow from others that were, without any data."""
        return []

    def decide(self, recipe: RecipeT, said: RecipeLayer) -> list[Decision]:
        """Decisions on keys that were not ``said`` and depend on the data, which are read for it.

        Args:
            recipe: the recipe, with ``provisional`` values where it leaves keys out.
            said: the same as it was written, which alone tells what was left out.

        Raises:
            DataError: the data cannot be read.
        """
        return []

    def taken(self, begun: Recipe, folder: Path) -> dict[str, object]:
        """Keys that a recipe takes from the one, ``begun``, of the run in the ``folder`` that it starts from.

        Raises:
            RecipeError: the run does something else.
        """
        if begun.task != self.name:
            raise RecipeError(
                f"start: {folder} is a run of task {begun.task}; a recipe of task {self.name} starts from "
                "one of its own task."
            )
        said = begun.model_dump(mode="json")
        return {key: said[key] for key in (*self.asset_keys, *self.taken_keys)}

    def load_start(self, recipe: RecipeT, model: nn.Module, start: RunFolder) -> None:
        """Give a new ``model`` the weights of the run that ``recipe`` starts from.

        Raises:
            CheckpointError: they are missing or damaged, or do not fit.
        """
        load_weights(model, start.read_weights(start.weights), start.weights)

    @abstractmethod
    def load_assets(self, folder: Path) -> AssetsT:
        """The assets in the ``folder`` of a run.

        Raises:
            TokenizerError: one is missing or damaged.
        """

    @abstractmethod
    def prepare(self, recipe: RecipeT, assets: AssetsT | None) -> Prepared:
        """Read the data, and make ``assets`` of it where none are given.

        Raises:
            DataError: the data cannot be read, or nothing of it can be used.
            TokenizerError: there is too little text for the tokenizer.
        """

    @abstractmethod
    def objective(self, recipe: RecipeT) -> Objective[Any]:
        """The objective that a model is trained by."""

    @abstractmethod
    def runner(self, recipe: RecipeT, assets: AssetsT) -> RunnerT:
        """The object that users call, around a model whose weights are still to be loaded."""

    def check_options(self, options: EvaluationOptions, run: Path) -> None:
        """Refuse ``options`` that mean nothing to this task, as asked for ``run``.

        Raises:
            DataError: such options are given.
        """
        if options.about_streams and not self.recognises_streams:
            raise DataError(
                f"{run}: this run {self.does}; --chunk and --left are for runs that hear or watch."
            )
        shows = options.shows_text and not self.recognises_streams
        if (options.about_text or shows) and not self.writes_text:
            raise DataError(
                f"{run}: this run does not translate and is scored without writing any text; of the options "
                "it takes --on, --json, --batch, --device, --threads and --weights."
                if not self.recognises_streams
                else f"{run}: this run {self.does}, so --source, --reference, --tokenize and ways to search "
                "text mean nothing to it; its recipe says how to search."
            )

    @abstractmethod
    def evaluate(
        self, recipe: RecipeT, runner: RunnerT, names: Sequence[str], options: EvaluationOptions
    ) -> Iterator[tuple[str, Metrics]]:
        """Metrics of ``runner`` on the held-out sets called ``names``, one set after another.

        Without names on all test sets, or on ``valid`` where there are none.

        Raises:
            DataError: there is no such set, or it cannot be read.
            DecodingError: an example is longer than the model takes.
        """

    @abstractmethod
    def summary(self, recipe: RecipeT) -> TaskSummary:
        """Summary of a run: the recipe in words, and the curves of its training."""


class SingleTokenizerTask(Task[RecipeT, SingleTokenizer, RunnerT], ABC):
    """A task whose models read and write by one tokenizer, and need nothing besides."""

    asset_keys = ("tokenizer",)

    @override
    def load_assets(self, folder: Path) -> SingleTokenizer:
        return SingleTokenizer.load(folder)
