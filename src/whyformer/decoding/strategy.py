"""Strategy: the part in which the kinds of search differ.

G searches still running · C candidates of a search · R rows, a live hypothesis each · V vocabulary
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

from torch import Tensor

from whyformer.decoding.hypothesis import Candidates, Prefixes, Searches
from whyformer.decoding.scorer import Scorer


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
    """Ranks finished hypotheses."""

    @abstractmethod
    def choose(self, scores: Tensor, prefixes: Prefixes, searches: Searches) -> Candidates:
        """Candidates (G,C) to extend ``prefixes`` (R) of ``searches`` (G) by, each search having R/G rows.

        ``scores`` (R,V) are the model's log-probabilities, -inf where a token is forbidden. Whatever C is,
        a search in which ``width`` hypotheses can live on must keep as many that do not end here.
        """
