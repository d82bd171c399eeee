"""Masking: tokens of a text are hidden, for a model to predict (Devlin et al. 2019, section 3.1).

L tokens of a text · W words of it · V vocabulary
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from whyformer.data.tokenizers import pre_tokenization as cutting
from whyformer.data.tokenizers.specials import BYTES
from whyformer.data.tokenizers.tokenizer import Tokenizer
from whyformer.spec import Spec

MASK = "[MASK]"
"""The special token that stands where a token is hidden."""


class Masked(NamedTuple):
    """A text with holes."""

    tokens: NDArray[np.int64]
    """(L,) tokens that are read."""
    chosen: NDArray[np.bool_]
    """(L,) True where the true token is to be predicted, whatever is read there."""


class MaskingSpec(Spec):
    """Choice of the tokens to be predicted, and of what is read in their place."""

    share: float = Field(default=0.15, gt=0.0, le=1.0)
    """Probability that a token, or with ``whole_words`` a word, is to be predicted; at least one is."""
    mask: float = Field(default=0.8, ge=0.0, le=1.0)
    """Share of those that are read as [MASK]."""
    random: float = Field(default=0.1, ge=0.0, le=1.0)
    """Share of those that are read as any other learned piece; the rest is read as it is."""
    whole_words: bool = False
    """Hide all pieces of a word or none. Chinese and Japanese have no spaces: there a piece, which is one
    character or more, is a word."""

    @model_validator(mode="after")
    def _shares_of_one_whole(self) -> "MaskingSpec":
        if self.mask + self.random > 1.0 + 1e-9:
            raise ValueError(
                f"mask and random are shares of one whole, but their sum is {self.mask + self.random:g}; "
                "lower one of them"
            )
        return self

    def build(self, tokenizer: Tokenizer, seed: int) -> "Masking":
        """The masking of texts of ``tokenizer``.

        Raises:
            TokenizerError: it has no token [MASK].
        """
        return Masking(self, tokenizer, seed)


class Masking:
    """Draws masks: a pure function of (seed, epoch, index of the text), so that every epoch has its own.

    Masks that are fixed once teach less (Liu et al. 2019, section 4.1).
    """

    def __init__(self, spec: MaskingSpec, tokenizer: Tokenizer, seed: int) -> None:
        self.spec = spec
        self.seed = seed
        self.mask = tokenizer.special(MASK)
        self.first = tokenizer.ordinary_ids.start
        self._drawn = tokenizer.learned_ids
        self._opens, self._closes = _edges(tokenizer)

    def __call__(self, tokens: NDArray[np.int64], *, epoch: int, number: int) -> Masked:
        """Make holes in ``tokens`` (L,), special ones of which stay."""
        spec = self.spec
        # With a zero in the last place these would be the numbers of (seed, epoch) alone.
        random = np.random.default_rng([self.seed, epoch, number + 1])
        word = self.words(tokens) if spec.whole_words else np.arange(len(tokens))
        ordinary = tokens >= self.first
        # (W,) -> (L,): the pieces of a word share its draw
        draw = np.where(ordinary, random.random(len(tokens))[word], np.inf)
        chosen = ordinary & ((draw < spec.share) | (draw == draw.min(initial=np.inf)))
        action = random.random(len(tokens))
        other = random.integers(self._drawn.start, self._drawn.stop, len(tokens))
        read = np.where(
            action < spec.mask, self.mask, np.where(action < spec.mask + spec.random, other, tokens)
        )
        return Masked(np.where(chosen, read, tokens), chosen)

    def words(self, tokens: NDArray[np.int64]) -> NDArray[np.int64]:
        """The number of the word, from 0, that each of ``tokens`` (L,) belongs to.

        WordPiece marks what continues a word by ``##``. Other pieces continue one where they begin, and the
        piece before them ends, with a letter or digit of a script that has spaces; a space goes with what
        follows.
        """
        inside = self._opens[tokens[1:]] & self._closes[tokens[:-1]]
        return np.concatenate([[0], np.cumsum(~inside)])[: len(tokens)]


def _edges(tokenizer: Tokenizer) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(V,) whether each piece may continue a word, and whether it may be continued."""
    pieces = tokenizer.pieces
    if tokenizer.spec["kind"] in {"wordpiece", "imported"}:
        marked = np.array([piece.startswith("##") for piece in pieces])
        return marked, np.ones_like(marked)
    # A byte is what it spells; one of a longer character counts as a letter.
    spelled = {name: chr(byte) if byte < 128 else "x" for byte, name in enumerate(BYTES)}
    texts = [spelled.get(piece, piece) for piece in pieces]
    edges = {edge for text in texts for edge in (text[:1], text[-1:])}
    letters = set(cutting.without(rf"[^\p{{L}}\p{{M}}\p{{N}}]|{cutting.UNSPACED_CHARACTER}", edges))
    begins = np.array([text[:1] in letters for text in texts])
    return begins, np.array([text[-1:] in letters or text == " " for text in texts])
