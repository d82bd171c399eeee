"""What comes out for a sentence never depends on its batch."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from whyformer.data.batches.planning import length_batches
from whyformer.decoding.beam import BeamSpec
from whyformer.decoding.greedy import GreedySpec
from whyformer.decoding.sampling import SamplingSpec

sentences = st.lists(st.lists(st.integers(4, 6), min_size=1, max_size=6).map(tuple), min_size=1, max_size=7)
searches = st.one_of(
    st.builds(GreedySpec, longest_extra=st.integers(1, 6), no_repeat_ngram=st.sampled_from([None, 2])),
    st.builds(
        BeamSpec,
        size=st.integers(3, 5),
        n_best=st.integers(1, 3),
        length_penalty=st.sampled_from([0.0, 0.6, 2.0]),
        longest_factor=st.sampled_from([0.5, 1.0, 1.3]),
        longest_extra=st.integers(1, 6),
        shortest=st.integers(1, 3),
        prefix=st.sampled_from([(), (4,)]),
    ),
    st.builds(
        SamplingSpec,
        samples=st.integers(1, 3),
        top_k=st.sampled_from([None, 2]),
        top_p=st.sampled_from([0.7, 1.0]),
        longest_extra=st.integers(1, 6),
        seed=st.integers(0, 3),
    ),
)


@settings(max_examples=40, deadline=None)
@given(data=st.data(), sources=sentences, spec=searches, seed=st.integers(0, 1000))
@pytest.mark.parametrize("levels", [None, 1])
def test_batch_mates_do_not_matter(toy, decode, levels, data, sources, spec, seed):
    model = toy(seed, levels=levels)
    together = decode(model, sources, spec)
    alone = [decode(model, [source], spec, numbers=[n])[0] for n, source in enumerate(sources)]
    assert together == alone

    order = data.draw(st.permutations(range(len(sources))))
    padding = data.draw(st.integers(0, 3))
    shuffled = decode(model, [sources[n] for n in order], spec, extra=padding, left=True, numbers=order)
    assert shuffled == [together[n] for n in order]


def test_coverage_is_of_the_sentence_not_of_its_padding(toy, decode):
    sources = [(4, 5), (5, 4, 4, 6, 5, 5), (6,), (4, 4, 4)]
    for seed in range(20):
        model = toy(seed)
        spec = BeamSpec(size=4, n_best=2, coverage_penalty=0.5, longest_extra=4)
        together = decode(model, sources, spec)
        for source, hypotheses in zip(sources, together, strict=True):
            alone = decode(model, [source], spec)[0]
            assert [h.tokens for h in alone] == [h.tokens for h in hypotheses]
            assert [h.score for h in alone] == pytest.approx([h.score for h in hypotheses], abs=1e-6)


@settings(deadline=None)
@given(lengths=st.lists(st.integers(0, 20)), rows=st.integers(1, 5))
def test_length_batches_hold_every_sentence_once_longest_first(lengths, rows):
    batches = length_batches(lengths, rows)
    order = [index for batch in batches for index in batch]
    assert order == sorted(range(len(lengths)), key=lambda index: (-lengths[index], index))
    assert all(len(batch) == rows for batch in batches[:-1])
    assert all(0 < len(batch) <= rows for batch in batches)


def test_the_global_random_state_is_left_alone(toy, decode):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    decode(toy(0), [(4, 5)], SamplingSpec(samples=3))
    assert torch.equal(torch.get_rng_state(), before)
