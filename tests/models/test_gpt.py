"""GPT: steps are the full pass, the future and other documents are out of sight, packing changes nothing."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from whyformer.config.validation import check
from whyformer.data.batches.packing import pack
from whyformer.errors import RecipeError
from whyformer.models.gpt import GPT, GPTSpec, gpt2_small
from whyformer.position.layout import Layout
from whyformer.training.loss import token_loss

V = 15
STACK: dict[str, object] = {
    "layers": 2,
    "block": {"attention": {"heads": {"query": 2}}, "feed_forward": {"hidden": 24}},
}
SMALL: dict[str, object] = {
    "preset": "tiny",
    "d_model": 16,
    "stack": STACK,
    "longest": 24,
    # Large weights: with those of GPT-2 every token would look alike.
    "deviation": None,
    "embedding": {"deviation": 1.0},
}


def build(**changes: object) -> GPT:
    torch.manual_seed(0)
    return check(GPTSpec, {**SMALL, **changes}, "a test").build(V).eval()


MODELS = {
    "learned": build(),
    "rotary, two tables": build(
        stack={**STACK, "positions": [{"kind": "rotary"}]},
        embedding={"tie": "none"},
    ),
}
TOKENS = torch.randint(4, V, (3, 9), generator=torch.Generator().manual_seed(0))
LENGTHS = torch.tensor([9, 1, 5])
VALID = torch.arange(9) < LENGTHS[:, None]


def alone(model: GPT, tokens: Tensor) -> Tensor:
    """Logits (V,) after ``tokens`` (L,), computed afresh and without padding."""
    return model.logits(model(tokens[None], Layout(torch.arange(len(tokens))[None]))[0, -1])


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
@settings(max_examples=20)
@given(
    selections=st.lists(
        st.one_of(st.none(), st.lists(st.integers(0, 10**6), min_size=1, max_size=7)), min_size=1, max_size=6
    ),
    seed=st.integers(0, 99),
)
def test_steps_after_unequal_prompts_are_the_full_pass_of_each_alone(
    model: GPT, selections: list[list[int] | None], seed: int
):
    generator = torch.Generator().manual_seed(seed)
    with torch.inference_mode():
        state = model.start(TOKENS, VALID)
        texts = [tokens[: length - 1] for tokens, length in zip(TOKENS, LENGTHS.tolist(), strict=True)]
        fed = TOKENS.gather(1, LENGTHS[:, None] - 1)[:, 0]
        for chosen in selections:
            if chosen is not None:
                rows = torch.tensor([number % len(texts) for number in chosen])
                state.select(rows)
                texts, fed = [texts[row] for row in rows.tolist()], fed[rows]
            texts = [torch.cat([text, token[None]]) for text, token in zip(texts, fed, strict=True)]
            expected = torch.stack([alone(model, text) for text in texts])
            torch.testing.assert_close(model.step(fed, state), expected, rtol=1e-5, atol=1e-5)
            fed = torch.randint(2, V, (len(texts),), generator=generator)


def test_prompts_of_one_token_need_no_reading():
    model = MODELS["learned"]
    with torch.inference_mode():
        state = model.start(TOKENS[:, :1], VALID[:, :1])
        logits = model.step(TOKENS[:, 0], state)
        torch.testing.assert_close(logits[1], alone(model, TOKENS[1, :1]), rtol=1e-5, atol=1e-5)


DOCUMENTS = [[2, *range(4, 4 + length), 3] for length in (3, 1, 6, 2, 0)]
PREDICTED = sum(len(each) - 1 for each in DOCUMENTS)


def influence(model: GPT, embedded: Tensor, layout: Layout, t: int) -> Tensor:
    """How much each input (L,) moves the state at ``t`` of the one row."""
    direction = torch.randn(embedded.shape[2], generator=torch.Generator().manual_seed(0))
    state = (model.stack(embedded, layout)[0, t] * direction).sum()
    return torch.autograd.grad(state, embedded)[0][0].abs().amax(dim=1)


def test_the_future_and_other_documents_have_exactly_no_influence():
    model, rows = MODELS["learned"], pack(DOCUMENTS, 20, seed=0)
    assert len(rows) == 1
    tokens, position, segment = (
        torch.from_numpy(part).long() for part in (rows.tokens, rows.position, rows.segment)
    )
    layout = Layout(position, segment > 0, segment)
    embedded = model.embed(tokens, layout)
    for t in range(int(rows.lengths[0])):
        seen = influence(model, embedded, layout, t) > 0
        own = (segment[0] == segment[0, t]) & (position[0] <= position[0, t]) & (segment[0] > 0)
        assert torch.equal(seen, own)


@pytest.mark.parametrize("mask", [{"kind": "causal"}, {"kind": "window", "left": 2, "right": 0}])
def test_packed_losses_and_gradients_are_those_of_the_documents_alone(mask: dict[str, object]):
    model = build(stack={**STACK, "mask": mask})

    def loss(length: int, documents: list[list[int]]) -> Tensor:
        rows = pack(documents, length, seed=0)
        tokens, gold, position, segment = (
            torch.from_numpy(part).long() for part in (rows.tokens, rows.gold, rows.position, rows.segment)
        )
        real = gold > 0
        hidden = model(tokens, Layout(position, real, segment))
        return token_loss(hidden[real], model.output_weight, gold[real], 0.0).loss / PREDICTED

    packed = loss(20, DOCUMENTS)
    apart = torch.stack([loss(len(each) - 1, [each]) for each in DOCUMENTS]).sum()
    torch.testing.assert_close(packed, apart, rtol=0, atol=1e-5)
    gradients = [torch.autograd.grad(total, list(model.parameters())) for total in (packed, apart)]
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_gpt2_small_is_as_published():
    spec = gpt2_small()
    assert (spec.stack.layers, spec.d_model, spec.stack.block.self_attention.heads.query) == (12, 768, 12)
    with torch.device("meta"):
        model = spec.build(50257)
    # 124,439,808: the size of the released weights.
    assert sum(parameter.numel() for parameter in model.parameters()) == 124_439_808


def test_first_weights_are_drawn_as_published():
    model = check(GPTSpec, {"preset": "tiny"}, "a test").build(500)
    deviation = {name: float(weight.detach().std()) for name, weight in model.named_parameters()}
    ends = 0.02 / np.sqrt(2 * 4)
    for name, expected in {
        "embedding.weight": 0.02,
        "stack.positions.0.table": 0.02,
        "stack.blocks.3.attention.query.weight": 0.02,
        "stack.blocks.3.attention.output.weight": ends,
        "stack.blocks.0.feed_forward.enter.weight": 0.02,
        "stack.blocks.0.feed_forward.leave.weight": ends,
    }.items():
        assert deviation[name] == pytest.approx(expected, rel=0.05), name


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"stack": {"mask": {"kind": "everything"}}}, "stack.mask lets a token see later ones, which leaks"),
        (
            {"stack": {"block": {"cross_attention": {}}}},
            "stack.block.cross_attention is set, but there is no",
        ),
        ({"embedding": {"tie": "all"}}, "embedding.tie is all, but there is no source to share with"),
        ({"longest": 300}, "stack.positions.0: 256 learned positions cannot serve sentences of up to 300"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(changes: dict[str, object], sentence: str):
    with pytest.raises(RecipeError, match=sentence):
        check(GPTSpec, {"preset": "tiny", **changes}, "a test")
