"""Layouts: what their makers tell is true, and stays true whatever is done to them."""

from dataclasses import replace

import torch
from hypothesis import given
from hypothesis import strategies as st

from whyformer.position.layout import Facts, Layout, real_tokens


def check(layout: Layout) -> None:
    """Everything that is known of ``layout`` holds of its tensors."""
    position, real, facts = layout.position, layout.real, layout.facts
    rows, length = position.shape
    if facts.start is not None:
        assert torch.equal(position, torch.arange(facts.start, facts.start + length).expand(rows, -1))
    if layout.bounds is not None and position.numel():
        assert layout.bounds[0] <= int(position.min())
        assert int(position.max()) <= layout.bounds[1] == layout.last
    lengths = real.sum(dim=1)
    if facts.shortest is not None or layout.lengths is not None:
        assert torch.equal(real, torch.arange(length) < lengths[:, None])
    if facts.shortest is not None and rows:
        assert facts.shortest <= int(lengths.min())
    if layout.lengths is not None:
        assert list(layout.lengths) == lengths.tolist()
    # What a CPU finds by looking is what was told, or less is told.
    looked = replace(layout, facts=Facts())
    assert facts.start in {None, looked.start} or not position.numel()
    assert layout.shortest is None or looked.shortest is None or layout.shortest <= looked.shortest


LENGTHS = st.lists(st.integers(0, 6), min_size=1, max_size=4)
OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("cut"), st.integers(0, 7), st.integers(0, 9)),
        st.tuples(st.just("select"), st.integers(0, 9), st.integers(0, 9)),
        st.tuples(st.just("counting"), st.integers(0, 9), st.integers(0, 4)),
        st.tuples(st.just("padded"), st.integers(0, 9), st.integers(1, 4)),
        st.tuples(st.just("shifted"), st.integers(0, 9), st.just(0)),
        st.tuples(st.just("without_last"), st.just(0), st.just(0)),
        st.tuples(st.just("in_rows"), st.just(0), st.just(0)),
    ),
    max_size=6,
)


def changed(layout: Layout, name: str, one: int, other: int) -> Layout:
    rows, length = layout.position.shape
    match name:
        case "cut":
            return layout.cut(slice(one, one + other))
        case "select":
            return layout.select(torch.tensor([one % rows, other % rows]))
        case "counting":
            # Half of the time it goes on where the other stops.
            start = (layout.facts.start or 0) + length if one % 2 else one
            return layout.followed_by(Layout.counting(rows, other, start=start))
        case "padded":
            valid = torch.arange(other) < torch.arange(rows)[:, None] + 1
            return layout.followed_by(Layout.right_padded(valid, valid.sum(dim=1).tolist()).shifted(one))
        case "shifted":
            return layout.shifted(one)
        case "without_last" if length and layout.lengths is not None and layout.facts.start == 0:
            return layout.without_last()
        case "in_rows":
            return layout.in_rows(1)
        case _:
            return layout


@given(LENGTHS, st.integers(0, 2), st.booleans(), OPERATIONS)
def test_what_is_known_of_a_layout_is_true(
    lengths: list[int], padding: int, told: bool, operations: list[tuple[str, int, int]]
):
    width = max(lengths) + padding
    valid = torch.arange(width) < torch.tensor(lengths)[:, None]
    layout = Layout.right_padded(valid, lengths if told else None)
    check(layout)
    for name, one, other in operations:
        layout = changed(layout, name, one, other)
        check(layout)


@given(st.lists(st.lists(st.booleans(), min_size=4, max_size=4), min_size=1, max_size=3))
def test_what_is_known_of_padding_on_either_side_is_true(valid: list[list[bool]]):
    check(Layout.of(torch.tensor(valid)))


def test_where_all_are_real_there_is_no_padding():
    assert Layout.right_padded(torch.ones(2, 3, dtype=torch.bool), [3, 3]).valid is None
    padded = Layout.right_padded(torch.tensor([[True, True], [True, False]]), [2, 1])
    assert padded.without_last().valid is not None
    assert padded.without_last().lengths == (1, 0)
    assert padded.lengths == (2, 1)
    assert padded.shortest == 1


def test_nobody_must_know_facts():
    valid = torch.tensor([[True, False]])
    layout = Layout.of(valid)
    assert Layout.of(layout) is layout
    assert real_tokens(layout) is real_tokens(valid) is valid
    assert real_tokens(Layout.counting(1, 2)).tolist() == [[True, True]]


def test_bare_tensors_tell_nothing_on_an_accelerator():
    bare = Layout(torch.zeros(2, 3, dtype=torch.int64, device="meta"))
    assert (bare.start, bare.bounds, bare.shortest) == (None, None, 3)
    hidden = replace(bare, valid=torch.zeros(2, 3, dtype=torch.bool, device="meta"))
    assert (hidden.shortest, hidden.lengths) == (None, None)
