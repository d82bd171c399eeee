"""A recurrence in the place of self-attention: fast is slow, in pieces is whole, and what refuses it.

B batch · L length · M model dimension
"""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor

from whyformer.attention.mask import Causal, Window
from whyformer.attention.multihead import AttentionSpec
from whyformer.config.validation import check
from whyformer.models.gpt import GPTSpec
from whyformer.models.transformer import Transformer, TransformerSpec
from whyformer.nn.recurrent.ssru import SSRU, SSRUSpec, carry
from whyformer.nn.stack import BlockSpec, StackSpec
from whyformer.position.layout import Layout
from whyformer.position.positions import PositionSpec
from whyformer.position.rotary import RotarySpec
from whyformer.tap import record
from whyformer.tasks.words import stack_words

M = 8
WRITING = BlockSpec(attention=None, recurrence=SSRUSpec(), cross_attention=AttentionSpec())
RECIPE: dict[str, Any] = {
    "preset": "tiny",
    "d_model": 16,
    "decoder": {"layers": 1, "block": {"attention": None, "recurrence": {"kind": "ssru"}}},
}


def unit(dtype: torch.dtype = torch.float64) -> SSRU:
    torch.manual_seed(0)
    made = SSRUSpec().build(M)
    torch.nn.init.normal_(made.forget.bias)
    return made.to(dtype)


def loop(keep: Tensor, new: Tensor, first: Tensor) -> Tensor:
    """The recurrence as it is written, left to autograd."""
    states = [first]
    for column in range(keep.shape[1]):
        states.append(keep[:, column] * states[-1] + new[:, column])
    return torch.stack(states[1:], dim=1)


@settings(max_examples=30)
@given(rows=st.integers(1, 4), length=st.integers(1, 40), seed=st.integers(0, 99))
def test_the_fast_recurrence_is_the_loop_gradients_included(rows: int, length: int, seed: int):
    generator = torch.Generator().manual_seed(seed)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64).requires_grad_()

    inputs = [drawn(rows, length, M).sigmoid(), drawn(rows, length, M), drawn(rows, M)]
    direction = torch.randn(rows, length, M, generator=generator, dtype=torch.float64)
    fast, slow = carry(*inputs), loop(*inputs)
    torch.testing.assert_close(fast, slow, rtol=1e-12, atol=1e-12)
    gradients = [torch.autograd.grad((x * direction).sum(), inputs, retain_graph=True) for x in (fast, slow)]
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-11)


def test_gradients_are_those_of_finite_differences():
    torch.manual_seed(0)
    inputs = [torch.rand(2, 5, 3), torch.randn(2, 5, 3), torch.randn(2, 3)]
    assert torch.autograd.gradcheck(carry, tuple(x.double().requires_grad_() for x in inputs))


def test_gates_that_are_shut_or_open_stay_finite():
    """A product of gates divided by another, as prefix products do it, would be 0 / 0 here."""
    keep = torch.tensor([0.0, 1.0, 1e-38, 1.0, 0.0]).repeat(400)[None, :, None].requires_grad_()
    new = torch.randn(1, 2000, 1).requires_grad_()
    states = carry(keep, new, torch.zeros(1, 1))
    gradients = torch.autograd.grad(states.sum(), [keep, new])
    assert all(x.isfinite().all() for x in (states, *gradients))


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_on_either_side_is_as_if_it_were_not_there(side: str):
    made, x = unit(), torch.randn(2, 6, M, dtype=torch.float64)
    real = torch.arange(6) >= 2 if side == "left" else torch.arange(6) < 4
    alone = made(x[1:, real], None, None)
    both = made(x, torch.stack([torch.ones(6).bool(), real]), None)
    torch.testing.assert_close(both.output[1:, real], alone.output)
    torch.testing.assert_close(both.state[1:], alone.state)


def test_narrow_inputs_have_a_wide_state():
    x = torch.randn(1, 64, M)
    with torch.no_grad():
        wide, narrow = unit(torch.float32)(x, None, None), unit(torch.bfloat16)(x.bfloat16(), None, None)
    assert (narrow.output.dtype, narrow.state.dtype) == (torch.bfloat16, torch.float32)
    assert float((narrow.state - wide.state).abs().max()) < 0.05 * float(wide.state.abs().max())


