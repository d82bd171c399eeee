"""Texts for an encoder: whole sentences of documents, filled up to a length, alone or in pairs.

Of a pair, the second text follows the first (IsNext), or, half of the time, is from another document
(NotNext; Devlin et al. 2019, appendix A.2). The pairs are laid out once, as a pure function of the seed, so
that their lengths, and with them the steps of an epoch, are known; masks change from epoch to epoch, and
duplicates give a document several partners.

L tokens of a text · N texts · S sides, one or two
"""

import warnings
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate, chain, pairwise

import numpy as np
from numpy.typing import NDArray

from whyformer.data.corpora.detection.sentences import split_sentences
from whyformer.data.tokenizers.tokenizer import Tokenizer
from whyformer.errors import DataError, WhyformerNote
from whyformer.special_tokens import BOS, EOS, UNK

# Sentences of a piece where one document is taken as several, and how many it has at least.
_PIECE = 50
_LEAST = 2

Span = tuple[int, int]
"""Begin and end of a text among all tokens."""


@dataclass(frozen=True)
class Sentences:
    """Documents as sentences of tokens, laid end to end."""

    tokens: NDArray[np.int32]
    """All of them."""
    starts: list[int]
    """The first token of each sentence, and the end."""
    documents: list[Span]
    """The first sentence of each document, and that of the next."""
    cut: int
    """Sentences that were too long and became several."""

    @staticmethod
    def of(documents: Sequence[str], tokenizer: Tokenizer, longest: int) -> "Sentences":
        """The sentences of ``documents``, cut to ``longest`` tokens; what is wholly unknown is dropped."""
        split = [split_sentences(document) for document in documents]
        encoded = iter(tokenizer.encode_all([*chain.from_iterable(split)]))
        kept: list[list[int]] = []
        ends = [0]
        cut = 0
        for document in split:
            for _, ids in zip(document, encoded, strict=False):
                parts = [ids[start : start + longest] for start in range(0, len(ids), longest)]
                kept += [part for part in parts if any(token != UNK for token in part)]
                cut += len(parts) > 1
            ends.append(len(kept))
        starts = [*accumulate(map(len, kept), initial=0)]
        tokens = np.fromiter(chain.from_iterable(kept), dtype=np.int32, count=starts[-1])
        return Sentences(tokens, starts, [span for span in pairwise(ends) if span[0] < span[1]], cut)

    def __len__(self) -> int:
        """Number of sentences."""
        return len(self.starts) - 1

    def filled(self, first: int, room: int, end: int) -> int:
        """The sentence before which a text that begins with ``first`` and has ``room`` tokens must stop."""
        return min(end, bisect_right(self.starts, self.starts[first] + room) - 1)

    def span(self, first: int, stop: int) -> Span:
        """The tokens from one sentence up to another."""
        return self.starts[first], self.starts[stop]


