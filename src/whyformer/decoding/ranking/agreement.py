"""Agreement of token sequences with one another: how many n-grams they share.

H sequences · G different n-grams of any of them
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_LONGEST = 4
"""Tokens of the longest n-grams that count."""


def reference_agreement(one: Sequence[int], other: Sequence[int]) -> float:
    """The definition, the GLEU of Wu et al. 2016, section 5: n-grams in both, of those in the longer.

    That is the lesser of precision and recall of all n-grams of 1 to 4 tokens together, from 0 to 1, the same
    whichever is the reference. Two empty sequences agree.
    """
    counts = [Counter(_ngrams(sequence)) for sequence in (one, other)]
    most = max(count.total() for count in counts)
    return (counts[0] & counts[1]).total() / most if most else 1.0


def agreements(sequences: Sequence[Sequence[int]]) -> NDArray[np.float64]:
    """The agreement of each of ``sequences`` (H) with each, (H,H), by one table of all their n-grams."""
    places: dict[tuple[int, ...], int] = {}
    found = [[places.setdefault(ngram, len(places)) for ngram in _ngrams(each)] for each in sequences]
    counts = np.zeros((len(sequences), len(places)), np.int32)
    for row, ngrams in zip(counts, found, strict=True):
        np.add.at(row, ngrams, 1)
    totals = counts.sum(axis=1)
    # (H,1,G) and (1,H,G) -> (H,H)
    shared = np.minimum(counts[:, None], counts[None]).sum(axis=2)
    most = np.maximum(totals[:, None], totals[None])
    return np.where(most > 0, shared / np.maximum(most, 1), 1.0)


def _ngrams(sequence: Sequence[int]) -> list[tuple[int, ...]]:
    return [
        tuple(sequence[start : start + size])
        for size in range(1, _LONGEST + 1)
        for start in range(len(sequence) - size + 1)
    ]
