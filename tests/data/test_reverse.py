"""The made-up corpus of reversed strings."""

from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from whyformer.data.corpora.pairs.reverse import ReverseSpec
from whyformer.data.corpora.parallel import load_corpus


@given(
    symbols=st.integers(3, 12),
    shortest=st.integers(1, 4),
    more=st.integers(0, 3),
    pairs=st.integers(20, 200),
    seed=st.integers(),
)
def test_every_target_is_its_source_reversed(symbols: int, shortest: int, more: int, pairs: int, seed: int):
    longest = shortest + more
    if symbols**longest // 2 < pairs:
        return
    spec = ReverseSpec(symbols=symbols, shortest=shortest, longest=longest, pairs=pairs, seed=seed)
    corpus = spec.build()
    for source, target in chain(*corpus):
        words = source.split(" ")
        assert target.split(" ") == words[::-1]
        assert shortest <= len(words) <= longest
        assert set(words) <= set(map(str, range(symbols)))
    sources = [source for source, _ in chain(*corpus)]
    assert len(sources) == len(set(sources)) == pairs
    assert len(corpus.valid) == len(corpus.test) == pairs // 20
    assert spec.build() == corpus


def test_lengths_are_about_as_frequent_as_each_other():
    lengths = [len(pair.source.split()) for pair in chain(*ReverseSpec().build())]
    counts = [lengths.count(length) for length in range(4, 9)]  # of length 3 there are 1000 only
    assert max(counts) < 1.2 * min(counts)


def test_another_seed_draws_other_strings():
    assert ReverseSpec(seed=1).build().train != ReverseSpec(seed=2).build().train


def test_it_is_a_corpus_like_others():
    spec = ReverseSpec(pairs=40)
    corpus = load_corpus(spec)
    assert corpus.summary == "36 training, 2 validation, 2 test pairs written by chance"
    assert corpus.train == spec.build().train
    assert [(pair.source, pair.references) for pair in corpus.test["test"]] == [
        (source, [target]) for source, target in spec.build().test
    ]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"shortest": 5, "longest": 4}, "shortest is 5 but longest is 4"),
        ({"symbols": 2, "longest": 8, "pairs": 129}, "too few strings for 129 pairs; 128 is the most here"),
    ],
)
def test_what_cannot_be_drawn_is_refused(changes: dict[str, int], complaint: str):
    with pytest.raises(ValidationError, match=complaint):
        ReverseSpec.model_validate(changes)
