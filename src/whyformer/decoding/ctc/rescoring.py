"""Rescoring: hypotheses of a search ranked again with what attention decoders think of them."""

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from pydantic import Field

from whyformer.decoding.ctc.search import CTCHypothesis
from whyformer.spec import Spec


class RescoredHypothesis(NamedTuple):
    """A hypothesis and its scores, all log-probabilities."""

    hypothesis: CTCHypothesis
    """As the search found it, with the score of its alignments."""
    total: float
    """Number that hypotheses are ranked by."""
    left_to_right: float
    """Sum over its symbols and the end, each given those before."""
    right_to_left: float | None
    """Sum over its symbols and the end, each given those behind; None without such a decoder."""


class RescoringSpec(Spec):
    """Weights of the scores: total = (1 - r)·L2R + r·R2L + w·CTC."""

    origin: ClassVar[str] = (
        "U2 (Zhang et al. 2020, arXiv 2012.05481); U2++ (Wu et al. 2021, arXiv 2106.05642)"
    )
    candidates: int = Field(default=8, ge=1)
    """Hypotheses of the search that are scored again."""
    ctc: float = Field(default=0.5, ge=0.0)
    """Weight w of the score over alignments."""
    reverse: float = Field(default=0.0, ge=0.0, le=1.0)
    """Weight r of the decoder from right to left, which has to be there if this is above 0."""

    def rank(
        self,
        hypotheses: Sequence[CTCHypothesis],
        left_to_right: Sequence[float],
        right_to_left: Sequence[float] | None = None,
    ) -> list[RescoredHypothesis]:
        """The ``hypotheses`` with their new scores, best first; of equal ones in their old order.

        Raises:
            ValueError: scores are missing.
        """
        if right_to_left is None and self.reverse > 0.0:
            raise ValueError(
                f"reverse is {self.reverse}, but the model has no decoder from right to left; set it to 0"
            )
        backward = [None] * len(hypotheses) if right_to_left is None else right_to_left
        found = [
            RescoredHypothesis(each, self._total(each.score, left, right), left, right)
            for each, left, right in zip(hypotheses, left_to_right, backward, strict=True)
        ]
        return sorted(found, key=lambda each: -each.total)

    def _total(self, ctc: float, left: float, right: float | None) -> float:
        decoders = left if right is None else (1.0 - self.reverse) * left + self.reverse * right
        return decoders + self.ctc * ctc
