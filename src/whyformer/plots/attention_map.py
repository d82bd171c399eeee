"""The attention of one layer for one sentence, as plain data.

Q query length · K key length · H heads
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

AttentionKind = Literal["encoder self", "decoder self", "cross"]


@dataclass(frozen=True, eq=False)
class AttentionMap:
    """The attention weights of one layer for one sentence, without padding.

    Raises:
        ValueError: the weights are not (H, Q, K) for Q queries and K keys, or leave 0..1.
    """

    place: AttentionKind
    layer: int
    """Counted from 0; shown from 1."""
    weights: npt.ArrayLike
    """(H, Q, K); each row over K sums to 1, or to 0 where a query may see no key."""
    queries: Sequence[str]
    """The Q tokens that read."""
    keys: Sequence[str]
    """The K tokens that are read."""

    def __post_init__(self) -> None:
        weights, lengths = self.array(), (len(self.queries), len(self.keys))
        if weights.ndim != 3 or weights.shape[1:] != lengths or 0 in weights.shape:
            raise ValueError(
                f"{self.place}, layer {self.layer}: weights of shape {weights.shape} do not fit "
                f"{lengths[0]} queries and {lengths[1]} keys; give (heads, queries, keys), none of them 0."
            )
        # Half precision may round a weight to a little more than 1; NaN fails both comparisons.
        if not ((weights >= 0) & (weights <= 1.001)).all():
            raise ValueError(f"{self.place}, layer {self.layer}: attention weights must lie in 0..1.")

    def array(self) -> npt.NDArray[np.float64]:
        """Return the weights as an array (H, Q, K)."""
        return np.asarray(self.weights, dtype=np.float64)
