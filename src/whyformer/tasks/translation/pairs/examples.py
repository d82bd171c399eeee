"""Training pairs as token ids: in memory, or in a store."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

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
    def lengths(self) -> Lengths:
        """(pairs, 2) number of tokens of source and target, BOS and EOS included."""
        ...

    @property
    def overlong(self) -> int:
        """Number of pairs that were left out, as too long for the model."""
        ...

    def ids(self, index: int) -> tuple[list[int], list[int]]:
        """Token ids of source and target, BOS and EOS left out."""
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

    def target_counts(self) -> NDArray[np.int64]:
        """How often each token stands in targets, EOS included."""
        return np.bincount(np.concatenate([np.array([*target, EOS]) for target in self.targets]))


class StoredPairs:
    """Pairs in a store; of them only lengths are in memory."""

    def __init__(self, store: TokenStore, longest: int) -> None:
        """Leave out the pairs that have more than ``longest`` tokens on a side."""
        self._store = store
        # In place and in the store's own type: a hundred million pairs take 400 MB so.
        self.lengths: Lengths = store.lengths + np.array(_SPECIAL, dtype=store.lengths.dtype)
        fits = np.ones(len(store), dtype=np.bool_)
        for start in range(0, len(store), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            fits[part] = self.lengths[part].max(axis=1) <= longest
        self.overlong = len(store) - int(fits.sum())
        self._kept = np.flatnonzero(fits).astype(np.uint32 if len(store) < 1 << 32 else np.int64)
        self._dropped = np.flatnonzero(~fits)
        if self.overlong:
            self.lengths = self.lengths[self._kept]

    def ids(self, index: int) -> tuple[list[int], list[int]]:
        """Token ids of source and target."""
        source, target = self._store.ids(int(self._kept[index]))
        return source, target

    def target_counts(self) -> NDArray[np.int64]:
        """How often each token stands in targets, EOS included."""
        counts = self._store.counts[1]
        for index in self._dropped.tolist():
            ids = np.array(self._store.ids(index)[1], dtype=np.int64)
            counts -= np.bincount(ids, minlength=len(counts))
        counts[EOS] += len(self.lengths)
        return counts
