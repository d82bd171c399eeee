"""Weights on disk: safetensors with a JSON header, written atomically; nothing is ever unpickled."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from whyformer.errors import CheckpointError
from whyformer.files import write_bytes

FORMAT = "whyformer-1"

_ENTRY = "whyformer"
"""Key of what a file says of itself; older files have an entry for the format and one for the facts."""

_SHOWN = 5
"""Tensors that a message names."""

_RENAMED = (
    (re.compile(r"(^|\.)trunk\."), r"\1backbone."),
    (re.compile(r"(^|\.)kind\.weight$"), r"\1token_type.weight"),
)
"""Names that tensors had in older files, and have now."""


def save_tensors(path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Write ``tensors`` and the JSON-able ``facts`` to ``path``, whole or not at all."""
    # One entry, as safetensors writes several in an order of chance: equal weights shall be equal files.
    metadata = {_ENTRY: json.dumps({"format": FORMAT, "facts": facts})}
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_bytes(path, save(contiguous, metadata))


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and facts that ``save_tensors`` wrote.

    Raises:
        CheckpointError: the file is missing, damaged, a pickle, or not one of ours.
    """
    tensors, facts = _read(path)
    return {_present_name(name): tensor for name, tensor in tensors.items()}, facts


def load_facts(path: Path) -> dict[str, Any]:
    """The facts alone that ``save_tensors`` wrote; see ``load_tensors`` for errors."""
    return _read(path, with_tensors=False)[1]


def _read(path: Path, *, with_tensors: bool = True) -> tuple[dict[str, Tensor], dict[str, Any]]:
    if not path.is_file():
        raise CheckpointError(f"{path}: there is no such file.")
    tensors, metadata = read_safetensors(path, with_tensors=with_tensors)
    told: Any
    try:
        if _ENTRY in metadata:
            told = json.loads(metadata[_ENTRY])
        else:
            told = {"format": metadata.get("format"), "facts": json.loads(metadata.get("facts", "{}"))}
    except ValueError as error:
        raise CheckpointError(
            f"{path}: the file is damaged ({error} in what it says of itself); restore it, or train again."
        ) from error
    if not isinstance(told, dict) or told.get("format") != FORMAT:
        raise CheckpointError(
            f"{path}: this file was not written by Whyformer (or by a newer one); import it instead."
        )
    return tensors, told.get("facts", {})


def read_safetensors(path: Path, *, with_tensors: bool = True) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors and the metadata of a file that anybody wrote; without the former if not ``with_tensors``.

    Raises:
        CheckpointError: the file is damaged, or a pickle.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            # Copies: a tensor that stayed mapped to the file would hold its place on the disk.
            names = list(file.keys()) if with_tensors else []
            tensors = {name: file.get_tensor(name).clone() for name in names}
    except (SafetensorError, OSError, ValueError) as error:
        if _looks_like_pickle(path):
            raise CheckpointError(
                f"{path}: this is a pickle (a .pt or .bin file), which can run code when it is opened, "
                "so it is never read; convert it to safetensors first."
            ) from error
        raise CheckpointError(
            f"{path}: the file is damaged or not safetensors ({error}); restore it, or train again."
        ) from error
    return tensors, metadata


def load_weights(model: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Fill ``model`` with ``tensors``, which must fit exactly.

    Raises:
        CheckpointError: tensors are missing, left over, or of another shape; each is named.
    """
    if misfit := tensor_misfit(model.state_dict(), tensors, "this model", " but the recipe makes it"):
        raise CheckpointError(f"{path}: the weights do not fit the recipe: {misfit}.")
    model.load_state_dict(dict(tensors))


def tensor_misfit(
    expected: Mapping[str, Tensor], found: Mapping[str, Tensor], whole: str, source: str
) -> str:
    """The first tensors by name that are missing, left over or of another shape; empty where all fit.

    Args:
        expected: tensors by name; only their shapes count.
        found: those that are there.
        whole: the thing that a tensor left over is no part of.
        source: words before the shape that was expected.
    """
    faults = [f"{name} is missing" for name in expected if name not in found]
    faults += [f"{name} is not part of {whole}" for name in found if name not in expected]
    faults += [
        f"{name} is {tuple(tensor.shape)}{source} {tuple(expected[name].shape)}"
        for name, tensor in found.items()
        if name in expected and tensor.shape != expected[name].shape
    ]
    more = f" and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
    return "; ".join(faults[:_SHOWN]) + more


def average_weights(files: Sequence[Path]) -> dict[str, Tensor]:
    """The mean of the weights in ``files``, summed in fp64.

    Raises:
        CheckpointError: a file cannot be read, or two of them do not hold the same tensors.
    """
    first, _ = load_tensors(files[0])
    total = {name: tensor.double() for name, tensor in first.items()}
    for path in files[1:]:
        tensors, _ = load_tensors(path)
        if _shapes(tensors) != _shapes(first):
            raise CheckpointError(
                f"{path}: its tensors differ from those of {files[0]}; average one run's snapshots."
            )
        for name, tensor in tensors.items():
            total[name] += tensor
    return {name: (tensor / len(files)).to(first[name].dtype) for name, tensor in total.items()}


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimizer's state, flat: ``0.exp_avg``, ``0.exp_avg_sq``, ``0.step`` and so on."""
    state: dict[int, dict[str, Tensor]] = optimizer.state_dict()["state"]
    return {f"{index}.{name}": tensor for index, entry in state.items() for name, tensor in entry.items()}


def load_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Put back the tensors that ``optimizer_tensors`` took out.

    Raises:
        CheckpointError: the state in ``path`` is of other weights, or of the same in another order.
    """
    shapes = [weight.shape for group in optimizer.param_groups for weight in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        index, _, field = name.partition(".")
        fits = index.isdecimal() and int(index) < len(shapes) and tensor.shape in ((), shapes[int(index)])
        if not fits:
            raise CheckpointError(
                f"{path}: the optimizer's state does not fit the recipe at {name}; "
                "go on with the optimizer that the run began with."
            )
        state.setdefault(int(index), {})[field] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _present_name(name: str) -> str:
    for old, new in _RENAMED:
        name = old.sub(new, name)
    return name


def _looks_like_pickle(path: Path) -> bool:
    """Whether a file that is not safetensors looks like a pickle; safetensors may begin alike."""
    try:
        with path.open("rb") as file:
            head = file.read(8)
    except OSError:
        return False
    # A bare pickle (protocols 2 to 5), or the zip archive that torch.save writes. The header of safetensors
    # begins with its length, in which zeros follow where a pickle has more, but for the mark of a frame.
    bare = head[:1] == b"\x80" and head[1:2] in b"\2\3\4\5" and (any(head[4:]) or head[2:3] == b"\x95")
    return bare or head[:4] == b"PK\x03\x04"


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in tensors.items()}
