"""The catalogue has all parts there are, and of pairs says exactly what the validator says."""

from typing import get_args

from whyformer.analysis.catalogue import catalogue
from whyformer.position.positions import PositionSpec

KNOWN = catalogue()

# By name; a part of the rule "both" is causal in the example that the catalogue takes.
REFUSED = {
    ("place cross_attention", "keys shared"),
    ("place cross_attention", "keys shared_unit"),
    ("heads grouped", "keys shared"),
    ("heads grouped", "keys shared_unit"),
    ("heads multi_query", "keys shared"),
    ("heads multi_query", "keys shared_unit"),
    ("keys shared_unit", "query_key_norm rms"),
    ("score additive", "positions rotary"),
    ("score additive", "positions shaw_keys"),
    ("score additive", "positions transformer_xl"),
    ("mask causal", "norm batch"),
    ("mask both", "norm batch"),
    ("norm none", "placement deep"),
}


def test_exactly_these_pairs_are_refused_each_with_a_reason():
    assert {(refusal.first, refusal.second) for refusal in KNOWN.refused} == REFUSED
    assert all(len(refusal.reason.split()) > 5 for refusal in KNOWN.refused)
    assert KNOWN.pairs > 700


def test_every_part_says_what_it_is_and_where_it_comes_from():
    for part in KNOWN.parts:
        assert part.meaning.endswith("."), part
        assert part.origin, part
    names = [(part.room, part.name) for part in KNOWN.parts]
    assert len(names) == len(set(names))


def test_every_member_of_a_union_is_a_part():
    kinds = {member().kind for member in get_args(get_args(PositionSpec)[0])}
    assert kinds | {"none"} == {part.name for part in KNOWN.parts if part.room == "positions"}
