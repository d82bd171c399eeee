"""Batches of many examples: those of few, each worked out by itself, in memory that does not grow."""

import hashlib
import tracemalloc
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whyformer.data.batches import steps as training_batches
from whyformer.data.batches.by_length import ExamplesByLength, LengthPlan
from whyformer.data.batches.permutation import key_of, permuted
from whyformer.data.batches.planning import BatchingSpec, Lengths, padding_waste, plan_batches
from whyformer.data.batches.ranks import Ranks
from whyformer.data.batches.steps import TrainingBatches


@st.composite
def corpora(draw: st.DrawFn) -> Lengths:
    """Lengths of up to 300 examples: none, one, all alike, short ones, and a few that are very long."""
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    size, sides = draw(st.sampled_from([0, 1, 2, 37, 300])), draw(st.sampled_from([1, 2]))
    lengths = random.integers(1, draw(st.sampled_from([2, 5, 40])), (size, sides))
    if draw(st.booleans()) and size:
        lengths[random.integers(0, size, 3)] *= 1000
    return lengths.astype(draw(st.sampled_from([np.uint16, np.uint32, np.int64])))


def shapes(lengths: Lengths, batches: list[np.ndarray]) -> list[list[tuple[int, ...]]]:
    return sorted(sorted(map(tuple, lengths[batch].tolist())) for batch in batches)


@given(lengths=corpora(), budget=st.sampled_from([1, 7, 64, 4096]), epoch=st.integers(0, 3))
def test_batches_are_those_of_a_whole_plan_but_for_ties_and_order(lengths: Lengths, budget: int, epoch: int):
    whole = plan_batches(lengths, budget, seed=1, epoch=epoch)
    plan = LengthPlan(ExamplesByLength.of(lengths), budget, seed=1)
    batches = list(plan.batches(epoch))
    assert len(plan) == len(batches) == len(whole)
    assert sorted(number for batch in batches for number in batch.tolist()) == [*range(len(lengths))]
    assert shapes(lengths, batches) == shapes(lengths, whole)
    assert plan.padding_waste == pytest.approx(padding_waste(lengths, whole))
    assert (plan.examples, plan.tokens) == (len(lengths), int(lengths.sum(dtype=np.int64)))


@given(
    lengths=corpora(),
    accumulate=st.integers(1, 3),
    epoch=st.integers(0, 2),
    share=st.floats(0, 1),
    large=st.booleans(),
)
def test_a_training_that_resumes_sees_the_rest(
    lengths: Lengths, accumulate: int, epoch: int, share: float, large: bool
):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training_batches, "LARGE", 0 if large else 1 << 22)
        made = TrainingBatches(lengths, BatchingSpec(tokens=64, accumulate=accumulate), seed=3)
        if not len(lengths):
            assert made.steps_per_epoch == 0
            return
        steps = made.steps_per_epoch
        position = int(share * steps)
        again = TrainingBatches(lengths, BatchingSpec(tokens=64, accumulate=accumulate), seed=3)
        whole = list(islice(made.after(epoch, 0), steps + 1))
        rest = list(islice(again.after(epoch, position), steps + 1 - position))
    assert [(e, p) for e, p, _ in whole] == [*((epoch, place) for place in range(steps)), (epoch + 1, 0)]
    assert str(rest) == str(whole[position:])
    for ranks in (1, 2, 4):
        shares = [Ranks(rank, ranks).share(group) for rank in range(ranks) for _, _, group in whole[:-1]]
        numbers = sorted(number for share in shares for batch in share for number in batch.tolist())
        assert numbers == [*range(len(lengths))]


def test_epochs_and_seeds_have_orders_of_their_own():
    lengths = np.random.default_rng(0).integers(3, 9, (500, 2))
    plans = {seed: LengthPlan(ExamplesByLength.of(lengths), 40, seed=seed) for seed in (1, 2)}
    orders = [[batch.tolist() for batch in plans[s].batches(e)] for s, e in ((1, 0), (1, 1), (2, 0))]
    assert orders[0] == [batch.tolist() for batch in plans[1].batches(0)]
    groupings = [{frozenset(batch) for batch in order} for order in orders]
    assert all(
        len(a & b) < len(a) / 2 for a, b in ((groupings[0], groupings[1]), (groupings[0], groupings[2]))
    )
    longest = [int(lengths[batch].max()) for batch in plans[1].batches(0)]
    assert abs(float(np.corrcoef(longest, np.arange(len(longest)))[0, 1])) < 0.3


def test_the_order_of_few_examples_is_that_of_earlier_versions():
    lengths = np.random.default_rng(7).integers(2, 40, (1000, 2))
    made = TrainingBatches(lengths, BatchingSpec(tokens=300, accumulate=2), seed=5)
    text = str([[batch.tolist() for batch in group] for group in made.groups(3)])
    whole = plan_batches(lengths, 300, seed=5, epoch=3)
    assert text == str([[b.tolist() for b in whole[s : s + 2]] for s in range(0, len(whole), 2)])
    order = np.concatenate(whole).astype("<i8").tobytes()
    assert hashlib.sha256(order).hexdigest()[:16] == "394223fa64d82230"


@given(size=st.integers(1, 200), key=st.integers(0, 2**32))
@settings(max_examples=50)
def test_a_permutation_has_every_place_once(size: int, key: int):
    places, keys = np.arange(size), np.full(size, key_of([key]))
    found = permuted(places, np.full(size, size), keys)
    assert sorted(found.tolist()) == places.tolist()
    assert permuted(places[-1:], np.array([size]), keys[:1]).tolist() == found[-1:].tolist()


def test_every_place_of_a_permutation_is_as_likely():
    keys = np.random.default_rng(0).integers(0, 2**63, 4000).astype(np.uint64)
    for size in (2, 3, 7, 64, 1000):
        found = permuted(np.zeros(4000, dtype=np.int64), np.full(4000, size), keys)
        cells = min(size, 10)
        counts = np.bincount(found * cells // size, minlength=cells)
        expected = np.bincount(np.arange(size) * cells // size) / size * 4000
        assert float(((counts - expected) ** 2 / expected).sum()) < 40


def test_many_examples_need_little_memory():
    size = 10_000_000
    lengths = np.random.default_rng(0).integers(4, 60, (size, 2), dtype=np.uint16)
    tracemalloc.start()
    try:
        examples = ExamplesByLength.of(lengths)
        sorting = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        made = TrainingBatches(examples, BatchingSpec(), seed=1)
        steps = made.steps_per_epoch
        groups = [group for _, _, group in islice(made.after(4, steps - 50), 100)]
        planning = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert examples.order.nbytes == 4 * size
    assert sorting < 4 * size + (200 << 20)
    assert planning < 8 << 20
    numbers = np.concatenate([batch for group in groups for batch in group])
    assert len(np.unique(numbers[: len(numbers) // 2])) > len(numbers) // 4
