"""The end of a text that is too few documents for a share of them to be held out."""

import re
from collections.abc import Sequence
from itertools import accumulate

from whyformer.data.corpora.detection.sentences import SENTENCE_END

# Places at which a text may be cut, the best first.
_PLACES = (re.compile("\n"), SENTENCE_END, re.compile(r"\s+"), re.compile("(?s:.)"))


def cut_end(documents: Sequence[str], share: float) -> tuple[list[str], list[str]] | None:
    r"""``documents`` before a point and behind it, where about the last ``share`` of their characters begins.

    That is between two documents or lines, else between two sentences, else between two words, else between
    two characters. The end is no shorter than the share and no longer than half; None where there is no such
    point.

    >>> cut_end(["one\ntwo\nthree\nfour"], 0.2)
    (['one\ntwo\nthree'], ['four'])
    """
    lengths = [len(document) for document in documents]
    total = sum(lengths)
    point = (1.0 - share) * total
    starts = [0, *accumulate(lengths)]
    # The document with the point in it.
    number = next((index for index, start in enumerate(starts[1:]) if start >= point), len(documents) - 1)
    before, document = starts[number], documents[number]
    for place in _PLACES:
        ends = [found.end() for found in place.finditer(document)]
        if place is _PLACES[0]:
            ends = [0, *ends]
        for end in reversed(ends):
            if total / 2 <= before + end <= point and (sides := _sides(documents, number, end)):
                return sides
    return None


def _sides(documents: Sequence[str], number: int, end: int) -> tuple[list[str], list[str]] | None:
    """Both sides of a cut in a document, without white space at the cut; None where one of them is empty."""
    head, tail = documents[number][:end].rstrip(), documents[number][end:].lstrip()
    sides = [*documents[:number], head], [tail, *documents[number + 1 :]]
    kept = tuple([*filter(None, side)] for side in sides)
    return (kept[0], kept[1]) if all(kept) else None
