"""Scores that make finished hypotheses of different lengths comparable, and the bound of those still alive.

G searches still running · C candidates of a search · S source length
"""

from dataclasses import dataclass

import torch
from torch import Tensor


def length_penalty(length: Tensor, alpha: float) -> Tensor:
    """lp(Y) = ((5 + |Y|) / 6)^alpha of Wu et al. 2016, equation 14; ``length`` (any shape) counts EOS."""
    # In fp32 torch's powers differ in their last bit by the place of a number among the others.
    exact = torch.float32 if length.device.type == "mps" else torch.float64
    return (((5 + length).to(exact) / 6) ** alpha).float()


def coverage_penalty(coverage: Tensor, beta: float) -> Tensor:
    """cp(X;Y) = beta · sum_i ln min(coverage_i, 1) of Wu et al. 2016, equation 14: at most 0.

    ``coverage`` (…,S) is the attention that each source position got from all target tokens, EOS
    included. A position that got none at all counts as the smallest normal number, not as ln 0.
    """
    smallest = torch.finfo(coverage.dtype).tiny
    return beta * coverage.clamp(smallest, 1.0).log().sum(dim=-1)


@dataclass(frozen=True)
class Scorer:
    """s(Y,X) = ln P(Y|X) / lp(Y) + cp(X;Y), Wu et al. 2016, equation 14. Neither power is below 0."""

    alpha: float = 0.0
    beta: float = 0.0

    def score(self, total: Tensor, length: Tensor, coverage: Tensor) -> Tensor:
        """Scores (G,C) from ``total`` (G,C), ``length`` (G,1) and ``coverage`` (G,C,S)."""
        return total / length_penalty(length, self.alpha) + coverage_penalty(coverage, self.beta)

    def bound(self, total: Tensor, longest: Tensor) -> Tensor:
        """Bound (G,) that no descendant of live hypotheses exceeds, from ``total`` (G,C), ``longest`` (G,).

        Let a live hypothesis have log-probability s, and let Y be any finished descendant of it.

        1. Every further token adds a log-probability of at most 0, so ln P(Y) <= s <= 0. Tokens that are
           forced or forbidden only take descendants away.
        2. |Y| <= longest and alpha >= 0, so 0 < lp(Y) <= lp(longest). A number <= 0 that is divided by
           more comes closer to 0: ln P(Y) / lp(Y) <= ln P(Y) / lp(longest) <= s / lp(longest).
        3. cp <= 0, as beta >= 0 and no logarithm is taken of more than 1.

        Hence s(Y) <= s / lp(longest), and the best s of a search bounds them all. Floating-point sums
        and quotients keep this order, because rounding is monotone. A search whose n best finished
        hypotheses all reach the bound is over: a descendant could at best tie, and of equals the one
        that finished first is kept.
        """
        return total.amax(dim=1) / length_penalty(longest, self.alpha)
