"""The tensors of a saved state, whole or by rows, however many files they lie in."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from whyformer.errors import CheckpointError
from whyformer.training.storage.checkpoint import load_tensors
from whyformer.training.storage.manifest import Slice, StateManifest


class SavedState(Protocol):
    """A state as it lies on disk."""

    @property
    def path(self) -> Path:
        """The file that messages name."""
        ...

    @property
    def facts(self) -> Mapping[str, Any]:
        """Facts of the training."""
        ...

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Shape of each tensor, by name."""
        ...

    def rows(self, name: str, first: int, last: int) -> Tensor:
        """Rows of a tensor from ``first`` to ``last``, the latter left out; a single number is one row.

        Raises:
            CheckpointError: a file with some of them is missing or damaged.
        """
        ...


class StateInOneFile:
    """A state that one process wrote."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._tensors, self.facts = load_tensors(path)
        self.shapes = {name: tuple(tensor.shape) for name, tensor in self._tensors.items()}

    def rows(self, name: str, first: int, last: int) -> Tensor:
        """Rows of a tensor; see ``SavedState``."""
        tensor = self._tensors[name]
        is_whole = not tensor.dim() or (first, last) == (0, len(tensor))
        return tensor if is_whole else tensor[first:last].clone()


class StateInSlices:
    """A state that several ranks wrote; only files that are asked for are read, and those are checked."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._manifest = StateManifest.load(path)
        self.facts = self._manifest.facts
        self.shapes = {name: tensor.shape for name, tensor in self._manifest.tensors.items()}
        self._checked = set[str]()

    def rows(self, name: str, first: int, last: int) -> Tensor:
        """Rows of a tensor; see ``SavedState``."""
        tensor = self._manifest.tensors[name]
        if not tensor.shape:
            return self._read(name, tensor.slices[0], 0, 1)
        found = [
            self._read(name, part, *within) for part, *within in _overlapping(tensor.slices, first, last)
        ]
        return found[0] if len(found) == 1 else torch.cat(found)

    def _read(self, name: str, part: Slice, first: int, last: int) -> Tensor:
        """Rows of one slice, counted from its own first."""
        file = self.path.with_name(part.file)
        if part.file not in self._checked:
            self._manifest.check(self.path, part.file)
            self._checked.add(part.file)
        try:
            with safe_open(file, framework="pt") as opened:
                if not self.shapes[name]:
                    return opened.get_tensor(name).clone()
                return opened.get_slice(name)[first:last].clone()
        except (SafetensorError, OSError, ValueError) as error:
            raise CheckpointError(
                f"{file}: the file is damaged or not safetensors ({error}); restore it, or train again."
            ) from error


def open_state(path: Path) -> SavedState:
    """The state at ``path``: one file, or the manifest of several.

    Raises:
        CheckpointError: it is missing or damaged.
    """
    return StateInSlices(path) if path.suffix == ".json" else StateInOneFile(path)


def _overlapping(slices: tuple[Slice, ...], first: int, last: int) -> Iterator[tuple[Slice, int, int]]:
    """The parts of rows ``first`` to ``last``, each counted from the beginning of its slice."""
    any_part = False
    for part in slices:
        begin, end = max(first, part.first), min(last, part.last)
        if begin < end:
            any_part = True
            yield part, begin - part.first, end - part.first
    if not any_part:
        # No rows, of the right kind and width.
        yield slices[0], 0, 0
