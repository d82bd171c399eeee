"""Refused is what the table of refusals says, no more and no less, with a sentence that names a key."""

from collections.abc import Callable, Iterator
from itertools import combinations, product
from random import Random

import pytest
from pydantic import ValidationError

from conformance.product import AXES, FAULTY, Combination, refusals, written
from whyformer.config.validation import check
from whyformer.errors import RecipeError
from whyformer.models.transformer import TransformerSpec

EVERY_ROW = {axis: [*AXES[axis], *FAULTY.get(axis, ())] for axis in AXES}
NEVER_REFUSED = {"gate": "open", "value_residual": "own_values", "residual": "sum", "padding": "unpadded"}
"""Axes that go with everything, and a row of each."""
Record = Callable[[str, object], None]


def every_pair() -> Iterator[Combination]:
    """Each pair of rows, the faulty ones too, with random rows of all other axes."""
    random = Random(0)
    for one, other in combinations(EVERY_ROW, 2):
        for row, other_row in product(EVERY_ROW[one], EVERY_ROW[other]):
            drawn = {axis: random.choice(rows) for axis, rows in AXES.items()}
            yield Combination(**{**drawn, one: row, other: other_row})


def test_a_pair_is_refused_for_its_documented_reason_or_not_at_all(record_property: Record):
    seen, refused = set[str](), 0
    for c in every_pair():
        reasons = refusals(c)
        seen.update(reasons)
        if not reasons:
            assert check(TransformerSpec, written(c), "the product").d_model
            continue
        refused += 1
        with pytest.raises(RecipeError) as complaint:
            check(TransformerSpec, written(c), "the product")
        _, *sentences = str(complaint.value).splitlines()
        for sentence in sentences:
            assert any(reason in sentence for reason in reasons), f"{c}: {sentence}"
            stack = "encoder" if c.memory == "alone" else "decoder"
            assert sentence.strip().startswith(stack), f"{c}: {sentence}"
    assert len(seen) == 14
    record_property("refused", refused)


@pytest.mark.slow
def test_the_whole_product_is_refused_where_documented_and_nowhere_else(record_property: Record):
    refused, names = 0, [axis for axis in EVERY_ROW if axis not in NEVER_REFUSED]
    for chosen in product(*(EVERY_ROW[axis] for axis in names)):
        c = Combination(**dict(zip(names, chosen, strict=True)), **NEVER_REFUSED)
        expected = bool(refusals(c))
        assert is_refused(c) == expected, str(c)
        refused += expected
    record_property("refused", refused)


def is_refused(c: Combination) -> bool:
    try:
        _ = TransformerSpec.model_validate(written(c))
    except ValidationError:
        return True
    return False
