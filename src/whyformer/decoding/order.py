"""In which order sentences are best decoded."""

from collections.abc import Sequence


def length_batches(lengths: Sequence[int], rows: int) -> list[list[int]]:
    """Indices of ``lengths`` in batches of ``rows``, longest first; equal lengths keep their order.

    Sentences of like length waste little padding, and a batch that does not fit into memory is the first.

    >>> length_batches([3, 9, 3, 5], rows=2)
    [[1, 3], [0, 2]]
    """
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    return [order[start : start + rows] for start in range(0, len(order), rows)]
