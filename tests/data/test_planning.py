"""Batches: every sentence once, inside the budget, in an order that (seed, epoch, rank) decide."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from whyformer.data.batches.batch import Batch, PairBatch
from whyformer.data.batches.planning import _cut, padding_waste, plan_batches
from whyformer.data.batches.ranks import Ranks

Lengths = NDArray[np.int64]
BUDGET = 60


@st.composite
def corpora(draw: st.DrawFn) -> Lengths:
    pairs = draw(st.lists(st.tuples(st.integers(1, 90), st.integers(2, 90)), min_size=1, max_size=80))
    return np.array(pairs, dtype=np.int64)


def random_corpus(sentences: int = 2000) -> Lengths:
    return np.random.default_rng(0).integers(2, 40, size=(sentences, 2))


def as_lists(batches: list[NDArray[np.int64]]) -> list[list[int]]:
    return [batch.tolist() for batch in batches]


@given(corpora(), st.integers(0, 2**32), st.integers(0, 9))
def test_every_sentence_comes_once_an_epoch(lengths: Lengths, seed: int, epoch: int):
    batches = plan_batches(lengths, BUDGET, seed=seed, epoch=epoch)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))


@given(corpora(), st.integers(1, 200), st.integers(0, 9))
def test_the_budget_holds_but_for_a_sentence_that_exceeds_it_alone(lengths: Lengths, budget: int, epoch: int):
    for batch in plan_batches(lengths, budget, seed=0, epoch=epoch):
        assert int(lengths[batch].max()) * len(batch) <= budget or len(batch) == 1


def slow_cut(longer: list[int], budget: int) -> list[int]:
    """Sizes of batches, a sentence at a time."""
    sizes, rows, longest = list[int](), 0, 0
    for length in longer:
        if rows and max(longest, length) * (rows + 1) > budget:
            sizes.append(rows)
            rows, longest = 0, 0
        rows, longest = rows + 1, max(longest, length)
    return [*sizes, rows]


@given(corpora(), st.integers(1, 400), st.sampled_from([np.uint16, np.int64]))
def test_batches_are_cut_where_the_next_sentence_would_exceed_the_budget(
    lengths: Lengths, budget: int, kind: type[np.integer]
):
    order = np.arange(len(lengths))
    batches = _cut(lengths.max(axis=1).astype(kind), order, budget)
    assert np.concatenate(batches).tolist() == order.tolist()
    assert [len(batch) for batch in batches] == slow_cut(lengths.max(axis=1).tolist(), budget)


def test_the_budget_is_used_up():
    lengths = np.full((12, 2), 5)
    assert sorted(len(batch) for batch in plan_batches(lengths, 20, seed=0, epoch=0)) == [4, 4, 4]
    assert sorted(len(batch) for batch in plan_batches(lengths, 19, seed=0, epoch=0)) == [3, 3, 3, 3]


@given(corpora(), st.integers(1, 4), st.integers(0, 9))
def test_ranks_share_out_all_batches_and_none_twice(lengths: Lengths, ranks: int, epoch: int):
    whole = as_lists(plan_batches(lengths, BUDGET, seed=1, epoch=epoch))
    shares = [Ranks(rank, ranks).share(whole) for rank in range(ranks)]
    assert [shares[number % ranks][number // ranks] for number in range(len(whole))] == whole
    assert sum(map(len, shares)) == len(whole)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_the_order_is_a_function_of_seed_and_epoch():
    lengths = random_corpus()
    first = as_lists(plan_batches(lengths, 400, seed=1, epoch=0))
    assert as_lists(plan_batches(lengths.copy(), 400, seed=1, epoch=0)) == first
    np.random.default_rng(5).random()
    others = [
        as_lists(plan_batches(lengths, 400, seed=seed, epoch=epoch)) for seed, epoch in ((1, 1), (2, 0))
    ]
    assert others[0] != others[1]
    for other in others:
        assert other != first
        # Not only the order of batches: who meets whom differs too.
        assert {frozenset(batch) for batch in other} != {frozenset(batch) for batch in first}


def test_batches_come_in_no_order_of_length():
    lengths = random_corpus()
    longest = [int(lengths[batch].max()) for batch in plan_batches(lengths, 400, seed=0, epoch=0)]
    assert abs(float(np.corrcoef(longest, np.arange(len(longest)))[0, 1])) < 0.3


def test_sorting_by_length_saves_padding():
    lengths = random_corpus()
    sorted_waste = padding_waste(lengths, plan_batches(lengths, 400, seed=0, epoch=0))
    order = np.random.default_rng(0).permutation(len(lengths))
    random_waste = padding_waste(lengths, np.array_split(order, len(order) // 12))
    assert sorted_waste < random_waste / 2


def test_waste_is_the_share_of_padding():
    lengths = np.array([[2, 5], [4, 1], [3, 3]])
    # Rows 0 and 1: source 2 × 4 with 6 real, target 2 × 5 with 6 real; row 2 alone wastes nothing.
    assert padding_waste(lengths, [np.array([0, 1]), np.array([2])]) == pytest.approx(6 / 24)
    assert padding_waste(lengths, [np.array([2])]) == 0
    assert padding_waste(lengths, []) == 0


def test_an_empty_corpus_has_no_batches():
    assert plan_batches(np.empty((0, 2), dtype=np.int64), 10, seed=0, epoch=0) == []


def test_padding_is_on_the_right():
    batch = Batch.of([[5, 6, 7], [8], []])
    assert batch.tokens.tolist() == [[5, 6, 7], [8, 0, 0], [0, 0, 0]]
    assert batch.valid.tolist() == [[True] * 3, [True, False, False], [False] * 3]
    assert batch.tokens.dtype == torch.int64
    assert Batch.of([]).tokens.shape == Batch.of([]).valid.shape == (0, 0)
    assert Batch.of([[5]], "meta").to("meta").valid.is_meta


def test_padding_is_what_lies_beyond_a_sentence_and_not_a_token():
    assert Batch.of([[0, 5], [6]]).valid.tolist() == [[True, True], [True, False]]


def test_pairs_carry_their_marks():
    pairs = PairBatch.of([([5, 6], [7]), ([8], [9, 10, 11])])
    assert pairs.source.tokens.tolist() == [[5, 6, 3], [8, 3, 0]]
    assert pairs.target.tokens.tolist() == [[2, 7, 3, 0, 0], [2, 9, 10, 11, 3]]
    assert pairs.to("meta").target.tokens.is_meta


def test_some_rows_are_cut_to_their_longest():
    pairs = PairBatch.of([([5] * 4, [6]), ([7], [8, 9]), ([7], [8])])
    some = pairs.rows(1, 9)
    assert some.source.tokens.tolist() == [[7, 3], [7, 3]]
    assert some.target.tokens.tolist() == [[2, 8, 9, 3], [2, 8, 3, 0]]
    assert some.target.valid.tolist() == [[True] * 4, [True] * 3 + [False]]
