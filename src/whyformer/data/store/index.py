"""A large store's index: the lengths of all examples in one file, and their order by length in another.

Both follow from the shards. With them a training of a hundred million examples begins without going over
them, and holds none of their lengths: the files are mapped, and the pages of them that were read given back.

E examples · S sides · C different lengths
"""

import json
import mmap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whyformer.data.batches.by_length import LARGE, ExamplesByLength
from whyformer.data.store.manifest import REPAIR, StoreManifest, file_digest
from whyformer.data.store.shards import LENGTHS
from whyformer.errors import DataError
from whyformer.files import write_atomically, write_text

_INDEX, _ALL_LENGTHS, _ORDER, _KINDS = "index.json", "lengths.npy", "order.npy", "kinds.npy"


def write_index(store: Path, manifest: StoreManifest) -> None:
    """Write the index of a ``store`` that has more than ``LARGE`` examples, unless it is there and whole.

    Raises:
        WhyformerError: the disk is full.
    """
    if manifest.examples <= LARGE or _is_whole(store, manifest):
        return
    write_atomically(store / _ALL_LENGTHS, lambda path: _write_lengths(path, store, manifest))
    lengths = mapped(store / _ALL_LENGTHS)
    kinds = list[NDArray[np.int64]]()

    def write_order(path: Path) -> None:
        def empty(size: int, dtype: np.dtype[Any]) -> Any:
            return np.lib.format.open_memmap(path, "w+", dtype, (size,))

        examples = ExamplesByLength.of(lengths, empty)
        kinds.append(np.column_stack([examples.lengths, examples.counts, examples.firsts]))

    def write_kinds(path: Path) -> None:
        with path.open("wb") as file:
            np.save(file, kinds[0], allow_pickle=False)

    write_atomically(store / _ORDER, write_order)
    write_atomically(store / _KINDS, write_kinds)
    hashes = {name: file_digest(store / name) for name in (_ALL_LENGTHS, _ORDER, _KINDS)}
    write_text(store / _INDEX, json.dumps({"store": manifest.digest, "sha256": hashes}) + "\n")


def index_hashes(store: Path, manifest: StoreManifest) -> dict[str, str]:
    """Hash of each file of a large ``store``'s index, by name.

    Raises:
        DataError: there is none of this store.
    """
    try:
        record = json.loads((store / _INDEX).read_text(encoding="utf-8"))
        if record["store"] == manifest.digest:
            return {name: record["sha256"][name] for name in (_ALL_LENGTHS, _ORDER, _KINDS)}
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise DataError(f"{store / _INDEX}: is missing, damaged, or of another store; {REPAIR}")


def indexed(store: Path) -> tuple[NDArray[np.integer[Any]], ExamplesByLength]:
    """Mapped lengths (E,S) of a large ``store``, special tokens left out, and its examples sorted by them.

    Raises:
        DataError: a file cannot be read.
    """
    kinds = np.array(mapped(store / _KINDS))
    order = mapped(store / _ORDER)
    return mapped(store / _ALL_LENGTHS), ExamplesByLength(kinds[:, :-2], kinds[:, -2], kinds[:, -1], order)


def mapped(path: Path) -> Any:
    """The array in a file, mapped.

    Raises:
        DataError: it cannot be read.
    """
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as an array ({error}); {REPAIR}") from error


def release(array: NDArray[Any]) -> None:
    """Give the pages of a mapped array back that were read, so that a process holds few of them."""
    held = getattr(array, "_mmap", None)
    if isinstance(held, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        held.madvise(mmap.MADV_DONTNEED)


def _is_whole(store: Path, manifest: StoreManifest) -> bool:
    try:
        hashes = index_hashes(store, manifest)
        return all(file_digest(store / name) == digest for name, digest in hashes.items())
    except DataError:
        return False


def _write_lengths(path: Path, store: Path, manifest: StoreManifest) -> None:
    parts: list[Callable[[], Any]] = [
        lambda name=shard.name: mapped(store / f"{name}.{LENGTHS}")
        for shard in manifest.shards
        if shard.examples
    ]
    dtype = np.result_type(*{part().dtype for part in parts})
    shape = manifest.examples, parts[0]().shape[1]
    whole, first = np.lib.format.open_memmap(path, "w+", dtype, shape), 0
    for part in parts:
        more = part()
        whole[first : first + len(more)] = more
        first += len(more)
    whole.flush()
