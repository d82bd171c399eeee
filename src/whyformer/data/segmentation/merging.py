"""Byte-pair encoding of ids: pieces are spelled in symbols and merged again, all rows of a batch at once.

A merge may be left out for a moment, which is what BPE-dropout does. Where none ever is, the pieces that
were given come back.

S symbols of all rows · C candidates, neighbours that a merge joins · V vocabulary
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from whyformer.data.tokenizers.tokenizer import Tokenizer

IdArray = NDArray[np.int64]

Kept = Callable[[IdArray, int], NDArray[np.bool_]]
"""Whether candidates stay, of the places (C,) of their left symbols and the number of the round. A place is
that of the symbol's first character among all characters of all rows."""


class Spelled(NamedTuple):
    """Rows in symbols, end to end."""

    symbols: IdArray
    """(S,)"""
    row_of: IdArray
    """(S,) row of each, ascending."""
    rows: int


def can_merge(tokenizer: Tokenizer) -> bool:
    """Whether a ``tokenizer`` puts its pieces together by merges."""
    model = tokenizer.document["model"]
    return model["type"] == "BPE" and bool(model["merges"])


def reference_merged(
    symbols: list[int], merges: dict[tuple[int, int], tuple[int, int]], kept: Kept
) -> list[int]:
    """The definition, for one row: Provilkov, Emelianenko and Voita 2020, algorithm 1.

    In each round every candidate may be left out; of those that stay the first learned is merged, the left
    one of equals. A row in which none stays is finished.

    Args:
        symbols: ids of single symbols.
        merges: by the ids of two neighbours: rank of their merge, and the id of both as one.
        kept: whether candidates stay.
    """
    symbols, places = [*symbols], [*range(len(symbols))]
    number = 0
    while True:
        candidates = [
            (*merges[pair], index)
            for index, pair in enumerate(pairwise(symbols))
            if pair in merges and kept(np.array([places[index]]), number).all()
        ]
        if not candidates:
            return symbols
        _, merged, index = min(candidates, key=lambda candidate: (candidate[0], candidate[2]))
        symbols[index : index + 2] = [merged]
        del places[index + 1]
        number += 1


class Merges:
    """The merges of a tokenizer, as arrays that are looked up for many neighbours at once."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        """Read them; see :func:`can_merge`."""
        model: dict[str, Any] = tokenizer.document["model"]
        ids: dict[str, int] = model["vocab"]
        named = [(left, right) for left, right in model["merges"]]
        known = [(ids[a], ids[b], ids[a + b]) for a, b in named if {a, b, a + b} <= ids.keys()]
        self.table = {(a, b): (rank, both) for rank, (a, b, both) in reversed([*enumerate(known)])}
        """By the ids of two neighbours: rank of their merge, and the id of both as one."""
        self._size = tokenizer.size
        keys = np.array([a * self._size + b for a, b in self.table], dtype=np.int64)
        order = np.argsort(keys)
        ranked = np.array([*self.table.values()], dtype=np.int64)[order]
        self._keys, self._ranks, self._merged = keys[order], ranked[:, 0], ranked[:, 1]
        spelled = self._spelled()
        self._counts = np.array([*map(len, spelled)], dtype=np.int64)
        self._starts = np.cumsum(self._counts) - self._counts
        self._symbols = np.concatenate([np.array(symbols, dtype=np.int64) for symbols in spelled])
        # Nothing is merged across the front of a symbol that no merge has at the front of its right part.
        continues = np.zeros(self._size, dtype=np.bool_)
        continues[[spelled[right][0] for _, right in self.table]] = True
        self._opens = ~continues

    def spelled(self, row: Sequence[int]) -> list[int]:
        """The symbols of a row of pieces."""
        return self._of(np.array(row, dtype=np.int64))[0].tolist()

    def spell(self, rows: Sequence[Sequence[int]]) -> Spelled:
        """The symbols of all ``rows``."""
        lengths = np.array([*map(len, rows)], dtype=np.int64)
        symbols, of_each = self._of(np.array([id for row in rows for id in row], dtype=np.int64))
        return Spelled(symbols, np.repeat(np.repeat(np.arange(len(rows)), lengths), of_each), len(rows))

    def merged(self, spelled: Spelled, kept: Kept | None = None) -> list[list[int]]:
        """The pieces of each row that was ``spelled``; equal to :func:`reference_merged` row by row.

        Words are merged side by side, one merge of each word in a round: what a round does to one of them
        depends on no other. ``kept`` of None leaves nothing out.
        """
        symbols, row_of = spelled.symbols.copy(), spelled.row_of
        opens = self._opens[symbols]
        opens[1:] |= row_of[1:] != row_of[:-1]
        word_of = np.cumsum(opens) - 1
        stands = np.ones(len(symbols), dtype=np.bool_)
        open_places, number = np.arange(len(symbols)), 0
        while len(open_places):
            open_places = self._round(symbols, stands, word_of, open_places, kept, number)
            number += 1
        ends = np.cumsum(np.bincount(row_of[stands], minlength=spelled.rows))
        return [row.tolist() for row in np.split(symbols[stands], ends[:-1])]

    def _round(
        self,
        symbols: IdArray,
        stands: NDArray[np.bool_],
        word_of: IdArray,
        places: IdArray,
        kept: Kept | None,
        number: int,
    ) -> IdArray:
        """Merge once in each word that still has ``places`` (S,); return those of words that go on."""
        here, words = symbols[places], word_of[places]
        keys = here[:-1] * self._size + here[1:]
        found = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        (candidates,) = np.nonzero((self._keys[found] == keys) & (words[:-1] == words[1:]))
        if kept is not None:
            candidates = candidates[kept(places[candidates], number)]
        if not len(candidates):
            return places[:0]
        of_word = words[candidates]
        (heads,) = np.nonzero(np.diff(of_word, prepend=-1))
        # The least rank, and of equal ones the left: both in one number.
        scores = self._ranks[found[candidates]] * len(places) + candidates
        best = np.minimum.reduceat(scores, heads) % len(places)
        symbols[places[best]] = self._merged[found[best]]
        stands[places[best + 1]] = False
        goes_on = np.zeros(word_of[-1] + 1, dtype=np.bool_)
        goes_on[of_word[heads]] = True
        return places[goes_on[words] & stands[places]]

    def _of(self, pieces: IdArray) -> tuple[IdArray, IdArray]:
        """The symbols of ``pieces``, end to end, and the number of them that each piece has."""
        counts = self._counts[pieces]
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        return self._symbols[np.repeat(self._starts[pieces], counts) + within], counts

    def _spelled(self) -> list[list[int]]:
        """The symbols of each piece, by its id; of one that no merge makes, itself."""
        parts = {both: pair for pair, (_, both) in reversed(self.table.items())}
        spelled: list[list[int]] = []
        for id in range(self._size):
            left, symbols = [id], list[int]()
            while left:
                piece = left.pop()
                if piece in parts:
                    left += reversed(parts[piece])
                else:
                    symbols.append(piece)
            spelled.append(symbols)
        return spelled
