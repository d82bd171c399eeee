"""Strategy: the part in which the kinds of search differ.

G searches still running · C candidates of a search · R rows, a live hypothesis each · V vocabulary
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor

from whyformer.decoding.hypothesis import Candidates, Hypothesis, Prefixes, Searches
from whyformer.decoding.ranking.order import ByScore, RankingSpec
from whyformer.decoding.ranking.scorer import Scorer


@dataclass(frozen=True, kw_only=True)
class Strategy(ABC):
    """Steers the search loop."""

    width: int = 1
    """Maximum number of live hypotheses of a search."""
    n_best: int = 1
    """Maximum number of hypotheses that a search returns."""
    samples: int = 1
    """Searches of one sentence."""
    scorer: Scorer = field(default_factory=Scorer)
    """Scores finished hypotheses."""
    ranking: RankingSpec = field(default_factory=ByScore)
    """Orders those that a search has kept."""
    enough: int | None = None
    """Finished hypotheses with which a search is over; None where their number says nothing."""

    @property
    def kept(self) -> int:
        """Maximum number of finished hypotheses that a search keeps until its end."""
        return self.width if self.ranking.compares else self.n_best

    def best(self, found: Sequence[Hypothesis]) -> list[Hypothesis]:
        """The hypotheses to return of those ``found`` by a sentence's searches, the highest score first."""
        return self.ranking.ranked(found)[: self.n_best * self.samples]

    @abstractmethod
    def choose(self, scores: Tensor, prefixes: Prefixes, searches: Searches) -> Candidates:
        """Candidates (G,C) to extend ``prefixes`` (R) of ``searches`` (G) by, each search having R/G rows.

        ``scores`` (R,V) are the model's log-probabilities, -inf where a token is forbidden. Whatever C is,
        a search in which ``width`` hypotheses can live on must keep as many that do not end here.
        """
