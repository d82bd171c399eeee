"""Batches of sentences and their order: a pure function of (seed, epoch)."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from whyformer.progress import progress
from whyformer.spec import Spec

Lengths = NDArray[np.integer[Any]]
"""Tokens of examples, special tokens included; (examples, sides) unless it says otherwise."""


class BatchingSpec(Spec):
    """Grouping of training sentences."""

    tokens: int = Field(default=4096, ge=1)
    """Budget of one batch: rows × longest sentence, of the longer side, padding included."""
    accumulate: int = Field(default=1, ge=1)
    """Batches whose gradients are summed for one step of the optimizer; ranks share them out, so that
    a step is the same for any number of ranks up to this."""


def plan_batches(lengths: Lengths, budget: int, *, seed: int, epoch: int) -> list[NDArray[np.int64]]:
    """The batches of one epoch, as arrays of sentence indices; however many ranks share them.

    Sentences are sorted by length, ties in random order, cut into batches under the ``budget`` of
    tokens, and the batches are shuffled.

    Args:
        lengths: (sentences, sides) number of tokens, special tokens included.
        budget: maximum number of tokens of a batch, padding included, on its longer side.
        seed: of the run.
        epoch: counts from 0; every epoch has its own ties and order.
    """
    random = np.random.default_rng([seed, epoch])
    ties = random.random(len(lengths))
    order = np.lexsort((ties, *lengths.T))
    batches = _cut(lengths.max(axis=1)[order], order, budget)
    random.shuffle(batches)
    return batches


def padding_waste(lengths: Lengths, batches: Sequence[NDArray[np.int64]]) -> float:
    """Share of padding in the cells of all ``batches``, on all sides; ``lengths`` are (sentences, sides)."""
    cells = sum(len(batch) * lengths[batch].max(axis=0).sum() for batch in batches)
    real = sum(lengths[batch].sum() for batch in batches)
    return 1.0 - float(real) / float(cells) if cells else 0.0


def _cut(longer: Lengths, order: NDArray[np.int64], budget: int) -> list[NDArray[np.int64]]:
    batches: list[NDArray[np.int64]] = []
    first = 0
    while first < len(order):
        # No batch has more rows than fit if all were as short as its first.
        rows = budget // max(1, int(longer[first])) + 1
        longest = np.maximum.accumulate(longer[first : first + rows].astype(np.int64))
        cells = longest * np.arange(1, len(longest) + 1)
        fit = max(1, int(np.searchsorted(cells, budget, side="right")))
        batches.append(order[first : first + fit])
        first += fit
    return batches


def length_batches(lengths: Sequence[int], rows: int) -> list[list[int]]:
    """Indices of ``lengths`` in batches of ``rows``, longest first; equal lengths keep their order.

    Sentences of like length waste little padding, and a batch that does not fit into memory is the first.

    >>> length_batches([3, 9, 3, 5], rows=2)
    [[1, 3], [0, 2]]
    """
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    return [order[start : start + rows] for start in range(0, len(order), rows)]


Result = TypeVar("Result")


def map_by_length(
    work: Callable[[list[int]], Iterable[Result]],
    lengths: Sequence[int],
    rows: int,
    advance: Callable[[int], None] | None = None,
) -> list[Result]:
    """The results of ``work`` for every item, in the items' order.

    Args:
        work: makes of a batch's indices one result each.
        lengths: of the items; those of like length share a batch (see ``length_batches``).
        rows: items of a batch.
        advance: told after each batch how many items it had; else whoever hears of progress is.
    """
    results: dict[int, Result] = {}
    shown = progress("reading", len(lengths), "texts") if advance is None else nullcontext(advance)
    with shown as done:
        for indices in length_batches(lengths, rows):
            results.update(zip(indices, work(indices), strict=True))
            done(len(indices))
    return [results[index] for index in range(len(lengths))]
