"""Shapes and numbers of their weights, looked at before a model of any size is made."""

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from whyformer.errors import CheckpointError
from whyformer.huggingface.config import Config


class Size(NamedTuple):
    """A number that both the config and the shape of a tensor tell."""

    field: str
    tensor: str
    """Its name, without the root."""
    axis: int
    at_most: bool = False
    """Whether the tensor may have more, as a table has that was padded."""


def check_sizes(
    config: Config,
    theirs: Mapping[str, Tensor],
    path: Path,
    layer_counts: Mapping[str, str],
    sizes: Sequence[Size],
) -> None:
    """Compare what config.json says with the shapes of tensors, before a model of any size is made.

    Raises:
        CheckpointError: a number is another; its field is named.
    """
    for field, beginning in layer_counts.items():
        numbers = re.compile(rf"{re.escape(beginning)}\.(\d+)\.")
        found = len({hit[1] for name in theirs if (hit := numbers.match(name))})
        if (told := config.said(field)) != found:
            raise CheckpointError(
                f"{path}: config.json says {config.name(field)} {told}, but of {beginning}.0 and so "
                f"on the weights have {found}; take both from one model."
            )
    for field, name, axis, at_most in sizes:
        shape, told = theirs[name].shape if name in theirs else (), config.said(field)
        if told is None or len(shape) <= axis or told == shape[axis]:
            continue
        if not at_most or (told > shape[axis] and field in config.model_fields_set):
            raise CheckpointError(
                f"{path}: config.json says {config.name(field)} {told}, but {name} is {tuple(shape)}; "
                "take both from one model."
            )


def check_numbers(tensors: Mapping[str, Tensor], path: Path, scores: Collection[str] = ()) -> None:
    """Refuse ``tensors`` with infinite numbers or NaN; minus infinity in ``scores`` means never.

    Raises:
        CheckpointError: one does; it is named.
    """
    for name, tensor in tensors.items():
        odd = tensor.isnan() | (tensor.isposinf() if name in scores else tensor.isinf())
        if odd.any():
            raise CheckpointError(
                f"{path}: {int(odd.sum())} of the {tensor.numel()} numbers of {name} are infinite or NaN, so "
                "the weights are damaged; restore them."
            )
