"""Error rates are edit distances over lengths."""

from collections.abc import Sequence
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whyformer.errors import DataError
from whyformer.tasks.streaming.measures.error_rate import character_error_rate, word_error_rate

pytest.importorskip("jiwer")

TEXT = st.lists(st.sampled_from(["a", "b", "ab"]), max_size=6).map(" ".join)


def distance(one: Sequence[str], other: Sequence[str]) -> int:
    """The fewest edits, by trying them all."""

    @cache
    def edits(i: int, j: int) -> int:
        if i == 0 or j == 0:
            return i + j
        changed = edits(i - 1, j - 1) + (one[i - 1] != other[j - 1])
        return min(changed, edits(i - 1, j) + 1, edits(i, j - 1) + 1)

    return edits(len(one), len(other))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=5))
def test_rates_are_distances_over_lengths(pairs: list[tuple[str, str]]):
    said, heard = ["a b", *(one for one, _ in pairs)], ["a b", *(other for _, other in pairs)]
    for measure, part in ((word_error_rate, str.split), (character_error_rate, list)):
        found = measure(said, heard)
        errors = sum(distance(part(one), part(other)) for one, other in zip(said, heard, strict=True))
        assert found.errors == errors
        assert found.units == sum(len(part(one)) for one in said)
        assert found.rate == errors / found.units
        assert found.deletions - found.insertions == found.units - sum(len(part(other)) for other in heard)
        assert 0.0 <= found.low <= found.high
        assert found.utterances == len(said)


def test_kinds_of_errors_are_told_apart():
    found = word_error_rate(["one two three four", "five", ""], ["one too four", "five", "six"])
    assert (found.substitutions, found.deletions, found.insertions, found.units) == (1, 1, 1, 5)
    assert word_error_rate(["one"], ["one two three"]).rate == 2.0


@pytest.mark.parametrize("space", ["\t", "\u00a0", "\u3000", "\n", "  "])
def test_any_white_space_parts_words(space: str):
    for measure in (word_error_rate, character_error_rate):
        assert measure([f"one{space}two "], [f" one two{space}"]).errors == 0
    assert word_error_rate([f"one{space}two"], ["one three"]).units == 2


def test_the_interval_is_that_of_utterances():
    """All errors in one of 50 utterances: it is drawn 0 to 3 times, in 95 of 100 samples."""
    said, heard = ["a b c d"] * 50, ["a b c d"] * 49 + ["x x x x"]
    found = word_error_rate(said, heard)
    assert (found.rate, found.low, found.high) == (0.02, 0.0, pytest.approx(0.06))
    assert word_error_rate(said, said).high == 0.0
    assert word_error_rate(said, heard) == found


def test_numbers_must_fit_and_something_must_be_said():
    with pytest.raises(ValueError, match="not one for each"):
        word_error_rate(["a"], [])
    for texts in ([], [""], [" ", "\n"]):
        with pytest.raises(DataError, match="no words"):
            word_error_rate(texts, texts)
