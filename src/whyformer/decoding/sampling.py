"""Sampling: tokens drawn by their probability.

G searches still running, a row each · N tokens to draw from · V vocabulary
"""

from dataclasses import dataclass
from hashlib import blake2b
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from whyformer.decoding.constraints import ConstraintsSpec
from whyformer.decoding.hypothesis import Candidates, Prefixes, Searches
from whyformer.decoding.ranking.highest import highest
from whyformer.decoding.strategy import Strategy


class SamplingSpec(ConstraintsSpec):
    """Draw each token from the model's distribution, cut and sharpened.

    In this order, with probabilities renormalised after each: what is forbidden, ``temperature``,
    ``top_k``, ``top_p``.
    """

    origin: ClassVar[str] = "Fan et al. 2018, section 5.4; Holtzman et al. 2020, section 3.1"
    kind: Literal["sampling"] = "sampling"
    temperature: float = Field(default=1.0, gt=0)
    """Divides the logits: below 1 sharpens, above 1 flattens. For its limit 0 use ``kind: greedy``."""
    top_k: int | None = Field(default=None, ge=1)
    """Draw from this many likeliest tokens only (Fan et al. 2018, section 5.4)."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    """Draw from the fewest likeliest tokens that together reach this probability; 1 draws from all
    (Holtzman et al. 2020, section 3.1)."""
    samples: int = Field(default=1, ge=1)
    """Hypotheses to draw for each sentence, independently; they are returned likeliest first."""
    seed: int = 0
    """Seed of every draw, together with the sentence's index."""

    def build(self) -> "Sampling":
        """The strategy."""
        return Sampling(
            temperature=self.temperature,
            top_k=self.top_k,
            top_p=self.top_p,
            seed=self.seed,
            samples=self.samples,
        )


@dataclass(frozen=True, kw_only=True)
class Sampling(Strategy):
    """Draws one token per search."""

    temperature: float
    top_k: int | None
    top_p: float
    seed: int

    def choose(self, scores: Tensor, prefixes: Prefixes, searches: Searches) -> Candidates:
        """One candidate per search, (G,1)."""
        # (G,V) -> (G,N), likeliest first if something is to be cut off
        if self.top_k is not None:
            kept, tokens = highest(scores, self.top_k)
        elif self.top_p < 1:
            kept, tokens = scores.sort(dim=1, descending=True, stable=True)
        else:
            kept, tokens = scores, torch.arange(scores.shape[1], device=scores.device).expand_as(scores)
        probabilities = (kept / self.temperature).softmax(dim=1)
        if self.top_p < 1:
            probabilities = nucleus(probabilities, self.top_p)
        # (G,N) -> (G,1)
        token = tokens.gather(1, draw(probabilities, self._uniform(searches, prefixes.tokens.shape[1])))
        log_probability = scores.gather(1, token)
        parent = torch.arange(len(searches), device=scores.device)[:, None]
        return Candidates(parent, token, log_probability, prefixes.total[:, None] + log_probability)

    def _uniform(self, searches: Searches, position: int) -> Tensor:
        """Numbers (G,1), uniform in (0,1]: hashes, so that no draw depends on any other or on the device."""
        names = zip(searches.number.tolist(), searches.sample.tolist(), strict=True)
        hashes = [
            blake2b(f"{self.seed} {number} {sample} {position}".encode(), digest_size=8).digest()
            for number, sample in names
        ]
        shares = [(int.from_bytes(digest) + 1) / 2**64 for digest in hashes]
        return torch.tensor(shares, device=searches.number.device)[:, None]


def nucleus(probabilities: Tensor, share: float) -> Tensor:
    """Zero all but the fewest leading ``probabilities`` (G,N), sorted, that sum to at least ``share``."""
    cumulative = probabilities.cumsum(dim=1)
    before = torch.cat([torch.zeros_like(cumulative[:, :1]), cumulative[:, :-1]], dim=1)
    return probabilities.masked_fill(before >= share, 0.0)


def draw(probabilities: Tensor, uniform: Tensor) -> Tensor:
    """Places (G,1), drawn by ``probabilities`` (G,N), whose sum may fall short of 1, and ``uniform`` (G,1).

    It is the first place at which the cumulative sum reaches a uniform part of the whole. What has
    probability 0 is never drawn, however sums are rounded: its entry is set to 0, which reaches nothing.
    """
    cumulative = probabilities.cumsum(dim=1).masked_fill(probabilities == 0, 0.0)
    reached = cumulative >= uniform * cumulative.amax(dim=1, keepdim=True)
    # Of equal values argmax takes the first.
    return reached.byte().argmax(dim=1, keepdim=True)
