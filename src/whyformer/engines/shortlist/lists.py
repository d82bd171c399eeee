"""Lists of a batch: the target pieces of each sentence, and settings of a search that knows no others.

B batch · K length of the longest list · R rows, a live hypothesis each
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from whyformer.decoding.hypothesis import Hypothesis
from whyformer.decoding.search import SearchSpec
from whyformer.special_tokens import NAMES, PAD

_SPECIAL = range(len(NAMES))


@dataclass(frozen=True)
class SentenceLists:
    """The target pieces that each sentence may be translated into; a search sees their places alone.

    All lists begin with the same tokens: the special ones, so that PAD, UNK, BOS and EOS keep their ids, and
    those that the settings name. The others follow in the order of ids, so that of two equally likely ones
    the same comes first as among all.
    """

    ids: Tensor
    """(B,K) int64, filled up with PAD."""
    lengths: Tensor
    """(B,) int64."""
    common: tuple[int, ...]
    """Tokens that all of them begin with."""

    @staticmethod
    def of(listed: NDArray[np.bool_], common: Sequence[int]) -> "SentenceLists":
        """The lists of what is ``listed`` (B,V), and of what is ``common`` to all."""
        rest = listed.copy()
        rest[:, list(common)] = False
        # By one dimension, as NumPy finds what is true in many times faster there.
        rows, vocabulary = listed.shape
        found = np.flatnonzero(rest)
        first = np.searchsorted(found, np.arange(rows + 1) * vocabulary)
        lengths = np.diff(first)
        ids = np.full((rows, int(lengths.max(initial=0)) + len(common)), PAD, dtype=np.int64)
        ids[:, : len(common)] = common
        row = np.repeat(np.arange(rows), lengths)
        ids[row, np.arange(len(found)) - first[row] + len(common)] = found - row * vocabulary
        return SentenceLists(torch.from_numpy(ids), torch.from_numpy(lengths + len(common)), tuple(common))

    def to(self, device: torch.device) -> "SentenceLists":
        """The same on another device."""
        return SentenceLists(self.ids.to(device), self.lengths.to(device), self.common)

    def split(self, size: int) -> list["SentenceLists"]:
        """The same for every ``size`` sentences."""
        parts = zip(self.ids.split(size), self.lengths.split(size), strict=True)
        return [SentenceLists(ids, lengths, self.common) for ids, lengths in parts]

    def tokens(self, places: Tensor, sentence: Tensor) -> Tensor:
        """The ids (R,) at ``places`` (R,) in the lists of ``sentence`` (R,)."""
        return self.ids[sentence, places]

    def settings(self, settings: SearchSpec) -> SearchSpec:
        """The same ``settings``, by places instead of ids."""
        place = {id: at for at, id in enumerate(self.common)}
        return settings.model_copy(
            update={
                "prefix": tuple(place[id] for id in settings.prefix),
                "openings": tuple(tuple(place[id] for id in opening) for opening in settings.openings),
                "forbidden": tuple(place[id] for id in settings.forbidden),
            }
        )

    def spelled(self, found: Sequence[Sequence[Hypothesis]]) -> list[list[Hypothesis]]:
        """Hypotheses of places, ``found`` for each sentence (B), with ids in their stead."""
        lists = self.ids.tolist()
        return [
            [_with_tokens(each, tuple(ids[place] for place in each.tokens)) for each in best]
            for ids, best in zip(lists, found, strict=True)
        ]


def named_tokens(settings: SearchSpec) -> tuple[int, ...]:
    """The tokens that every list begins with: special ones, and others that ``settings`` name."""
    named = {*settings.prefix, *settings.forbidden, *chain.from_iterable(settings.openings)}
    return (*_SPECIAL, *sorted(named.difference(_SPECIAL)))


def _with_tokens(hypothesis: Hypothesis, tokens: tuple[int, ...]) -> Hypothesis:
    return Hypothesis(
        tokens,
        hypothesis.score,
        hypothesis.log_probability,
        hypothesis.token_log_probabilities,
        hypothesis.finished,
    )
