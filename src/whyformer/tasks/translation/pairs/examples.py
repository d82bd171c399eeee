"""Training pairs as token ids: in memory, or in a store."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from whyformer.data.batches.by_length import LARGE, ExamplesByLength
from whyformer.data.batches.planning import Lengths
from whyformer.data.store.reader import TokenStore
from whyformer.data.tokenizers.pair import TokenizerPair
from whyformer.special_tokens import EOS

_SPECIAL = (1, 2)
"""Special tokens of source and target: EOS; BOS and EOS."""
_AT_ONCE = 1 << 20


class TrainingPairs(Protocol):
    """Pairs that the model can read and write, by their numbers."""

    @property
    def lengths(self) -> Lengths | ExamplesByLength:
        """(pairs, 2) number of tokens of source and target, BOS and EOS included; sorted where many."""
        ...

    @property
    def overlong(self) -> int:
        """Number of pairs that were left out, as too long for the model."""
        ...

    def ids(self, index: int) -> tuple[list[int], list[int]]:
        """Token ids of source and target, BOS and EOS left out."""
        ...

    def predicted(self, indices: NDArray[np.int64]) -> int:
        """Number of target tokens of some pairs, EOS included."""
        ...

    def spread(self, most: int) -> NDArray[np.int64]:
        """Some pairs from all over the data, ``most`` of them or all."""
        ...

    def target_counts(self) -> NDArray[np.int64]:
        """How often each token stands in targets, EOS included, by its id."""
        ...


@dataclass(frozen=True)
class EncodedPairs:
    """Pairs in memory."""

    sources: list[list[int]]
    targets: list[list[int]]
    lengths: NDArray[np.int64]
    """(pairs, 2) number of tokens of source and target, BOS and EOS included."""
    kept: list[int]
    """Their places among all that were given."""
    overlong: int
    """Number of others."""

    @staticmethod
    def of(
        tokenizers: TokenizerPair, source_texts: Sequence[str], target_texts: Sequence[str], longest: int
    ) -> "EncodedPairs":
        """Token ids of pairs, without those that have more than ``longest`` tokens on a side."""
        sources = tokenizers.source.encode_all(source_texts)
        targets = tokenizers.target.encode_all(target_texts)
        pairs = list(zip(sources, targets, strict=True))
        lengths = np.array([(len(source) + 1, len(target) + 2) for source, target in pairs], dtype=np.int64)
        kept = np.flatnonzero(lengths.max(axis=1) <= longest)
        fit = [pairs[index] for index in kept.tolist()]
        return EncodedPairs(
            [source for source, _ in fit],
            [target for _, target in fit],
            lengths[kept],
            kept.tolist(),
            len(pairs) - len(fit),
        )

    def ids(self, index: int) -> tuple[list[int], list[int]]:
        """Token ids of source and target."""
        return self.sources[index], self.targets[index]

    def predicted(self, indices: NDArray[np.int64]) -> int:
        """Number of target tokens of some pairs, EOS included."""
        return _predicted(self.lengths, indices)

    def spread(self, most: int) -> NDArray[np.int64]:
        """Some pairs from all over the data."""
        return _spread(len(self.lengths), most)

    def target_counts(self) -> NDArray[np.int64]:
        """How often each token stands in targets, EOS included."""
        return np.bincount(np.concatenate([np.array([*target, EOS]) for target in self.targets]))


def stored_pairs(store: TokenStore, longest: int) -> TrainingPairs:
    """The pairs of a store that have no more than ``longest`` tokens on a side."""
    if store.by_length is not None:
        fit = store.by_length.plus(_SPECIAL).up_to(longest)
        if len(fit) > LARGE:
            return ManyStoredPairs(store, fit)
    return StoredPairs(store, longest)


class StoredPairs:
    """Pairs in a store; of them only lengths are in memory."""

    def __init__(self, store: TokenStore, longest: int) -> None:
        """Leave out the pairs that have more than ``longest`` tokens on a side."""
        self._store = store
        special = np.array(_SPECIAL, dtype=store.lengths.dtype)
        fits = np.ones(len(store), dtype=np.bool_)
        for start in range(0, len(store), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            fits[part] = (store.lengths[part] + special).max(axis=1) <= longest
        self.overlong = len(store) - int(fits.sum())
        self._kept = np.flatnonzero(fits)
        self._dropped = np.flatnonzero(~fits)
        self.lengths: Lengths = store.lengths[self._kept] + special

    def ids(self, index: int) -> tuple[list[int], list[int]]:
        """Token ids of source and target."""
        source, target = self._store.ids(int(self._kept[index]))
        return source, target

    def predicted(self, indices: NDArray[np.int64]) -> int:
        """Number of target tokens of some pairs, EOS included."""
        return _predicted(self.lengths, indices)

    def spread(self, most: int) -> NDArray[np.int64]:
        """Some pairs from all over the data."""
        return _spread(len(self.lengths), most)

    def target_counts(self) -> NDArray[np.int64]:
        """How often each token stands in targets, EOS included."""
        counts = self._store.counts[1]
        for index in self._dropped.tolist():
            ids = np.array(self._store.ids(index)[1], dtype=np.int64)
            counts -= np.bincount(ids, minlength=len(counts))
        counts[EOS] += len(self.lengths)
        return counts


class ManyStoredPairs:
    """Pairs in a large store, of which nothing is in memory; they have the numbers of the store."""

    def __init__(self, store: TokenStore, fit: ExamplesByLength) -> None:
        self._store = store
        self.lengths: ExamplesByLength = fit
        self.overlong = len(store) - len(fit)

    def ids(self, index: int) -> tuple[list[int], list[int]]:
        """Token ids of source and target."""
        source, target = self._store.ids(index)
        return source, target

    def predicted(self, indices: NDArray[np.int64]) -> int:
        """Number of target tokens of some pairs, EOS included."""
        return _predicted(self._store.lengths, indices) + _SPECIAL[1] * len(indices)

    def spread(self, most: int) -> NDArray[np.int64]:
        """Some pairs of all lengths."""
        return self.lengths.numbers(_spread(len(self.lengths), most))

    def target_counts(self) -> NDArray[np.int64]:
        """How often each token stands in targets, EOS included; those of pairs that are too long count."""
        counts = self._store.counts[1]
        counts[EOS] += len(self._store)
        return counts


def _predicted(lengths: Lengths, indices: NDArray[np.int64]) -> int:
    """Target tokens of some pairs, of which the first predicts and is not predicted."""
    return int(lengths[indices, 1].sum(dtype=np.int64)) - len(indices)


def _spread(count: int, most: int) -> NDArray[np.int64]:
    return np.unique(np.linspace(0, count - 1, most).astype(np.int64))
