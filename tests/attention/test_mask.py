"""Masks: one polarity, rules that combine, padding on either side, and no wrong tensor gets in."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from whyformer.attention.mask import (
    Both,
    Causal,
    Chunk,
    Either,
    Everything,
    Mask,
    MaskRule,
    SameSegment,
    Window,
)
from whyformer.position.layout import Layout

NEAR = Window(left=1, right=1)


def plain(length: int, batch: int = 1) -> Layout:
    return Layout(torch.arange(length).expand(batch, -1))


def test_true_means_may_attend():
    allowed = Causal().allows(plain(3), plain(3))[0]
    assert allowed.tolist() == [[True, False, False], [True, True, False], [True, True, True]]
    assert Everything().allows(plain(3), plain(3)).all()


def test_rules_combine():
    assert (NEAR & Causal()).draw(4) == "x . . .\nx x . .\n. x x .\n. . x x"
    assert (NEAR | Causal()).draw(4) == "x x . .\nx x x .\nx x x x\nx x x x"
    assert Causal() & Everything() == Both(first=Causal(), second=Everything())
    assert Causal() | Everything() == Either(first=Causal(), second=Everything())


def test_a_recipe_can_name_combined_rules():
    text = {"kind": "both", "first": {"kind": "causal"}, "second": {"kind": "window", "left": 2, "right": 2}}
    assert TypeAdapter[MaskRule](MaskRule).validate_python(text) == Causal() & Window(left=2, right=2)


@pytest.mark.parametrize(
    ("rule", "causal"),
    [
        (Everything(), False),
        (Causal(), True),
        (Window(left=3, right=0), True),
        (Window(left=3, right=1), False),
        (Chunk(size=1), True),
        (Chunk(size=2), False),
        (SameSegment(), False),
        (Causal() & SameSegment(), True),
        (SameSegment() | Causal(), False),
        (Causal() | Window(left=9, right=0), True),
    ],
)
def test_a_rule_knows_whether_it_is_causal(rule: MaskRule, causal: bool):
    assert rule.causal == causal
    upper = rule.allows(plain(8), plain(8)).expand(1, 8, 8)[0].triu(1)
    assert bool(upper.any()) != causal


def test_segments_are_needed_only_where_they_exist():
    layout = Layout(plain(4).position, segment=torch.tensor([[0, 0, 1, 1]]))
    assert SameSegment().allows(layout, layout)[0].int().tolist() == [[1, 1, 0, 0]] * 2 + [[0, 0, 1, 1]] * 2
    assert SameSegment().allows(plain(4), plain(4)).all()


@given(st.integers(1, 6), st.integers(0, 5))
def test_causality_knows_where_a_query_stands(keys: int, back: int):
    queries = min(keys, back + 1)
    allowed = Causal().allows(Layout(plain(keys).position[:, keys - queries :]), plain(keys))
    assert torch.equal(allowed[0], torch.ones(keys, keys).tril().bool()[keys - queries :])


def test_positions_count_from_the_first_real_token():
    valid = torch.tensor([[1, 1, 1, 0, 0], [0, 0, 1, 1, 1], [0, 0, 0, 0, 0]]).bool()
    layout = Layout.of(valid)
    assert layout.position[0, :3].tolist() == [0, 1, 2]
    assert layout.position[1, 2:].tolist() == [0, 1, 2]
    assert int(layout.position.min()) == 0
    assert layout.valid is valid


def test_an_axis_selects_sentences():
    layout = Layout.of(torch.tensor([[True, False], [True, True]])).select(torch.tensor([1, 1, 0]))
    assert layout.position.tolist() == [[0, 1], [0, 1], [0, 1]]
    assert layout.valid is not None
    assert layout.valid.tolist() == [[True, True], [True, True], [True, False]]
    assert plain(2).select(torch.tensor([0, 0])).valid is None


@pytest.mark.parametrize(
    ("position", "valid", "complaint"),
    [
        (torch.zeros(1, 2), None, "int64.*float32"),
        (torch.zeros(1, 2, dtype=torch.int32), None, "int64.*int32"),
        (torch.zeros(2, dtype=torch.int64), None, r"\(B,L\).*\(2,\)"),
        (torch.zeros(1, 2, 3, dtype=torch.int64), None, r"\(B,L\).*\(1, 2, 3\)"),
        (torch.zeros(1, 2, dtype=torch.int64), torch.ones(1, 2), "bool.*float32"),
        (torch.zeros(1, 2, dtype=torch.int64), torch.ones(1, 2, dtype=torch.int64), "bool.*int64"),
        (torch.zeros(1, 2, dtype=torch.int64), torch.ones(1, 3).bool(), r"like position.*\(1, 3\)"),
        (torch.zeros(1, 2, dtype=torch.int64), torch.ones(2).bool(), r"like position.*\(2,\)"),
    ],
)
def test_a_wrong_axis_is_refused_at_birth(position: torch.Tensor, valid: torch.Tensor | None, complaint: str):
    with pytest.raises(TypeError, match=complaint):
        Layout(position, valid)


def test_a_mask_over_two_batches_is_refused_at_birth():
    with pytest.raises(ValueError, match="queries of 1 sentences cannot read keys of 2"):
        Mask(Everything(), plain(2), plain(2, batch=2))


def test_a_mask_joins_rule_and_padding():
    layout = Layout.of(torch.tensor([[True, True, False], [False, True, True]]))
    allowed = Mask(Causal(), layout, layout).allowed
    assert allowed is not None
    assert allowed.shape == (2, 1, 3, 3)
    # Row 1, column 0 is padding: as a query it may see what stands at position 0, as a key it is never seen.
    assert allowed[0, 0, :2].tolist() == [[True, False, False], [True, True, False]]
    assert allowed[1, 0, 1:].tolist() == [[False, True, False], [False, True, True]]
    assert not allowed[1, 0, :, 0].any()


def test_where_nothing_is_forbidden_there_is_no_matrix():
    assert Mask(Everything(), plain(3), plain(3)).allowed is None
    full = Layout.of(torch.ones(1, 3, dtype=torch.bool))
    for mask in (Mask(Everything(), full, full), Mask(Causal(), Layout(torch.tensor([[2]])), full)):
        assert mask.allowed is None
        assert mask.reachable is None
        assert mask.penalty(torch.float32) is None


def test_the_penalty_is_finite_and_made_once():
    layout = plain(2)
    mask = Mask(Causal(), layout, layout)
    for dtype in (torch.float32, torch.bfloat16):
        penalty = mask.penalty(dtype)
        assert penalty is not None
        lowest = torch.finfo(dtype).min
        assert penalty.dtype == dtype
        assert penalty[0, 0].tolist() == [[0.0, lowest], [0.0, 0.0]]
        assert mask.penalty(dtype) is penalty


def test_reachable_marks_queries_that_see_a_key():
    layout = Layout.of(torch.tensor([[True, True], [False, False]]))
    reachable = Mask(Causal(), layout, layout).reachable
    assert reachable is not None
    assert reachable.expand(2, 1, 2, 1).squeeze().tolist() == [[True, True], [False, False]]
    reachable = Mask(Window(left=1, right=0), layout, layout).reachable
    assert reachable is not None
    assert reachable.squeeze().tolist() == [[True, True], [False, False]]
    assert Mask(Causal(), plain(2), plain(2)).reachable is None


def test_only_the_lower_triangle_is_plain_causal():
    layout, padded = plain(3), Layout.of(torch.tensor([[True, True, False]]))
    tied = Layout(torch.tensor([[0, 0, 1]]))
    assert Mask(Causal(), layout, layout).is_plain_causal
    assert not Mask(Everything(), layout, layout).is_plain_causal
    assert Mask(Causal(), padded, padded).is_plain_causal
    left = Layout.of(torch.tensor([[False, True, True]]))
    hole = Layout(layout.position, torch.tensor([[True, False, True]]))
    assert not Mask(Causal(), left, left).is_plain_causal
    assert not Mask(Causal(), hole, hole).is_plain_causal
    assert not Mask(Causal(), Layout(layout.position[:, 1:]), layout).is_plain_causal
    assert not Mask(Causal(), tied, tied).is_plain_causal


def combined(rules: st.SearchStrategy[MaskRule]) -> st.SearchStrategy[MaskRule]:
    pairs = st.tuples(rules, rules)
    return st.one_of(pairs.map(lambda pair: pair[0] & pair[1]), pairs.map(lambda pair: pair[0] | pair[1]))


SIMPLE: st.SearchStrategy[MaskRule] = st.one_of(
    st.sampled_from([Everything(), Causal(), SameSegment()]),
    st.builds(Window, left=st.integers(0, 4), right=st.integers(0, 3)),
    st.builds(Chunk, size=st.integers(1, 4), left_chunks=st.one_of(st.none(), st.integers(0, 2))),
)
RULES = st.recursive(SIMPLE, combined, max_leaves=4)


def looks_ahead(rule: MaskRule, size: int) -> bool:
    """Whether a query sees a key of a later piece, counted out."""
    layout = plain(24)
    allowed = rule.allows(layout, layout).expand(1, 24, 24)[0]
    piece = layout.position[0] // size
    return bool((allowed & (piece[None, :] > piece[:, None])).any())


@given(RULES, st.integers(1, 12))
def test_a_rule_says_yes_to_pieces_only_where_none_looks_ahead(rule: MaskRule, size: int):
    assert not (rule.exact_in_pieces(size) and looks_ahead(rule, size))


@given(st.one_of(SIMPLE, st.tuples(SIMPLE, SIMPLE).map(lambda pair: pair[0] | pair[1])), st.integers(1, 12))
def test_a_rule_says_no_to_pieces_only_where_one_looks_ahead(rule: MaskRule, size: int):
    assert rule.exact_in_pieces(size) != looks_ahead(rule, size)


@pytest.mark.parametrize(
    ("rule", "sizes"),
    [
        (Everything(), []),
        (Causal(), [1, 2, 3, 4, 5, 6]),
        (Window(left=2, right=0), [1, 2, 3, 4, 5, 6]),
        (Window(left=2, right=1), []),
        (Chunk(size=3), [3, 6]),
        (SameSegment(), []),
        (Chunk(size=2, left_chunks=1) & SameSegment(), [2, 4, 6]),
        (Chunk(size=2) & Chunk(size=3), [2, 3, 4, 6]),
        (Chunk(size=2) | Chunk(size=3), [6]),
        (Window(left=0, right=1) & Window(left=1, right=0), [1, 2, 3, 4, 5, 6]),
    ],
)
def test_a_rule_knows_the_pieces_in_which_it_is_exact(rule: MaskRule, sizes: list[int]):
    assert [size for size in range(1, 7) if rule.exact_in_pieces(size)] == sizes


def layouts(start: int, length: int) -> list[Layout]:
    """The same tokens, once with facts and once without."""
    told = Layout.counting(2, length, start=start)
    return [told, Layout(told.position.clone())]


@given(RULES, st.integers(0, 9), st.integers(1, 9), st.integers(0, 9), st.integers(1, 9), st.booleans())
def test_what_is_simpler_between_two_layouts_allows_the_same(
    rule: MaskRule, asking: int, queries: int, read: int, keys: int, packed: bool
):
    for mine, theirs in zip(layouts(asking, queries), layouts(read, keys), strict=True):
        if packed:
            mine, theirs = (
                Layout(side.position, segment=side.position // 5, facts=side.facts) for side in (mine, theirs)
            )
        simple, shape = rule.between(mine, theirs), (2, queries, keys)
        assert torch.equal(simple.allows(mine, theirs).expand(shape), rule.allows(mine, theirs).expand(shape))


def test_rules_are_simpler_where_their_parts_have_nothing_to_say():
    apart, row = Causal() & SameSegment(), Layout.counting(3, 5)
    assert apart.between(row, row) == Causal()
    assert apart.between(Layout.counting(3, 1, start=4), row) == Everything()
    assert Window(left=4, right=0).between(Layout.counting(3, 1, start=4), row) == Everything()
    near = Window(left=3, right=0)
    assert near.between(Layout.counting(3, 1, start=4), row) is near
    segments = Layout(row.position, segment=row.position // 2, facts=row.facts)
    assert apart.between(segments, segments) is apart
    assert (Causal() | Everything()).between(row, row) == Everything()
