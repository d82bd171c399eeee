"""Texts of a store, for a model that fills holes.

L tokens of a text
"""

import numpy as np
from numpy.typing import NDArray

from whyformer.data.batches.by_length import ExamplesByLength
from whyformer.data.store.reader import TokenStore
from whyformer.special_tokens import BOS, EOS


class StoredTexts:
    """The documents of a store, each ``<s> A </s>``, cut where they are longer than a text may be.

    A store keeps no ends of sentences; so a text may end within one, and none is paired with another.
    """

    follows = None

    def __init__(self, store: TokenStore, longest: int) -> None:
        """Lay out texts of up to ``longest`` tokens, special ones included."""
        self._store = store
        self._room = longest - 2
        documents = store.by_length or ExamplesByLength.of(store.lengths)
        texts = documents.in_parts(self._room)
        self._parts = texts.parts_of_each
        self.lengths: ExamplesByLength = texts.plus([2])
        """Lengths, and the numbers by which ``row`` knows the texts."""

    def row(self, index: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """A text's tokens (L,) and their types (L,), all 0."""
        document, part = divmod(index, self._parts)
        ids = self._store.ids(document)[0][part * self._room : (part + 1) * self._room]
        tokens = np.array([BOS, *ids, EOS], dtype=np.int64)
        return tokens, np.zeros_like(tokens)


def commonest_stored_token(store: TokenStore) -> int:
    """The most frequent ordinary token of a store."""
    first = store.tokenizers.source.ordinary_ids.start
    return first + int(store.counts[0][first:].argmax())
