"""A sentence that nobody wants any more leaves its batch, and the others never notice."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from whyformer.decoding.beam import BeamSpec
from whyformer.decoding.greedy import GreedySpec
from whyformer.decoding.sampling import SamplingSpec
from whyformer.decoding.stopping import Wanted, still_wanted

SEARCHES = st.sampled_from(
    [
        GreedySpec(longest_extra=6, shortest=5),
        BeamSpec(size=3, n_best=2, longest_extra=6, shortest=5),
        BeamSpec(size=3, longest_extra=6, shortest=5, coverage_penalty=0.2),
        SamplingSpec(samples=2, longest_extra=6, shortest=5),
    ]
)
SENTENCES = st.lists(
    st.lists(st.integers(4, 5), min_size=1, max_size=5).map(tuple), min_size=1, max_size=6, unique=True
)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), sources=SENTENCES, spec=SEARCHES, step=st.integers(0, 4), seed=st.integers(0, 99))
def test_the_others_find_what_they_would_have_found(toy, decode, data, sources, spec, step, seed):
    model, expected = toy(seed), decode(toy(seed), sources, spec)
    leaving = data.draw(st.sets(st.integers(0, len(sources) - 1)))
    flags, rows = torch.ones(len(sources), dtype=torch.bool), list[int]()

    def watch(prefixes: torch.Tensor) -> None:
        rows.append(len(prefixes))
        if len(rows) == step:
            flags[[*leaving]] = False

    if step == 0:
        flags[[*leaving]] = False
    found = decode(model, sources, spec, wanted=Wanted.by(flags), watch=watch)
    for index, (ours, theirs) in enumerate(zip(found, expected, strict=True)):
        if index not in leaving:
            assert ours == theirs
    # All are alive for four steps; those that leave take no part in the next but one.
    each = (spec.size if isinstance(spec, BeamSpec) else 1) * (2 if isinstance(spec, SamplingSpec) else 1)
    assert all(count <= (len(sources) - len(leaving)) * each for count in model.rows_per_step[step + 1 :])
    if len(leaving) == len(sources):
        assert len(model.rows_per_step) <= step + 1


def test_flags_may_be_shared_and_chosen():
    flags = torch.tensor([True, False, True])
    wanted = Wanted(flags, torch.tensor([0, 0, 1, 2]))
    assert wanted.now().tolist() == [True, True, False, True]
    some = still_wanted(wanted, [3, 1])
    flags[2] = False
    assert some is not None
    assert some.now().tolist() == [False, True]
    assert still_wanted(None, [0]) is None