@dataclass(frozen=True)
class Texts:
    """Texts as an encoder reads them: ``<s> A </s>``, or ``<s> A </s> B </s>``."""

    tokens: NDArray[np.int32]
    """Of all documents, end to end."""
    spans: NDArray[np.int64]
    """(N,S,2) begin and end of each side."""
    follows: NDArray[np.bool_] | None
    """(N,) whether B follows A; None where there are no pairs."""

    def __len__(self) -> int:
        """Number of texts, N."""
        return len(self.spans)

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """(N,) tokens of each text, special tokens included."""
        return (self.spans[:, :, 1] - self.spans[:, :, 0] + 1).sum(axis=1) + 1

    def row(self, index: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """A text's tokens (L,) and their types (L,): 0 for A with its BOS and EOS, 1 for B with its EOS."""
        sides = [np.append(self.tokens[start:stop], EOS) for start, stop in self.spans[index]]
        token_types = np.repeat(np.arange(len(sides)), [len(side) for side in sides])
        return np.concatenate([[BOS], *sides]), np.concatenate([[0], token_types])


def single_texts(
    documents: Sequence[str], tokenizer: Tokenizer, longest: int, *, source_name: str
) -> tuple[Texts, Sentences]:
    """Texts of up to ``longest`` tokens, special ones included, none across documents; each sentence in one.

    Raises:
        DataError: there is nothing but unknown tokens; ``source_name`` is the documents' name.
    """
    room = longest - 2
    sentences = Sentences.of(documents, tokenizer, room)
    spans: list[list[Span]] = []
    for first, end in sentences.documents:
        while first < end:
            stop = sentences.filled(first, room, end)
            spans.append([sentences.span(first, stop)])
            first = stop
    if not spans:
        raise DataError(f"{source_name}: the tokenizer knows not one word of it; train one on such text.")
    return Texts(sentences.tokens, np.array(spans), None), sentences


def sentence_pairs(
    documents: Sequence[str],
    tokenizer: Tokenizer,
    longest: int,
    *,
    seed: int,
    duplicates: int,
    source_name: str,
) -> tuple[Texts, Sentences]:
    """Pairs of up to ``longest`` tokens, special tokens included.

    A has a random number of sentences, up to half of the room, so that any B has at least one; B has as many
    as then fit. Both are whole sentences, lest the cut give away what follows.

    Args:
        documents: a single one is taken as several, so that wrong sentences come from elsewhere in it.
        tokenizer: cuts them into tokens.
        longest: of a pair; five or more.
        seed: of cuts and partners.
        duplicates: times that all documents are cut into pairs, each time differently.
        source_name: the documents' name, for errors.

    Raises:
        DataError: there is only one document of very few sentences, or none has two sentences.
    """
    half = (longest - 3) // 2
    sentences = Sentences.of(documents, tokenizer, half)
    if len(sentences.documents) < 2:
        sentences = _in_pieces(sentences, source_name)
    random = np.random.default_rng(seed)
    drawn = [pair for _ in range(duplicates) for pair in _pairs(sentences, longest - 3, half, random)]
    if not drawn:
        raise DataError(
            f"{source_name}: no document has two sentences, so that none follows another; split documents "
            "elsewhere, or take next_sentence out of model.heads."
        )
    spans, follows = zip(*drawn, strict=True)
    return Texts(sentences.tokens, np.array(spans), np.array(follows)), sentences


def _in_pieces(sentences: Sentences, source_name: str) -> Sentences:
    """A single document as several of like length, which is told."""
    if len(sentences) < 2 * _LEAST:
        raise DataError(
            f"{source_name}: this is one document of {len(sentences)} sentences, too few for the prediction "
            "of the next sentence, which takes wrong ones from elsewhere; give more text, or leave that out "
            "(model.heads=[masked] duplicates=1)."
        )
    count = max(2, len(sentences) // _PIECE)
    warnings.warn(
        f"{source_name}: this is one document, since no blank line parts it; for the prediction of the next "
        f"sentence it is taken as {count} pieces, from which wrong ones are drawn.",
        WhyformerNote,
        stacklevel=2,
    )
    ends = [len(sentences) * number // count for number in range(count + 1)]
    return replace(sentences, documents=[*pairwise(ends)])


def _pairs(
    sentences: Sentences, room: int, half: int, random: np.random.Generator
) -> Iterator[tuple[tuple[Span, Span], bool]]:
    """The two sides of each pair, and whether B follows A.

    What A alone has used of a document is behind; a last sentence that nothing follows begins no pair.
    """
    for number, (first, end) in enumerate(sentences.documents):
        while first + 1 < end:
            stop = int(random.integers(first, min(sentences.filled(first, half, end), end - 1))) + 1
            a = sentences.span(first, stop)
            if follows := bool(random.random() < 0.5):
                begin, last = stop, end
            else:
                # Any document but this one.
                other = int(random.integers(len(sentences.documents) - 1))
                begin, last = sentences.documents[other + (other >= number)]
                begin = int(random.integers(begin, last))
            after = sentences.filled(begin, room - (a[1] - a[0]), last)
            yield (a, sentences.span(begin, after)), follows
            first = after if follows else stop
