"""Windows of words: texts cut into pieces that a model of words reads side by side.

R windows · T words of all texts · W distinct words · C bytes of a word · B batch · L words of a window
"""

from collections.abc import Iterator, Sequence
from itertools import chain

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from whyformer.data.tokenizers.tokenizer import Tokenizer
from whyformer.nn.vectors.characters import CharactersSpec, SpelledWords
from whyformer.special_tokens import BOS, EOS, NAMES, PAD


class Windows:
    """Texts between BOS and EOS, cut into windows of at most ``longest`` words if that is given.

    The last word of a window is the first of the next, so that each pair of neighbours is in just one.
    """

    def __init__(
        self,
        texts: Sequence[str],
        tokenizer: Tokenizer,
        characters: CharactersSpec,
        longest: int | None,
    ) -> None:
        # No word of a text is spelled like a mark: the tokenizer cuts such a one.
        words = [[NAMES[BOS], *cut, NAMES[EOS]] for cut in tokenizer.words(texts)]
        rows: dict[str, int] = {}
        self._words = np.array([rows.setdefault(word, len(rows)) for word in chain(*words)], dtype=np.int32)
        self._ids = np.array(tokenizer.word_ids(rows), dtype=np.int64)
        self._spelling = characters.spell([*rows])
        cuts = [*_cuts([len(text) for text in words], longest)]
        self._starts, self.lengths = np.array(cuts, dtype=np.int64).reshape(-1, 2).T
        """(R,) number of words of each window, BOS and EOS included."""

    def batch(self, indices: NDArray[np.int64], device: torch.device) -> tuple[SpelledWords, Tensor]:
        """The windows of ``indices`` side by side, and the ids (B,L) of their words."""
        lengths = self.lengths[indices, None]
        column = np.arange(lengths.max())
        valid = column < lengths
        words = self._words[self._starts[indices, None] + np.where(valid, column, 0)]
        distinct, word = np.unique(words, return_inverse=True)
        spelling = self._spelling[distinct].astype(np.int64)
        spelling = spelling[:, (spelling != PAD).any(axis=0)]
        parts = (spelling, word.reshape(words.shape), valid, self._ids[words])
        spelling, word, real, ids = (torch.from_numpy(part).to(device) for part in parts)
        return SpelledWords(spelling, word, real), ids


def _cuts(lengths: Sequence[int], longest: int | None) -> Iterator[tuple[int, int]]:
    """First word and length of every window, in texts of ``lengths`` laid end to end."""
    first = 0
    for length in lengths:
        size = length if longest is None else longest
        yield from ((first + start, min(size, length - start)) for start in range(0, length - 1, size - 1))
        first += length
