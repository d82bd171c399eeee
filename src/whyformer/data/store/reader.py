"""A store in use: token ids are read from the disk, lengths are in memory, or mapped where they are many.

E examples · S sides · N tokens of a shard
"""

import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whyformer.data.batches.by_length import LARGE, ExamplesByLength
from whyformer.data.store.index import index_hashes, indexed, mapped, release
from whyformer.data.store.manifest import COUNTS, HELD_OUT_FILE, REPAIR, Shard, StoreManifest, check_files
from whyformer.data.store.shards import LENGTHS, TOKENS
from whyformer.data.store.text.inputs import ExampleKind
from whyformer.data.tokenizers.pair import TokenizerPair
from whyformer.errors import DataError

_STRIDE = 64
"""Examples between two places that are known; places in between are sums of lengths."""
_RELEASE = 8192
"""Examples that are read before pages of mapped files are given back."""


class TokenStore:
    """Token ids of many examples, without BOS and EOS, by their numbers."""

    def __init__(self, path: Path) -> None:
        """Open the store in the folder ``path``, and compare every file with its hash.

        Raises:
            DataError: a file is missing, damaged or foreign.
            TokenizerError: a tokenizer cannot be read.
        """
        self.path = path
        self.manifest = StoreManifest.load(path)
        expected = [*self.manifest.sha256.items()]
        expected += [each for shard in self.manifest.shards for each in shard.sha256.items()]
        is_large = self.manifest.examples > LARGE
        if is_large:
            expected += index_hashes(path, self.manifest).items()
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            # Hashing lets go of Python's lock; the first fault in the order of files is told.
            list(pool.map(partial(_check, path), expected))
        shards = [shard for shard in self.manifest.shards if shard.examples]
        self.by_length: ExamplesByLength | None = None
        """The examples sorted by length, where they are many."""
        self.lengths: NDArray[np.integer[Any]]
        """(E,S) tokens of each example."""
        if is_large:
            self.lengths, self.by_length = indexed(path)
        else:
            self.lengths = np.concatenate([mapped(path / f"{shard.name}.{LENGTHS}") for shard in shards])
        self._firsts = np.cumsum([0, *(shard.examples for shard in shards)])
        self._shards = [_StoredShard(path, shard) for shard in shards]
        self._read = 0

    def __len__(self) -> int:
        """Number of examples, E."""
        return len(self.lengths)

    @property
    def kind(self) -> ExampleKind:
        """Kind of the examples."""
        return self.manifest.kind

    @cached_property
    def tokenizers(self) -> TokenizerPair:
        """The tokenizers that the ids are of."""
        return stored_tokenizers(self.path)

    @property
    def counts(self) -> NDArray[np.int64]:
        """(S, largest vocabulary) how often each token stands on each side."""
        return np.array(mapped(self.path / COUNTS))

    @property
    def summary(self) -> str:
        """One sentence on what is in it and what was left out."""
        dropped = ", ".join(f"{count:,} {reason}" for reason, count in self.manifest.dropped.items())
        said = f"{self.path}: {len(self):,} {self.kind} to train on"
        return f"{said}; left out: {dropped}" if dropped else said

    def ids(self, index: int) -> list[list[int]]:
        """Token ids of one example, a list for each side."""
        place = int(np.searchsorted(self._firsts, index, side="right")) - 1
        shard, first = self._shards[place], int(self._firsts[place])
        self._read += 1
        if self._read % _RELEASE == 0 and self.by_length is not None:
            release(self.lengths)
            release(self.by_length.order)
        lengths = self.lengths[first : int(self._firsts[place + 1])]
        return shard.ids(lengths, index - first)

    def require(self, sides: int) -> None:
        """Refuse a store whose examples have another number of ``sides``.

        Raises:
            DataError: it is.
        """
        if self.lengths.shape[1] != sides:
            wanted = "pairs (with --target)" if sides == 2 else "text without translations"
            raise DataError(
                f"{self.path}: this store holds {self.kind}; for this task build one of {wanted}."
            )

    def check_tokenizers(self, fingerprints: Sequence[str], owner: str) -> None:
        """Refuse to serve a model whose tokenizers, those of ``owner``, are others.

        Raises:
            DataError: they are.
        """
        if [*fingerprints] != self.manifest.tokenizers:
            raise DataError(
                f"{self.path}: was built with another tokenizer ({', '.join(self.manifest.tokenizers)}) than "
                f"that of {owner} ({', '.join(fingerprints)}), and its ids mean other text; build one by "
                "`whyformer data build FILES --to STORE --tokenizer` with the run or file that has it."
            )


def _check(store: Path, expected: tuple[str, str]) -> None:
    check_files(store, [expected])


def stored_tokenizers(path: Path) -> TokenizerPair:
    """The tokenizers of the store in ``path``.

    Raises:
        DataError: there is no store, or they are missing or damaged.
    """
    manifest = StoreManifest.load(path)
    names = [name for name in manifest.sha256 if name.startswith("tokenizer")]
    check_files(path, [(name, manifest.sha256[name]) for name in names])
    return TokenizerPair.load(path)


def stored_texts(path: Path) -> list[tuple[str, ...]]:
    """Texts of the examples that were held out when the store in ``path`` was built.

    Raises:
        DataError: the file is missing or damaged, or nothing was held out.
    """
    manifest = StoreManifest.load(path)
    check_files(path, [(HELD_OUT_FILE, manifest.sha256.get(HELD_OUT_FILE, ""))])
    record = json.loads((path / HELD_OUT_FILE).read_text(encoding="utf-8"))
    if not record:
        raise DataError(
            f"{path}: nothing was held out when this store was built; name validation files (data.valid)."
        )
    return [tuple(texts) for texts in record]


class _StoredShard:
    """Token ids of one shard, which is opened for each reading: there may be more shards than open files."""

    def __init__(self, path: Path, shard: Shard) -> None:
        self._file = path / f"{shard.name}.{TOKENS}"
        lengths = mapped(path / f"{shard.name}.{LENGTHS}").sum(axis=1, dtype=np.int64)
        tokens = mapped(self._file)
        if lengths.sum() != len(tokens) or len(lengths) != shard.examples:
            raise DataError(f"{path / shard.name}: its lengths and its tokens do not fit; {REPAIR}")
        self._dtype: np.dtype[Any] = tokens.dtype
        self._offset = int(tokens.offset)
        # First token of every 64th example.
        self._starts: NDArray[np.int64] = np.concatenate([[0], np.cumsum(lengths)])[:-1:_STRIDE].copy()

    def ids(self, lengths: NDArray[np.integer[Any]], index: int) -> list[list[int]]:
        anchor = index // _STRIDE
        start = int(self._starts[anchor]) + int(lengths[anchor * _STRIDE : index].sum(dtype=np.int64))
        sides = lengths[index].tolist()
        tokens = self._tokens(start, sum(sides)).tolist()
        ends = [*accumulate(sides)]
        return [tokens[end - size : end] for end, size in zip(ends, sides, strict=True)]

    def _tokens(self, start: int, count: int) -> NDArray[Any]:
        size, place = self._dtype.itemsize, self._offset
        try:
            with self._file.open("rb", buffering=0) as file:
                file.seek(place + start * size)
                return np.frombuffer(file.read(count * size), dtype=self._dtype, count=count)
        except (OSError, ValueError) as error:
            raise DataError(f"{self._file}: cannot be read ({error}); {REPAIR}") from error
