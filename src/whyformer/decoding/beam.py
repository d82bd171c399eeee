"""Beam search: the best few prefixes of each length live on.

G searches still running · W live hypotheses of a search · R = G·W rows · N best tokens of a row
C candidates of a search · V vocabulary
"""

from typing import ClassVar, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor

from whyformer.decoding.constraints import ConstraintsSpec
from whyformer.decoding.hypothesis import Candidates, Prefixes, Searches
from whyformer.decoding.ranking.highest import highest
from whyformer.decoding.ranking.order import ByScore, RankingSpec
from whyformer.decoding.ranking.scorer import Scorer
from whyformer.decoding.stopping_rules import Bound, StoppingSpec
from whyformer.decoding.strategy import Strategy


class BeamSpec(ConstraintsSpec):
    """Follow the likeliest prefixes side by side, ranked by length and coverage.

    Each prefix is extended by every token. Of all extensions in a search, the ``size`` likeliest count:
    those with EOS are finished. The ``size`` likeliest without it live on. Penalties and the
    ranking only order what is finished. The defaults are those of Vaswani et al. 2017, section 6.1.
    """

    origin: ClassVar[str] = "Wu et al. 2016, equation 14"
    kind: Literal["beam"] = "beam"
    size: int = Field(default=4, ge=1)
    """Maximum number of hypotheses alive at a time."""
    n_best: int = Field(default=1, ge=1)
    """Maximum number of hypotheses to return. The first of them does not depend on it."""
    length_penalty: float = Field(default=0.6, ge=0)
    """Power alpha of the length penalty; 0 ranks by log-probability alone, which favours the short."""
    coverage_penalty: float = Field(default=0.0, ge=0)
    """Weight beta of the coverage penalty, 0 for none. Needs a model that attends to its source."""
    ranking: RankingSpec = ByScore()
    """Order of the hypotheses that are found; one that compares them lets a search find ``size`` of them."""
    stopping: StoppingSpec = Bound()
    """Rule by which a search is over."""

    @model_validator(mode="after")
    def _finds_enough(self) -> "BeamSpec":
        if self.n_best > self.size:
            raise ValueError(f"n_best is {self.n_best}, more than the beam's size {self.size}; raise size")
        return self

    def build(self) -> "Beam":
        """The strategy."""
        scorer = Scorer(alpha=self.length_penalty, beta=self.coverage_penalty)
        return Beam(
            width=self.size,
            n_best=self.n_best,
            scorer=scorer,
            ranking=self.ranking,
            enough=self.stopping.enough(self.size),
        )


class Beam(Strategy):
    """Takes the likeliest extensions of a search, of equal ones that of the better prefix."""

    def choose(self, scores: Tensor, prefixes: Prefixes, searches: Searches) -> Candidates:
        """Candidates (G,C), C twice the width: a row has one that ends, so that enough live on."""
        count, running = 2 * self.width, len(searches)
        # No extension is among the best of its search but not of its row: (R,V) -> (R,N)
        log_probability, token = highest(scores, count)
        # (R,N) -> (G,W·N) -> (G,C)
        total = (prefixes.total[:, None] + log_probability).view(running, -1)
        total, place = total.sort(dim=1, descending=True, stable=True)
        total, place = total[:, :count], place[:, :count]
        first_row = torch.arange(0, len(scores), len(scores) // running, device=scores.device)[:, None]
        return Candidates(
            parent=first_row + place // token.shape[1],
            token=token.view(running, -1).gather(1, place),
            log_probability=log_probability.view(running, -1).gather(1, place),
            total=total,
        )
