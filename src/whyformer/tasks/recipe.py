"""The base of every task's recipe."""

from abc import ABC
from typing import TYPE_CHECKING, Any, TypeVar

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

    if TYPE_CHECKING:
        # Each recipe declares these itself, in the order of a file.
        data: Any
        model: Any
        training: TrainingSpec


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
