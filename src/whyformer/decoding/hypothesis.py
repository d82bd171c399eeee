"""Hypotheses: those that a search returns, and the many it carries along as tensors.

G searches still running · C candidates of a search · R rows, a live hypothesis each · T tokens so far
S source length
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from whyformer.special_tokens import EOS


@dataclass(frozen=True)
class Hypothesis:
    """One answer of a search."""

    tokens: tuple[int, ...]
    """Token ids, without BOS and EOS."""
    score: float
    """Number that hypotheses are ranked by: the log-probability after length and coverage penalty, or how
    much each is expected to agree with the truth."""
    log_probability: float
    """Ln P(tokens, EOS | source) as the model has it, whatever a search forbade or sharpened."""
    token_log_probabilities: tuple[float, ...]
    """Its summands, a token each; the last is that of EOS if ``finished``."""
    finished: bool
    """False if the length limit came before EOS."""


@dataclass(frozen=True)
class Searches:
    """The searches still running: every field is (G,) int64."""

    index: Tensor
    """Index among all searches."""
    number: Tensor
    """Index of the sentence in the caller's data."""
    sample: Tensor
    """Index among the sentence's searches; only sampling has several."""
    longest: Tensor
    """Maximum number of target tokens, EOS included."""

    def __len__(self) -> int:
        """Number of searches, G."""
        return len(self.index)

    def __getitem__(self, kept: Tensor) -> "Searches":
        """The searches that are ``kept`` (G,) bool."""
        return Searches(self.index[kept], self.number[kept], self.sample[kept], self.longest[kept])


@dataclass(frozen=True)
class Candidates:
    """Extensions of prefixes: every field is (G,C), best first in each search, or flat after a selection."""

    parent: Tensor
    """The row that is extended, int64."""
    token: Tensor
    """The token that extends it, int64."""
    log_probability: Tensor
    """Log-probability of the token, given the row's prefix."""
    total: Tensor
    """Log-probability of the whole hypothesis; -inf marks what is no candidate at all."""

    def __getitem__(self, kept: Tensor) -> "Candidates":
        """The candidates that are ``kept``: bool, (G,) for whole searches, (G,C) to flatten."""
        return Candidates(self.parent[kept], self.token[kept], self.log_probability[kept], self.total[kept])

    def ended(self, width: int) -> Tensor:
        """Mask (G,C) of those that end here and are among the ``width`` best of their search."""
        ended = self.token == EOS
        ended[:, width:] = False
        return ended

    def living(self, width: int) -> "Candidates":
        """The ``width`` best of each search that do not end here, (G,width); -inf where there are fewer."""
        total = self.total.masked_fill(self.token == EOS, -torch.inf)
        if total.shape[1] == 1:  # nothing to choose from
            return replace(self, total=total)
        total, order = total.sort(dim=1, descending=True, stable=True)
        total, order = total[:, :width], order[:, :width]
        return Candidates(
            self.parent.gather(1, order),
            self.token.gather(1, order),
            self.log_probability.gather(1, order),
            total,
        )


@dataclass(frozen=True)
class Prefixes:
    """The live hypotheses, a row each; rows of one search stand together."""

    tokens: Tensor
    """(R,T) int64, without BOS."""
    log_probabilities: Tensor
    """(R,T) float32, a token each."""
    total: Tensor
    """(R,) float32, their sum."""
    coverage: Tensor
    """(R,S) float32, the attention that each source position has got; S is 0 if nobody watches."""

    @staticmethod
    def empty(covered: Tensor) -> "Prefixes":
        """Prefixes of no tokens; source positions ``covered`` (R,S) bool need no attention any more."""
        rows = covered.shape[0]
        tokens = torch.zeros(rows, 0, dtype=torch.int64, device=covered.device)
        total = torch.zeros(rows, device=covered.device)
        return Prefixes(tokens, log_probabilities=tokens.float(), total=total, coverage=covered.float())

    def cover(self, attention: Tensor) -> "Prefixes":
        """The same after one step's ``attention`` (R,S)."""
        return replace(self, coverage=self.coverage + attention)

    def grow(self, candidates: Candidates) -> "Prefixes":
        """The prefixes extended by ``candidates``, a row each."""
        parent = candidates.parent.flatten()
        # (R,T) -> (R',T+1)
        return Prefixes(
            torch.cat([self.tokens[parent], candidates.token.view(-1, 1)], dim=1),
            torch.cat([self.log_probabilities[parent], candidates.log_probability.view(-1, 1)], dim=1),
            candidates.total.flatten(),
            self.coverage[parent],
        )
