"""Permutations of any size without an array: where a place goes is computed for it alone.

A Feistel network permutes the places of a rectangle that is hardly larger, rows by columns; what it sends
beyond the size is sent on until it falls below (Black and Rogaway 2002, sections 4 and 5).

N places
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_ROUNDS = 6
GOLDEN = 0x9E3779B97F4A7C15
"""Step between keys that are then finalised: SplitMix64's."""


def finalised(keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Each of ``keys`` with all its bits mixed: the finaliser of SplitMix64.

    Steele, Lea and Flood 2014, figure 16.
    """
    with np.errstate(over="ignore"):
        keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return keys ^ (keys >> np.uint64(31))


def key_of(numbers: Sequence[int]) -> np.uint64:
    """One key of several numbers, such that neighbours share nothing."""
    return np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0]


def permuted(
    places: NDArray[np.int64], sizes: NDArray[np.int64], keys: NDArray[np.uint64]
) -> NDArray[np.int64]:
    """Where each place (N,) goes in the permutation of ``sizes`` (N,) places that its key (N,) names.

    Args:
        places: each from 0 and below its size.
        sizes: of the permutations; those of one key have one size.
        keys: names of the permutations.
    """
    found, bounds = places.astype(np.uint64), sizes.astype(np.uint64)
    rows = np.ceil(np.sqrt(bounds)).astype(np.uint64)
    columns = (bounds + rows - np.uint64(1)) // rows
    left = np.arange(len(found))
    while len(left):
        found[left] = _network(found[left], rows[left], columns[left], keys[left])
        left = left[found[left] >= bounds[left]]
    return found.astype(np.int64)


def _network(
    places: NDArray[np.uint64],
    rows: NDArray[np.uint64],
    columns: NDArray[np.uint64],
    keys: NDArray[np.uint64],
) -> NDArray[np.uint64]:
    """The permutation of all places of a rectangle."""
    row, column = np.divmod(places, columns)
    for number in range(0, _ROUNDS, 2):
        row = (row + _drawn(column, keys, number) % rows) % rows
        column = (column + _drawn(row, keys, number + 1) % columns) % columns
    return row * columns + column


def _drawn(numbers: NDArray[np.uint64], keys: NDArray[np.uint64], number: int) -> NDArray[np.uint64]:
    with np.errstate(over="ignore"):
        return finalised(finalised(numbers + np.uint64((number + 1) * GOLDEN % 2**64)) ^ keys)
