"""Parts that newer Transformers add: left out they leave no trace, and who cannot compute them refuses them.

B batch · L length · M model dimension
"""

from typing import Any

import pytest
import torch
from torch import Tensor

from whyformer.attention.multihead import AttentionSpec
from whyformer.config.validation import check
from whyformer.engines.ctranslate2.weights import refuse_inexpressible
from whyformer.engines.native.plan import fault
from whyformer.errors import CheckpointError, RecipeError
from whyformer.models.transformer import Transformer, TransformerSpec
from whyformer.nn.stack import StackSpec

STACK = {"layers": 2, "block": {"attention": {"heads": {"query": 2}}, "feed_forward": {"hidden": 12}}}
READING = {"cross_attention": {"heads": {"query": 2}}}
QUERY_KEY_NORM = {"query_key_norm": {"kind": "rms"}}

# What a recipe says of a stack.
IN_BLOCKS: dict[str, dict[str, Any]] = {
    "attention.query_key_norm": {"attention": QUERY_KEY_NORM},
    "cross_attention.query_key_norm": {"cross_attention": QUERY_KEY_NORM},
    "attention.gate": {"attention": {"gate": {"kind": "sigmoid"}}},
    "cross_attention.gate": {"cross_attention": {"gate": {"kind": "sigmoid"}}},
    "feed_forward.kind": {"feed_forward": {"kind": "relu_squared"}},
    "residual.kind": {"residual": {"kind": "weighted", "embedded": True}},
    "placement.kind": {"placement": {"kind": "peri"}},
}
ADDITIONS: dict[str, dict[str, Any]] = {
    "value_residual.kind": {"value_residual": {"kind": "first_layer"}},
    **{f"block.{field}": {"block": change} for field, change in IN_BLOCKS.items()},
}
NATIVE = {
    field
    for field in ADDITIONS
    if field.endswith(("query_key_norm", "gate", "value_residual.kind", "block.placement.kind"))
}
"""Parts that the native engine has, too."""


def merged(whole: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """``whole`` with ``change`` laid over it."""
    made = dict(whole)
    for key, value in change.items():
        made[key] = merged(made.get(key, {}), value) if isinstance(value, dict) else value
    return made


def transformer(change: dict[str, Any]) -> TransformerSpec:
    decoder = merged(merged(STACK, {"mask": {"kind": "causal"}, "block": READING}), change)
    return check(TransformerSpec, {"d_model": 8, "encoder": STACK, "decoder": decoder}, "a test")


def built(change: dict[str, Any]) -> Transformer:
    torch.manual_seed(0)
    return transformer(change).build(9, 9)


@pytest.mark.parametrize("field", [field for field in ADDITIONS if not field.endswith("gate")])
def test_an_addition_changes_no_first_weight_that_there_was(field: str):
    before, after = built({}).state_dict(), built(ADDITIONS[field]).state_dict()
    assert before.keys() <= after.keys()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())


def test_a_gate_is_drawn_after_all_else_of_its_attention():
    drawn: list[dict[str, Tensor]] = []
    for change in ({}, {"gate": {"kind": "sigmoid"}}):
        torch.manual_seed(0)
        drawn.append(check(AttentionSpec, change, "a test").build(16).state_dict())
    before, after = drawn
    assert {"gate.open.weight"} == after.keys() - before.keys()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())


@pytest.mark.parametrize("field", ADDITIONS)
def test_engines_refuse_an_addition_by_its_field(field: str):
    assert fault(transformer({})) is None
    refuse_inexpressible(transformer({}))
    spec = transformer(ADDITIONS[field])
    said = fault(spec)
    assert said is None if field in NATIVE else (said or "").startswith(f"decoder.{field}")
    with pytest.raises(CheckpointError, match=f"cannot express this model's model.decoder.{field}"):
        refuse_inexpressible(spec)


@pytest.mark.parametrize("field", ADDITIONS)
def test_a_written_recipe_keeps_it(field: str):
    spec = transformer(ADDITIONS[field])
    assert check(TransformerSpec, spec.model_dump(mode="json"), "a test") == spec
    assert spec != transformer({})


def test_one_layer_has_no_values_to_mix():
    with pytest.raises(RecipeError, match="there is one layer; set layers to 2 or more"):
        check(StackSpec, {"layers": 1, "value_residual": {"kind": "first_layer"}}, "a test")
