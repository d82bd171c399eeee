"""The base of every task's recipe."""

from abc import ABC
from typing import TYPE_CHECKING, Any, TypeVar

from whyformer.errors import DataError
from whyformer.spec import Spec
from whyformer.training.settings import TrainingSpec

Data = TypeVar("Data", bound=Spec)


class Recipe(Spec, ABC):
    """Everything that makes a model, from raw text to its scores."""

    if TYPE_CHECKING:
        # Each recipe declares these itself, in the order of a file.
        task: Any
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
            "the recipe has no data (data: null), as the model was imported; name files of your own, or "
            "start a recipe of task classification from this run."
        )
    return data
