"""Greedy search: always the likeliest token.

G searches still running, a row each · V vocabulary
"""

from typing import ClassVar, Literal

import torch
from torch import Tensor

from whyformer.decoding.constraints import ConstraintsSpec
from whyformer.decoding.hypothesis import Candidates, Prefixes, Searches
from whyformer.decoding.ranking.highest import highest
from whyformer.decoding.strategy import Strategy


class GreedySpec(ConstraintsSpec):
    """The likeliest token at each step: what a beam of 1 without penalties finds, in less time."""

    origin: ClassVar[str] = "the limit of both others"
    kind: Literal["greedy"] = "greedy"

    def build(self) -> "Greedy":
        """The strategy."""
        return Greedy()


class Greedy(Strategy):
    """Takes the likeliest token; of equal ones that with the lowest id."""

    def choose(self, scores: Tensor, prefixes: Prefixes, searches: Searches) -> Candidates:
        """One candidate per search, (G,1)."""
        # (G,V) -> (G,1)
        log_probability, token = highest(scores, 1)
        parent = torch.arange(len(searches), device=scores.device)[:, None]
        return Candidates(parent, token, log_probability, prefixes.total[:, None] + log_probability)
