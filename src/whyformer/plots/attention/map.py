"""The attention of one layer for one sentence, and the tokens that were written, as plain data.

Q query length · K key length · H heads
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

AttentionKind = Literal["encoder self", "decoder self", "cross"]


@dataclass(frozen=True, eq=False)
class AttentionMap:
    """The attention weights of one layer for one sentence, without padding.

    Raises:
        ValueError: the weights are not (H, Q, K) for Q queries and K keys, or leave 0..1; or the written
            tokens are not Q.
    """

    place: AttentionKind
    layer: int
    """Counted from 0; shown from 1."""
    weights: npt.ArrayLike
    """(H, Q, K); each row over K sums to 1, or to 0 where a query may see no key."""
    queries: Sequence[str]
    """The Q tokens whose rows these are: those that the model is fed."""
    keys: Sequence[str]
    """The K tokens that are attended to."""
    written: Sequence[str] | None = None
    """The Q tokens that the rows write, one after each query; None where a row writes nothing."""

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
        if self.written is not None and len(self.written) != len(self.queries):
            raise ValueError(
                f"{self.place}, layer {self.layer}: {len(self.written)} tokens are written by "
                f"{len(self.queries)} queries; give one for each."
            )

    def array(self) -> npt.NDArray[np.float64]:
        """Return the weights as an array (H, Q, K)."""
        return np.asarray(self.weights, dtype=np.float64)


class Alternative(NamedTuple):
    """Another token that could have been written at some place."""

    token: str
    probability: float
    """From 0 to 1."""


class WrittenToken(NamedTuple):
    """A token of the output, given all before it."""

    token: str
    probability: float
    """From 0 to 1."""
    others: Sequence[Alternative] = ()
    """The likeliest tokens besides it, the likeliest first."""


def log_probability(written: Sequence[WrittenToken]) -> str:
    """Return the log-probability of all tokens of an output together, in nats, to three digits.

    >>> log_probability([WrittenToken("a", 0.5), WrittenToken("b", 0.5)])
    '−1.386'
    """
    nats = sum(math.log(token.probability) if token.probability > 0 else -math.inf for token in written)
    return f"{nats:.3f}".replace("-", "−").replace("inf", "∞")


def telling(weights: npt.NDArray[np.float64]) -> float:
    """Return how much a row of the map ``weights`` (Q, K) says about which token it belongs to, in bits.

    It is the mutual information of query and key, with every query equally likely: the entropy of the mean
    row, less the mean entropy of a row. A head that always attends to the end of the sentence is sharp and
    yet has 0.
    """
    return _entropy(weights.mean(axis=0)) - float(np.mean([_entropy(row) for row in weights]))


def _entropy(row: npt.NDArray[np.float64]) -> float:
    positive = row[row > 0]
    return float(-(positive * np.log2(positive)).sum())
