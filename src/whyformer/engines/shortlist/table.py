"""The table of a shortlist: for each source piece the target pieces that translations of it are made of.

B batch · S source length · V target vocabulary · W source vocabulary · N frequent pieces · E entries
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from whyformer.engines.shortlist.lists import SentenceLists
from whyformer.engines.shortlist.word_translation import Ids, word_translations
from whyformer.special_tokens import NAMES, UNK

_SPECIAL = range(len(NAMES))


@dataclass(frozen=True, eq=False)
class ShortlistTable:
    """Target pieces by source piece, the frequent ones, and how often each source piece was trained on.

    A sentence's list: all special tokens, the frequent pieces, those of each of its source pieces, and where
    both sides share a vocabulary its source pieces themselves, as names stay what they are. A sentence with a
    piece that was trained on less than ``rare`` times has no list and takes the whole vocabulary: the table
    knows too little of it. That rule is cheap and proves nothing; see ``ShortlistSearch``.
    """

    first: NDArray[np.int64]
    """(W+1,) where the targets of each source piece begin."""
    target: NDArray[np.int64]
    """(E,) ids, best first for each source piece."""
    frequent: NDArray[np.int64]
    """(N,) ids."""
    counts: NDArray[np.int64]
    """(W,) times each source piece stood in training; 0 also for unknown text and pieces of single bytes."""
    rare: int
    """Count below which a source piece is rare."""
    vocabulary: int
    """Number of target pieces, V."""
    joint: bool
    """Whether source and target share one vocabulary."""

    def takes_all(self, source: Tensor, real: Tensor) -> Tensor:
        """Mask (B,) of the sentences of ``source`` (B,S), tokens ``real`` (B,S), that have no list."""
        pieces = source.cpu().numpy()
        is_rare = np.append(self.counts < self.rare, True)
        is_rare[list(_SPECIAL)] = False
        is_rare[UNK] = self.rare > 0
        # An id of another vocabulary is as rare as one can be.
        known = np.where((pieces >= 0) & (pieces < len(self.counts)), pieces, len(self.counts))
        return torch.from_numpy((is_rare[known] & real.cpu().numpy()).any(axis=1))

    def lists(self, source: Tensor, real: Tensor, common: Sequence[int]) -> SentenceLists:
        """The list of each sentence of ``source`` (B,S), tokens ``real`` (B,S); all begin by ``common``."""
        return SentenceLists.of(self.listed(source, real), common)

    def listed(self, source: Tensor, real: Tensor) -> NDArray[np.bool_]:
        """Mask (B,V) of the target pieces in each sentence's list, as in ``lists``; by the table alone."""
        sentence, _ = np.nonzero(mask := real.cpu().numpy())
        piece = source.cpu().numpy()[mask]
        count = self.first[piece + 1] - self.first[piece]
        within = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
        listed = np.zeros((len(mask), self.vocabulary), dtype=np.bool_)
        listed[:, [*_SPECIAL, *self.frequent]] = True
        listed[np.repeat(sentence, count), self.target[np.repeat(self.first[piece], count) + within]] = True
        if self.joint:
            listed[sentence, piece] = True
        return listed


@dataclass(frozen=True, eq=False)
class ShortlistData:
    """Facts of training pairs that tables of any size are cut from."""

    source: NDArray[np.int64]
    """(E,) source pieces in their order."""
    target: NDArray[np.int64]
    """(E,) what they are translated into, best first."""
    rank: NDArray[np.int64]
    """(E,) place of each among those of its source piece."""
    order: NDArray[np.int64]
    """(V,) target pieces, most frequent first."""
    counts: NDArray[np.int64]
    """As in ``ShortlistTable``."""
    joint: bool
    """As in ``ShortlistTable``."""

    @staticmethod
    def of(
        sources: Ids,
        targets: Ids,
        vocabularies: tuple[int, int],
        *,
        joint: bool,
        written: Ids = (),
        unreliable: Sequence[int] = (),
    ) -> "ShortlistData":
        """The facts of pairs; see ``word_translations`` for them.

        Args:
            sources: sentences, as ids.
            targets: their translations.
            vocabularies: number of source and of target pieces.
            joint: whether both are one vocabulary.
            written: other translations of the same sources, such as a model's own; none if empty.
            unreliable: source pieces that say little of what they stand for, such as single bytes.
        """
        counts = _counted(sources, vocabularies[0])
        counts[[UNK, *unreliable]] = 0
        words = word_translations([*sources, *sources[: len(written)]], [*targets, *written])
        order = np.argsort(-_counted(targets, vocabularies[1]), kind="stable")
        return ShortlistData(words.source, words.target, words.rank, order, counts, joint)

    def table(self, frequent: int, each: int, rare: int) -> ShortlistTable:
        """The table of the ``frequent`` most frequent pieces and the best ``each`` of every source piece."""
        kept = self.rank < each
        first = np.searchsorted(self.source[kept], np.arange(len(self.counts) + 1))
        return ShortlistTable(
            first.astype(np.int64),
            self.target[kept],
            self.order[:frequent],
            self.counts,
            rare,
            len(self.order),
            self.joint,
        )


def _counted(sentences: Ids, vocabulary: int) -> NDArray[np.int64]:
    flat = np.concatenate([np.array(each, dtype=np.int64) for each in sentences])
    return np.bincount(flat, minlength=vocabulary).astype(np.int64)
