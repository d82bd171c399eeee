"""Orders of the hypotheses that a search has found.

H hypotheses of a sentence
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from whyformer.decoding.hypothesis import Hypothesis
from whyformer.decoding.ranking.agreement import agreements
from whyformer.spec import Spec


class ByScore(Spec):
    """Rank each hypothesis by its own score."""

    origin: ClassVar[str] = "Wu et al. 2016, section 7"
    compares: ClassVar[bool] = False
    kind: Literal["score"] = "score"

    def ranked(self, found: Sequence[Hypothesis]) -> list[Hypothesis]:
        """``found`` as it is: a search finds them best first."""
        return [*found]


class MinimumBayesRisk(Spec):
    """Rank each hypothesis by how much it is expected to agree with the true one.

    The truth is taken to be one of those that the search has found, with a probability that grows with its
    score. What many of them say in other words then comes before a likely one that stands alone. Agreement
    is the share of common n-grams (GLEU), 1 at most, and its expectation is the new score.
    """

    origin: ClassVar[str] = "Kumar & Byrne 2004, section 2; Wu et al. 2016, section 5"
    compares: ClassVar[bool] = True
    kind: Literal["minimum_bayes_risk"] = "minimum_bayes_risk"
    sharpness: float = Field(default=3.0, ge=0.0)
    """Factor of the scores, in nats, before they become probabilities: 0 believes in all hypotheses alike, a
    large one in the best alone."""

    def ranked(self, found: Sequence[Hypothesis]) -> list[Hypothesis]:
        """``found``, best first: of equals the one that had the higher score before."""
        if not found:
            return []
        scores = np.array([each.score for each in found])
        likely = np.exp(self.sharpness * (scores - scores.max()))
        # (H,H) x (H) -> (H)
        expected = agreements([each.tokens for each in found]) @ (likely / likely.sum())
        best_first = np.argsort(-expected, kind="stable").tolist()
        return [replace(found[place], score=float(expected[place])) for place in best_first]


RankingSpec = Annotated[ByScore | MinimumBayesRisk, Field(discriminator="kind")]