def model() -> Transformer:
    torch.manual_seed(0)
    return check(TransformerSpec, RECIPE, "a test").build(20, 20).eval()


def test_a_recipe_turns_it_on():
    spec = check(TransformerSpec, RECIPE, "a test")
    assert stack_words(spec.decoder).startswith("1 layer of ssru, post-norm")
    assert TransformerSpec.model_validate(spec.model_dump()) == spec
    with record(built := spec.build(20, 20), "*.weights") as tape, torch.inference_mode():
        tokens = torch.randint(4, 20, (2, 5))
        valid = torch.ones(2, 5, dtype=torch.bool)
        _ = built(tokens, valid, tokens, valid)
    assert not [name for name in tape if name.startswith("decoder.blocks.0.attention")]
    assert [name for name in tape if name.startswith("decoder.blocks.0.cross_attention")]


def test_a_unit_has_two_matrices_and_a_bias():
    own = sum(p.numel() for p in SSRUSpec().build(M).parameters())
    assert own == 2 * M * M + M


def test_what_was_written_before_it_came_loads_as_it_was():
    """Recipes and weights of runs that are older than the field."""
    written = TransformerSpec().model_dump()
    for side in ("encoder", "decoder"):
        del written[side]["block"]["recurrence"]
    assert TransformerSpec.model_validate(written) == TransformerSpec()
    names = set(check(TransformerSpec, {"preset": "tiny"}, "a test").build(9, 9).state_dict())
    assert not [name for name in names if "recurrence" in name]


def test_a_step_does_not_depend_on_what_was_written():
    """Caches hold one state a layer and row, and follow their rows."""
    built, source = model(), torch.randint(4, 20, (2, 5))
    with torch.inference_mode():
        state = built.start(source, torch.ones(2, 5, dtype=torch.bool))
        for _ in range(3):
            _ = built.step(torch.randint(4, 20, (2,)), state)
        (before,) = state.cache.states
        state.select(torch.tensor([1, 1, 0]))
        (after,) = state.cache.states
    assert before is not None
    assert after is not None
    assert torch.equal(after, before[[1, 1, 0]])
    assert after.shape == (3, 16)


REFUSED: dict[str, tuple[dict[str, object], str]] = {
    "both": ({"attention": AttentionSpec()}, "set attention: null"),
    "neither": ({"recurrence": None}, "no recurrence takes its place"),
    "an encoder": ({"cross_attention": None}, "recurrence is for the decoder"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_block_has_one_of_both_and_a_memory(name: str):
    change, reason = REFUSED[name]
    with pytest.raises(ValidationError, match=reason):
        BlockSpec.model_validate({**WRITING.model_dump(), **change})


def test_a_stack_around_it_is_causal_and_adds_its_positions():
    for mask in (Window(left=3, right=0), Causal() & Causal()):
        with pytest.raises(ValidationError, match="use causal"):
            StackSpec(mask=mask, block=WRITING)
    rotary: tuple[PositionSpec, ...] = (RotarySpec(),)
    with pytest.raises(ValidationError, match=r"positions\.0\.kind rotary acts inside self-attention"):
        StackSpec(mask=Causal(), positions=rotary, block=WRITING)
    assert StackSpec(mask=Causal(), positions=(), block=WRITING)
    with pytest.raises(ValidationError, match="no source to attend to"):
        GPTSpec(stack=StackSpec(mask=Causal(), block=WRITING))


def test_another_rule_and_packed_rows_are_refused():
    stack = StackSpec(layers=1, mask=Causal(), block=WRITING).build(M)
    x, layout = torch.randn(1, 4, M), Layout.counting(1, 4)
    with pytest.raises(ValueError, match="knows no other mask"):
        stack(x, layout, rule=Window(left=1, right=0))
    with pytest.raises(ValueError, match="do not pack them"):
        stack(x, Layout(layout.position, None, torch.tensor([[0, 0, 1, 1]])))
