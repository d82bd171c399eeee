"""What every recipe can do, whatever its task: prepare all that training needs."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from torch import nn

from whyformer.data.tokenizers.pair import TokenizerPair
from whyformer.errors import DataError
from whyformer.spec import Spec
from whyformer.training.settings import TrainingSpec
from whyformer.training.task import Task

Data = TypeVar("Data", bound=Spec)


@dataclass(frozen=True)
class Prepared:
    """Data that was read, and what follows from it."""

    task: Task[Any]
    """Fits the model that ``build`` makes, and no other."""
    build: Callable[[], nn.Module]
    """A new model, its weights drawn from torch's global random state."""
    tokenizers: TokenizerPair
    summary: str
    """One sentence on what was read and dropped."""


class Recipe(Spec, ABC):
    """Everything that makes a model, from raw text to its scores."""

    figures: ClassVar[tuple[str, ...]]
    """What tells best how good a run is, for comparisons that do not say what to show."""
    if TYPE_CHECKING:
        # Each recipe declares the field itself: in a file it should stand behind data and model.
        training: TrainingSpec

    @abstractmethod
    def prepare(self, tokenizers: TokenizerPair | None) -> Prepared:
        """Read the data, and train ``tokenizers`` on it where none are given.

        Raises:
            DataError: the data cannot be read, or nothing of it can be used.
            TokenizerError: there is too little text for the tokenizer.
        """


def require_data(data: Data | None) -> Data:
    """``data``, where a recipe has some.

    Raises:
        DataError: it has none, as in the run of an imported model.
    """
    if data is None:
        raise DataError(
            "the recipe has no data (data: null), as the model was imported; name files of your own, or "
            "start a recipe of task classification from this run."
        )
    return data
