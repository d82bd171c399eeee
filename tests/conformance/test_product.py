"""Every check on every pair of rows in `make test`; on whole products in `make test-slow`.

Attention and what surrounds it meet in a tensor (B,L,M) only. So the whole product of the axes inside
attention is tested, and that of the axes around it, each while the rows of the other take turns: 6,000
stacks. The product of these two would be 700,000.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import get_args

import pytest

from conformance import rows
from conformance.checks import CHECKS
from conformance.product import (
    AROUND,
    ATTENTION,
    AXES,
    IMPOSSIBLE,
    REDUCED,
    Cell,
    Combination,
    all_pairs,
    legal,
    pairs_of,
)
from whyformer.attention.gate import GateSpec
from whyformer.attention.keys import KeysSpec
from whyformer.attention.mask import Both, Either, MaskRule, Rule
from whyformer.attention.query_key_norm import QueryKeyNormSpec
from whyformer.attention.score import ScoreSpec
from whyformer.nn.feed_forward import FeedForwardSpec
from whyformer.nn.residual.norm import NormSpec
from whyformer.nn.residual.placement import PlacementSpec, ResidualSpec
from whyformer.nn.residual.values import ValueResidualSpec
from whyformer.position.positions import PositionSpec

Check = Callable[[Combination], None]
PRODUCTS = ((ATTENTION, "positions"), (AROUND, "feed_forward"))
"""The axes of each product, and the one whose rows are tests of their own."""
Record = Callable[[str, object], None]


@pytest.mark.parametrize(
    ("check", "c"),
    [
        pytest.param(check, c, id=f"{check.__name__}-{c}")
        for c in REDUCED
        for check, applies in CHECKS.items()
        if applies(c)
    ],
)
def test_a_combination_conforms(check: Check, c: Combination, record_property: Record):
    record_property("conforms", str(c))
    check(c)


def test_the_reduced_product_has_every_pair_of_rows():
    covered = {pair for c in REDUCED for pair in pairs_of(c)}
    assert covered == set(all_pairs()) - set(IMPOSSIBLE)
    assert {cell for pair in covered for cell in pair} == {(axis, row) for axis in AXES for row in AXES[axis]}


def kinds(union: object) -> set[str]:
    """The kinds that a tagged union offers."""
    return {member.model_fields["kind"].default for member in get_args(get_args(union)[0])}


def rules(rule: Rule) -> Iterator[str]:
    """The kinds of a rule and of those that it joins."""
    yield str(rule.model_dump()["kind"])
    if isinstance(rule, Both | Either):
        yield from rules(rule.first)
        yield from rules(rule.second)


@pytest.mark.parametrize(
    ("union", "used"),
    [
        (ScoreSpec, [row.spec.kind for row in rows.SCORES.values()]),
        (KeysSpec, [row.spec.kind for row in rows.KEYS.values()]),
        (QueryKeyNormSpec, [row.spec.kind for row in rows.QUERY_KEY_NORMS.values()]),
        (GateSpec, [row.spec.kind for row in rows.GATES.values()]),
        (PositionSpec, [scheme.spec.kind for row in rows.POSITIONS.values() for scheme in row]),
        (MaskRule, [kind for row in rows.MASKS.values() for kind in rules(row.rule)]),
        (ValueResidualSpec, [row.spec.kind for row in rows.VALUE_RESIDUALS.values()]),
        (NormSpec, [row.spec.kind for row in rows.NORMS.values()]),
        (PlacementSpec, [row.spec.kind for row in rows.PLACEMENTS.values()]),
        (ResidualSpec, [row.spec.kind for row in rows.RESIDUALS.values()]),
        (FeedForwardSpec, [row.spec.kind for row in rows.FEED_FORWARDS.values()]),
    ],
    ids=[
        "score",
        "keys",
        "query_key_norm",
        "gate",
        "positions",
        "mask",
        "value_residual",
        "norm",
        "placement",
        "residual",
        "feed_forward",
    ],
)
def test_every_kind_has_a_row(union: object, used: list[str]):
    assert kinds(union) == set(used)


@cache
def whole(axes: Sequence[str]) -> list[Combination]:
    return list(legal(axes))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("axes", "row"),
    [(axes, (axis, row)) for axes, axis in PRODUCTS for row in AXES[axis]],
    ids=lambda value: value[1] if len(value) == 2 else "whole",
)
def test_the_whole_product_conforms(axes: Sequence[str], row: Cell, record_property: Record):
    for c in whole(axes):
        if row in c._asdict().items():
            conforms(c)
            record_property("conforms", str(c))


def conforms(c: Combination) -> None:
    for check, applies in CHECKS.items():
        if applies(c):
            try:
                check(c)
            except Exception as error:
                error.add_note(f"{check.__name__}: {c}")
                raise
