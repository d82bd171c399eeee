"""Stopping: the best finished hypotheses so far, when no better one can come, and who still wants any.

P searches in all · G searches still running · C candidates of a search · N best, or flags · B batch
"""

from dataclasses import dataclass
from itertools import chain

import torch
from torch import Tensor

from whyformer.decoding.hypothesis import Candidates, Hypothesis, Prefixes, Searches
from whyformer.decoding.strategy import Strategy
from whyformer.errors import DecodingError


class Pool:
    """Keeps the n best hypotheses of each search, of equal scores those that came first."""

    def __init__(self, searches: int, strategy: Strategy, device: torch.device) -> None:
        self._strategy = strategy
        self._kept: list[list[Hypothesis]] = [[] for _ in range(searches)]
        # (P,N), best first
        self._scores = torch.full((searches, strategy.kept), -torch.inf, device=device)
        # (P,) those that are no longer kept count, too
        self._ended = torch.zeros(searches, dtype=torch.int64, device=device)

    def add_finished(self, searches: Searches, candidates: Candidates, prefixes: Prefixes) -> None:
        """Take those ``candidates`` (G,C), extensions of ``prefixes``, that end here."""
        ended = candidates.ended(self._strategy.width)
        if ended.any():
            if self._strategy.enough is not None:
                self._ended[searches.index] += (ended & (candidates.total > -torch.inf)).sum(dim=1)
            self._add(searches.index, ended, candidates, prefixes, finished=True)

    def add_cut_off(self, searches: Searches, living: Candidates, prefixes: Prefixes) -> None:
        """Take ``living`` (G,C), which never ended, for those ``searches`` that found nothing that did.

        Raises:
            DecodingError: nothing lives either, because all that could come next was forbidden.
        """
        empty = self._scores[searches.index, 0] == -torch.inf
        if not empty.any():
            return
        searches, living = searches[empty], living[empty]
        alive = living.total > -torch.inf
        stuck = searches.number[~alive.any(dim=1)].tolist()
        if stuck:
            raise DecodingError(
                f"sentence {stuck[0]}: nothing is allowed to follow the first {prefixes.tokens.shape[1]} "
                "target tokens; ask less of shortest, prefix, forbidden or no_repeat_ngram"
            )
        self._add(searches.index, alive, living, prefixes, finished=False)

    def is_decided(self, searches: Searches, living: Candidates) -> Tensor:
        """Mask (G,) of ``searches`` that ``living`` (G,C) cannot improve (``Scorer.bound``), or need not."""
        strategy = self._strategy
        decided = self._scores[searches.index, -1] >= strategy.scorer.bound(living.total, searches.longest)
        if strategy.enough is None:
            return decided
        return decided | (self._ended[searches.index] >= strategy.enough)

    def best(self) -> list[list[Hypothesis]]:
        """The hypotheses of each sentence, from all of its searches, best first."""
        strategy = self._strategy
        step = strategy.samples
        sentences = (self._kept[start : start + step] for start in range(0, len(self._kept), step))
        return [strategy.best(_ranked([*chain.from_iterable(searches)])) for searches in sentences]

    def _add(
        self, index: Tensor, chosen: Tensor, candidates: Candidates, prefixes: Prefixes, *, finished: bool
    ) -> None:
        """Take the ``chosen`` (G,C) ``candidates`` of searches ``index`` (G,), if they are good enough."""
        length = torch.full_like(index, prefixes.tokens.shape[1] + 1)[:, None]
        scores = self._strategy.scorer.score(candidates.total, length, prefixes.coverage[candidates.parent])
        chosen = chosen & (scores > self._scores[index, -1:])
        # (G,N+C) -> (G,N)
        both = torch.cat([self._scores[index], scores.masked_fill(~chosen, -torch.inf)], dim=1)
        most = self._strategy.kept
        self._scores[index] = both.sort(dim=1, descending=True).values[:, :most]
        owners = index[chosen.nonzero()[:, 0]].tolist()
        entering = _listed(prefixes.grow(candidates[chosen]), scores[chosen], finished)
        for owner, hypothesis in zip(owners, entering, strict=True):
            self._kept[owner] = _ranked([*self._kept[owner], hypothesis])[:most]


def _ranked(hypotheses: list[Hypothesis]) -> list[Hypothesis]:
    return sorted(hypotheses, key=lambda hypothesis: hypothesis.score, reverse=True)


def _listed(prefixes: Prefixes, scores: Tensor, finished: bool) -> list[Hypothesis]:
    rows = zip(
        prefixes.tokens.tolist(),
        scores.tolist(),
        prefixes.total.tolist(),
        prefixes.log_probabilities.tolist(),
        strict=True,
    )
    return [
        Hypothesis(tuple(tokens[:-1] if finished else tokens), score, total, tuple(summands), finished)
        for tokens, score, total, summands in rows
    ]


@dataclass(frozen=True, eq=False)
class Wanted:
    """Flags that a search reads at each step: a sentence whose flag has fallen leaves the batch.

    The others go on as if nothing had happened. What had been found for the sentence comes out, if anything.
    """

    flags: Tensor
    """(N,) bool, on the CPU: True as long as somebody waits. Whoever wants no more sets it to False, once."""
    place: Tensor
    """(B,) int64, on the CPU: the flag of each sentence."""

    @staticmethod
    def by(flags: Tensor) -> "Wanted":
        """Sentences with a flag each."""
        return Wanted(flags, torch.arange(len(flags)))

    def __getitem__(self, sentences: Tensor) -> "Wanted":
        """The same for some ``sentences``, as indices (B',)."""
        return Wanted(self.flags, self.place[sentences])

    def now(self) -> Tensor:
        """Mask (B,) of sentences that are wanted at this moment."""
        return self.flags[self.place]


def still_wanted(wanted: Wanted | None, sentences: list[int]) -> Wanted | None:
    """``wanted`` for some ``sentences``; None stays None, as all are wanted then."""
    return None if wanted is None else wanted[torch.tensor(sentences, dtype=torch.int64)]
