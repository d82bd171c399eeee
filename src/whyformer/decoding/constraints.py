"""Constraints on a hypothesis, whichever way it is searched for.

B batch · R rows, a live hypothesis each · T tokens so far · V vocabulary · N length of an n-gram
"""

from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from typing import Annotated

import torch
from pydantic import Field, model_validator
from torch import Tensor

from whyformer.errors import DecodingError
from whyformer.spec import Spec
from whyformer.special_tokens import BOS, EOS, PAD

TokenId = Annotated[int, Field(ge=0)]
Opening = Annotated[tuple[TokenId, ...], Field(min_length=1)]


class ConstraintsSpec(Spec):
    """The base of every search spec. Lengths count target tokens, EOS included, BOS not."""

    longest_factor: float = Field(default=1.0, ge=0)
    """Maximum number of target tokens per source token."""
    longest_extra: int = Field(default=50, ge=0)
    """Target tokens on top of that. The default is that of Vaswani et al. 2017, section 6.1."""
    shortest: int = Field(default=1, ge=1)
    """Minimum number of target tokens: no EOS comes before. Prevails over the two limits above."""
    prefix: tuple[TokenId, ...] = ()
    """Token ids that every hypothesis begins with, forbidden or not."""
    openings: tuple[Opening, ...] = ()
    """Sequences of token ids, with one of which every hypothesis begins, forbidden or not: those of a text
    that may end inside a piece. They stand in place of ``prefix``."""
    forbidden: tuple[TokenId, ...] = (PAD, BOS)
    """Token ids that never come; add 1 to forbid the unknown token."""
    no_repeat_ngram: int | None = Field(default=None, ge=1)
    """Size in tokens of n-grams that may not come twice in a hypothesis."""

    @model_validator(mode="after")
    def _can_end(self) -> "ConstraintsSpec":
        if EOS in self.forbidden:
            raise ValueError(f"forbidden holds the end mark ({EOS}), so nothing could finish; take it out")
        if EOS in self.prefix or any(EOS in opening for opening in self.openings):
            raise ValueError(f"prefix holds the end mark ({EOS}), which nothing may follow; take it out")
        if self.prefix and self.openings:
            raise ValueError("prefix and openings both say how a hypothesis begins; leave one of them out")
        return self

    def longest(self, source_lengths: Tensor, model_limit: Tensor | int | None) -> Tensor:
        """Maximum number of target tokens (B,) for sources of ``source_lengths`` (B,) tokens.

        ``model_limit`` is what the model can write, to all of them or to each (B,).

        Raises:
            DecodingError: the model cannot write as much as ``shortest`` or ``prefix`` demand.
        """
        least = max(self.shortest, len(self.prefix) + 1, self._opening_length + 1)
        wanted = (source_lengths.float() * self.longest_factor).long() + self.longest_extra
        if model_limit is None:
            return wanted.clamp_min(least)
        limit = torch.as_tensor(model_limit, device=wanted.device).expand_as(wanted)
        if (limit < least).any():
            raise DecodingError(
                f"shortest or prefix demand {least} target tokens, but the model writes at most "
                f"{int(limit.min())}; demand fewer"
            )
        return wanted.clamp_min(least).minimum(limit)

    def apply(self, scores: Tensor, tokens: Tensor) -> None:
        """Set ``scores`` (R,V) of all that may not follow ``tokens`` (R,T) to -inf, in place.

        Raises:
            DecodingError: a token id of these settings is not in the vocabulary.
        """
        length, vocabulary = tokens.shape[1], scores.shape[1]
        highest = max((*self.prefix, *self.forbidden, *chain.from_iterable(self.openings)), default=0)
        if highest >= vocabulary:
            raise DecodingError(f"prefix or forbidden name token {highest}, but the last is {vocabulary - 1}")
        if length < len(self.prefix):
            force(scores, self.prefix[length])
            return
        opened = self._open(scores, tokens) if length < self._opening_length else None
        if opened is None:
            self._restrict(scores, tokens)
        elif opened.any():
            # Some have their opening behind them, others not yet.
            free = scores[opened]
            self._restrict(free, tokens[opened])
            scores[opened] = free

    @property
    def _opening_length(self) -> int:
        return max(map(len, self.openings), default=0)

    def _open(self, scores: Tensor, tokens: Tensor) -> Tensor:
        """Force ``scores`` (R,V) of rows whose opening is not complete; mask (R,) of those that have one."""
        following = _following(self.openings)
        rows = [following.get(tuple(row)) for row in tokens.tolist()]
        for row, allowed in enumerate(rows):
            if allowed is not None:
                kept = scores[row, allowed]
                scores[row].fill_(-float("inf"))
                scores[row, allowed] = kept
        return torch.tensor([allowed is None for allowed in rows], device=scores.device)

    def _restrict(self, scores: Tensor, tokens: Tensor) -> None:
        """Forbid what may not follow ``tokens`` (R,T), which have begun as they should, in place."""
        length = tokens.shape[1]
        forbid(scores, self.forbidden)
        if length + 1 < self.shortest:
            forbid(scores, (EOS,))
        if self.no_repeat_ngram is not None:
            forbid_repeated_ngrams(scores, tokens, self.no_repeat_ngram)


@lru_cache(maxsize=64)
def _following(openings: tuple[tuple[int, ...], ...]) -> dict[tuple[int, ...], list[int]]:
    """The tokens that may follow each beginning of an opening."""
    following = dict[tuple[int, ...], dict[int, None]]()
    for opening in openings:
        for place, token in enumerate(opening):
            following.setdefault(opening[:place], {})[token] = None
    return {beginning: [*tokens] for beginning, tokens in following.items()}


def forbid(scores: Tensor, tokens: Sequence[int]) -> None:
    """Allow none of ``tokens``: set their ``scores`` (R,V) to -inf, in place."""
    for token in tokens:
        scores[:, token] = -float("inf")


def force(scores: Tensor, token: int) -> None:
    """Allow nothing but ``token``: set all other ``scores`` (R,V) to -inf, in place."""
    kept = scores[:, token].clone()
    scores.fill_(-float("inf"))
    scores[:, token] = kept


def forbid_repeated_ngrams(scores: Tensor, tokens: Tensor, size: int) -> None:
    """Forbid what would repeat an n-gram of ``size`` in ``tokens`` (R,T): Paulus et al. 2018, section 2.5.

    Sets ``scores`` (R,V) to -inf, in place.
    """
    length = tokens.shape[1]
    if length < size:
        return
    # (R,T) -> (R,T-N+1,N)
    ngrams = tokens.unfold(1, size, 1)
    # (R,1,N-1): what the next token completes
    begun = tokens[:, None, length - size + 1 :]
    repeated = (ngrams[:, :, :-1] == begun).all(dim=2)
    # A token may end several n-grams; as scores are added to, one repeated among them is enough.
    added = scores.new_zeros(repeated.shape).masked_fill(repeated, -float("inf"))
    scores.scatter_add_(1, ngrams[:, :, -1], added)
