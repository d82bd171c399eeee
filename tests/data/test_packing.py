"""Packing: nothing is lost, nothing comes twice, almost nothing is wasted."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from whyformer.data.batches.packing import fill_rows, pack
from whyformer.special_tokens import PAD

LENGTHS = st.lists(st.integers(2, 40), min_size=1, max_size=60)


@given(lengths=LENGTHS, length=st.integers(1, 16), seed=st.integers(0, 99))
def test_every_token_is_predicted_exactly_once_after_those_before_it(
    lengths: list[int], length: int, seed: int
):
    # Every token has a number of its own.
    ends = np.cumsum(lengths)
    documents = [list(range(end - count + 1, end + 1)) for end, count in zip(ends, lengths, strict=True)]
    rows = pack(documents, length, seed=seed)
    real = rows.gold > 0
    assert rows.tokens.shape == (len(rows), length)
    assert rows.lengths.tolist() == real.sum(axis=1).tolist()
    assert sorted(rows.gold[real].tolist()) == sorted(token for each in documents for token in each[1:])
    assert (rows.gold[real] == rows.tokens[real] + 1).all()
    # A segment is a window of one document, from its first column on; a document that fits is not cut.
    starts = set()
    for row in range(len(rows)):
        assert not real[row, real[row].sum() :].any()
        for segment in range(1, int(rows.segment[row].max()) + 1):
            inside = rows.segment[row] == segment
            assert rows.position[row][inside].tolist() == list(range(inside.sum()))
            assert (np.diff(rows.tokens[row][inside]) == 1).all()
            starts.add(int(rows.tokens[row][inside][0]))
    assert {each[0] for each in documents} <= starts
    assert len(starts) == sum(-(-(count - 1) // length) for count in lengths)
    for part in (rows.tokens, rows.gold, rows.position, rows.segment):
        assert not part[~real].any()


@given(lengths=LENGTHS, seed=st.integers(0, 99))
def test_the_rows_are_a_function_of_documents_length_and_seed(lengths: list[int], seed: int):
    documents = [[2, *range(4, 2 + count), 3] for count in lengths]
    first, second = pack(documents, 10, seed=seed), pack(documents, 10, seed=seed)
    assert np.array_equal(first.tokens, second.tokens)
    assert np.array_equal(first.segment, second.segment)


def test_another_seed_lets_others_share_a_row():
    lengths = np.full(100, 3)
    assert fill_rows(lengths, 6, seed=0) != fill_rows(lengths, 6, seed=1)


@pytest.mark.parametrize(
    ("median", "count"), [(30, 5000), (120, 2000), (5000, 100)], ids=["speeches", "paragraphs", "chapters"]
)
@pytest.mark.parametrize("seed", range(3))
def test_less_than_three_percent_is_wasted_on_lengths_as_texts_have_them(median: int, count: int, seed: int):
    drawn = np.random.default_rng(seed).lognormal(np.log(median), 0.8, count).astype(int) + 2
    rows = pack([[1] * length for length in drawn.tolist()], 256, seed=seed)
    assert 1 - rows.lengths.sum() / rows.tokens.size < 0.03


def test_rows_of_one_document_each_are_not_packed():
    rows = pack([[2, *[4] * length, 3] for length in (7, 3, 2)], 8, seed=0)
    whole, shared = np.array([0]), np.array([0, 1])
    for indices in (whole, shared):
        real = torch.from_numpy(rows.gold[indices] != PAD)
        layout = rows.layout(indices, real)
        assert torch.equal(layout.position[real], torch.from_numpy(rows.position[indices]).long()[real])
        assert torch.equal(layout.real, real)
        assert (layout.segment is None) == (indices is whole)
        assert layout.bounds == (0, 7)
    on_device = torch.zeros(1, 8, dtype=torch.bool, device="meta")
    alone = pack([[2, 4, 4, 3], [2, *[4] * 7, 3]], 8, seed=0)
    assert alone.layout(np.array([0, 1]), on_device.expand(2, -1)).segment is None
