"""The base of every task's recipe."""

from abc import ABC
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

from pydantic import model_validator

from whyformer.config.paths import RunPath
from whyformer.errors import DataError
from whyformer.spec import Spec
from whyformer.training.settings import TrainingSpec

Data = TypeVar("Data", bound=Spec)


class Recipe(Spec, ABC):
    """Everything that makes a model, from raw text to its scores."""

    task: Any
    """Purpose of the model."""
    start: RunPath | None = None
    """Folder of a run, trained or imported, whose tokenizers, network and weights training begins with."""

    reads_twice: ClassVar[bool] = False
    """Whether the task's objective can read a batch twice, as R-Drop wants it."""

    if TYPE_CHECKING:
        # Each recipe declares these itself, in the order of a file.
        data: Any
        model: Any
        training: TrainingSpec

    @model_validator(mode="after")
    def _r_drop_needs_two_readings(self) -> Self:
        if self.training.loss.r_drop and not self.reads_twice:
            raise ValueError(
                f"training.loss.r_drop is {self.training.loss.r_drop:g} and wants each batch read twice, but "
                f"the objective of task {self.task} reads it once; leave r_drop out"
            )
        return self


def require_data(data: Data | None) -> Data:
    """The recipe's ``data``, where it has some.

    Raises:
        DataError: it has none, as in the run of an imported model.
    """
    if data is None:
        raise DataError(
            "the recipe has no data (data: null), as the model was imported; to score it, name some behind "
            "the run (data.train=... data.valid=...); to train it further, write a recipe that names files "
            "of your own and, as its `start`, the folder of this run."
        )
    return data
