"""Word translation probabilities: IBM model 1 of Brown et al. 1993, from pairs of sentences.

P pairs · C cells: all (source piece, target piece) of all pairs · K kinds of cells: different ones
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whyformer.special_tokens import PAD

Ids = Sequence[Sequence[int]]
"""Sentences as token ids, without BOS and EOS."""

_ROUNDS = 5
"""Of expectation and maximisation."""
_MOST_PAIRS = 200_000
"""Pairs that are looked at, as all their cells lie in memory."""


@dataclass(frozen=True)
class WordTranslations:
    """Probabilities t(target | source) of the target pieces that stood in a sentence opposite a source piece.

    By source, and for one source from the likeliest target on; of equals the lower id comes first.
    """

    source: NDArray[np.int64]
    """(K,) ids; PAD stands for no word at all, from which any target piece may come."""
    target: NDArray[np.int64]
    """(K,) ids."""
    probability: NDArray[np.float64]
    """(K,)"""

    @property
    def rank(self) -> NDArray[np.int64]:
        """(K,) place of each among those of its source piece, from 0."""
        first = np.flatnonzero(np.diff(self.source, prepend=-1))
        return np.arange(len(self.source)) - np.repeat(first, np.diff(first, append=len(self.source)))


def word_translations(sources: Ids, targets: Ids, rounds: int = _ROUNDS) -> WordTranslations:
    """IBM model 1 (Brown et al. 1993, section 4.1) of pairs, after ``rounds`` of EM from equal probabilities.

    Every target piece comes from one source piece of its sentence, or from no word, whatever stands beside
    it; so the likelihood has one maximum. Of more than 200,000 pairs evenly spread ones are looked at.

    Args:
        sources: (P) sentences.
        targets: (P) translations.
        rounds: passes over the pairs.
    """
    chosen = np.unique(np.linspace(0, len(sources) - 1, min(len(sources), _MOST_PAIRS)).astype(np.int64))
    pairs = [(sources[at], targets[at]) for at in chosen.tolist() if sources[at] and targets[at]]
    source, target, first = _cells([pair[0] for pair in pairs], [pair[1] for pair in pairs])
    width = int(target.max(initial=0)) + 1
    # One number for each kind of cell; the cells then say which kind they are.
    kinds, kind = np.unique(source * width + target, return_inverse=True)
    kind_source, kind_target = np.divmod(kinds, width)
    probability = np.ones(len(kinds))
    sizes = np.diff(first, append=len(kind))
    for _ in range(rounds if len(kinds) else 0):
        # How likely each target piece comes from each of its sentence's source pieces: equation 17 there.
        share = probability[kind]
        share /= np.repeat(np.add.reduceat(share, first), sizes)
        counts = np.bincount(kind, weights=share, minlength=len(kinds))
        probability = counts / np.bincount(kind_source, weights=counts)[kind_source]
    order = np.lexsort((kind_target, -probability, kind_source))
    return WordTranslations(kind_source[order], kind_target[order], probability[order])


def _cells(sources: Ids, targets: Ids) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Source and target ids (C,) of all cells, target position by target position, and where each begins."""
    # No word stands in front of every source.
    read = [np.array([PAD, *source]) for source in sources]
    written = [np.array(target) for target in targets]
    lengths = np.array([len(each) for each in read], dtype=np.int64)
    begins = np.cumsum(lengths) - lengths
    pair = np.repeat(np.arange(len(read)), [len(each) for each in written])
    size = lengths[pair]
    first = np.cumsum(size) - size
    within = np.arange(int(size.sum())) - np.repeat(first, size)
    flat = [np.concatenate([np.empty(0, dtype=np.int64), *side]) for side in (read, written)]
    return flat[0][np.repeat(begins[pair], size) + within], np.repeat(flat[1], size), first
