"""The manifest of a state in several files: which rows of which tensor lie where, and each file's hash."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from whyformer.errors import CheckpointError
from whyformer.files import file_sha256, write_text
from whyformer.training.storage.checkpoint import load_facts

_FORMAT = "whyformer-sharded-1"


class Slice(NamedTuple):
    """Rows of a tensor that lie in one file, under the tensor's name."""

    file: str
    first: int
    """First of them, in the whole tensor."""
    last: int
    """The one after the last."""


@dataclass(frozen=True)
class SlicedTensor:
    """A tensor in parts."""

    shape: tuple[int, ...]
    slices: tuple[Slice, ...]
    """Parts in their order; one that lies in one file without rows of its own has a single slice of one."""


@dataclass(frozen=True)
class FileRecord:
    """Size and hash of one file."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class StateManifest:
    """A whole state, of files that lie beside it; written after them."""

    ranks: int
    """Number of ranks that wrote it; any number may read it."""
    facts: Mapping[str, Any]
    """Facts of the training, as one file of a state has them."""
    files: Mapping[str, FileRecord]
    tensors: Mapping[str, SlicedTensor]

    def save(self, path: Path) -> None:
        """Write it, whole or not at all."""
        write_text(path, json.dumps({"format": _FORMAT, **asdict(self)}, indent=1) + "\n")

    @staticmethod
    def load(path: Path) -> "StateManifest":
        """Read what ``save`` wrote.

        Raises:
            CheckpointError: it is missing, damaged, or of another version.
        """
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise CheckpointError(f"{path}: there is no such file.") from None
        except (OSError, ValueError) as error:
            raise CheckpointError(
                f"{path}: the file is damaged ({error}); restore it, or train again."
            ) from error
        if not isinstance(record, dict) or record.get("format") != _FORMAT:
            raise CheckpointError(
                f"{path}: this file was not written by Whyformer (or by a newer one); restore it."
            )
        try:
            return _read(record)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CheckpointError(
                f"{path}: the file is damaged ({error!r} in what it says); restore it, or train again."
            ) from error

    def check(self, path: Path, name: str) -> None:
        """Refuse a file beside the manifest at ``path`` that is not what was written.

        Raises:
            CheckpointError: it is missing, shorter or longer, or has other contents.
        """
        file, record = path.with_name(name), self.files[name]
        try:
            size = file.stat().st_size
            fault = f"has {size:,} of {record.bytes:,} bytes" if size != record.bytes else None
            if fault is None and file_record(file) != record:
                fault = "has other contents than were written"
        except FileNotFoundError:
            fault = "is missing"
        except OSError as error:
            fault = f"cannot be read ({error.strerror})"
        if fault is not None:
            raise CheckpointError(
                f"{file}: this part of the state {fault}; restore it from a copy of the run, or train again."
            )


def file_record(path: Path) -> FileRecord:
    """Size and hash of the file at ``path``."""
    return FileRecord(path.stat().st_size, file_sha256(path))


def state_facts(path: Path) -> Mapping[str, Any]:
    """The facts of a state, in one file or in several.

    Raises:
        CheckpointError: it is missing or damaged.
    """
    return StateManifest.load(path).facts if path.suffix == ".json" else load_facts(path)


def _read(record: Mapping[str, Any]) -> StateManifest:
    files = {str(name): FileRecord(**told) for name, told in record["files"].items()}
    tensors = {
        str(name): SlicedTensor(tuple(told["shape"]), tuple(Slice(*part) for part in told["slices"]))
        for name, told in record["tensors"].items()
    }
    for name, tensor in tensors.items():
        ends = [0, *(part.last for part in tensor.slices)]
        rows = tensor.shape[0] if tensor.shape else 1
        if ends[-1] != rows or [part.first for part in tensor.slices] != ends[:-1]:
            raise ValueError(f"rows of {name} that are missing")
        if unknown := [part.file for part in tensor.slices if part.file not in files]:
            raise ValueError(f"no record of {unknown[0]}")
    return StateManifest(int(record["ranks"]), dict(record["facts"]), files, tensors)
