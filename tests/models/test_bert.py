"""BERT: padding and other texts are out of sight, packing changes nothing, sizes are as published."""

from itertools import chain

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from whyformer.config.validation import check
from whyformer.errors import RecipeError
from whyformer.models.bert import BERT, BERTSpec, presets
from whyformer.nn.embedding import token_logits
from whyformer.position.layout import Layout

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
    # Large weights: with those of BERT every token would look alike.
    "deviation": None,
    "embedding": {"deviation": 1.0},
}


def build(**changes: object) -> BERT:
    torch.manual_seed(0)
    return check(BERTSpec, {**SMALL, **changes}, "a test").build(V).eval()


MODELS = {
    "learned": build(),
    "rotary, two tables": build(
        stack={**STACK, "positions": [{"kind": "rotary"}]}, embedding={"tie": "none", "deviation": 1.0}
    ),
    "transformer-xl, pre-norm": build(
        stack={
            **STACK,
            "positions": [{"kind": "transformer_xl"}],
            "block": {**STACK["block"], "placement": {"kind": "pre"}},  # pyright: ignore[reportGeneralTypeIssues]
        }
    ),
}
EACH_MODEL = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
texts = st.lists(st.lists(st.integers(4, V - 1), min_size=1, max_size=6), min_size=1, max_size=4)


def alone(model: BERT, text: list[int]) -> Tensor:
    """States (L,M) of ``text`` in a row of its own; its second half is of the second kind."""
    tokens, length = torch.tensor([text]), len(text)
    return model(tokens, Layout(torch.arange(length)[None]), kinds_of(length)[None])[0]


def kinds_of(length: int) -> Tensor:
    return (torch.arange(length) >= length // 2).long()


@EACH_MODEL
@settings(max_examples=20)
@given(texts=texts, padding=st.integers(0, 3), filler=st.integers(0, V - 1))
def test_padding_whatever_it_holds_changes_nothing(
    model: BERT, texts: list[list[int]], padding: int, filler: int
):
    longest = max(map(len, texts)) + padding
    tokens = torch.tensor([text + (longest - len(text)) * [filler] for text in texts])
    lengths = torch.tensor([len(text) for text in texts])
    kinds = torch.stack([torch.cat([kinds_of(n), torch.ones(longest - n).long()]) for n in lengths.tolist()])
    column = torch.arange(longest).expand(len(texts), -1)
    with torch.inference_mode():
        hidden = model(tokens, Layout(column, column < lengths[:, None]), kinds)
        for text, states in zip(texts, hidden, strict=True):
            torch.testing.assert_close(states[: len(text)], alone(model, text), rtol=1e-5, atol=1e-5)
        assert hidden.isfinite().all()


@EACH_MODEL
@settings(max_examples=20)
@given(texts=texts)
def test_texts_packed_into_a_row_are_those_alone(model: BERT, texts: list[list[int]]):
    tokens = torch.tensor([[*chain.from_iterable(texts)]])
    layout = Layout(
        torch.cat([torch.arange(len(text)) for text in texts])[None],
        segment=torch.cat([torch.full((len(text),), number) for number, text in enumerate(texts)])[None],
    )
    with torch.inference_mode():
        hidden = model(tokens, layout, torch.cat([kinds_of(len(text)) for text in texts])[None])[0]
        expected = torch.cat([alone(model, text) for text in texts])
    torch.testing.assert_close(hidden, expected, rtol=1e-5, atol=1e-5)


@EACH_MODEL
def test_a_state_reads_all_of_its_own_text_and_exactly_nothing_else(model: BERT):
    segment = torch.tensor([[1, 1, 1, 2, 2, 3, 3]])
    layout = Layout(torch.tensor([[0, 1, 2, 0, 1, 0, 1]]), segment < 3, segment)
    embedded = model.embed(torch.arange(4, 11)[None], layout)
    direction = torch.randn(16, generator=torch.Generator().manual_seed(0))
    for t in range(5):
        state = (model.stack(embedded, layout)[0, t] * direction).sum()
        seen = torch.autograd.grad(state, embedded)[0][0].abs().amax(dim=1) > 0
        assert torch.equal(seen, segment[0] == segment[0, t])


@pytest.mark.parametrize("model", [*MODELS.values()][:2], ids=[*MODELS][:2])
def test_scores_are_those_of_the_transformed_state_with_the_bias(model: BERT):
    assert model.masked is not None
    torch.nn.init.normal_(model.masked.bias)
    hidden = torch.randn(3, 16)
    table = (model.embedding if model.masked.own_output is None else model.masked.own_output).weight
    expected = model.masked(hidden) @ table.T + model.masked.bias
    torch.testing.assert_close(token_logits(*model.scored(hidden))[:, 1:], expected[:, 1:])


def test_kinds_are_told_apart_and_the_first_is_meant_if_none_are_given():
    model, tokens, layout = MODELS["learned"], torch.tensor([[4, 5, 6]]), Layout(torch.arange(3)[None])
    first, second = (model(tokens, layout, torch.full((1, 3), kind)) for kind in (0, 1))
    assert torch.equal(model(tokens, layout), first)
    assert not torch.allclose(first, second)


def test_a_batch_norm_in_the_head_normalises_over_hidden_tokens():
    model = build(stack={**STACK, "block": {**STACK["block"], "norm": {"kind": "batch"}}}).train()  # pyright: ignore[reportGeneralTypeIssues]
    assert model.masked is not None
    out = model.masked(torch.randn(50, 16))
    torch.testing.assert_close(out.mean(dim=0), torch.zeros(16), rtol=0, atol=1e-5)


def test_base_has_as_many_weights_as_published():
    with torch.device("meta"):
        model = check(BERTSpec, {"preset": "base"}, "a test").build(30522)
    numbers = {name: sum(each.numel() for each in part.parameters()) for name, part in model.named_children()}
    heads = {name: numbers.pop(name) for name in ("masked", "next_sentence")}
    # The released bert-base-uncased, without and with its heads.
    assert sum(numbers.values()) == 109_482_240
    assert heads == {"masked": 768 * 768 + 3 * 768 + 30522, "next_sentence": 2 * 768 + 2}
    assert sum(each.numel() for each in model.parameters()) == 110_106_428


@pytest.mark.parametrize(
    ("name", "millions"), [("tiny", 4.4), ("mini", 11.3), ("small", 29.1), ("base", 110.1)]
)
def test_the_other_sizes_are_as_published(name: str, millions: float):
    with torch.device("meta"):
        model = check(BERTSpec, {"preset": name}, "a test").build(30522)
    total = sum(each.numel() for each in model.parameters())
    assert name in presets()
    # Turc et al. 2019, table 1, count what is read: no transform and bias of the masked head.
    assert total / 1e6 == pytest.approx(millions, rel=0.03)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"stack": {"mask": {"kind": "causal"}}}, "stack.mask hides what follows"),
        ({"stack": {"block": {"cross_attention": {}}}}, "stack.block.cross_attention is set, but there is"),
        ({"embedding": {"tie": "all"}}, "embedding.tie is all, but there is no target to share with"),
        ({"pooler": False}, "heads has next_sentence, which reads the pooler; set pooler: true"),
        ({"token_types": 1}, "heads has next_sentence, which reads pairs; set token_types: 2"),
        ({"longest": 600}, "stack.positions.0: 512 learned positions cannot serve sentences of up to 600"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(changes: dict[str, object], sentence: str):
    with pytest.raises(RecipeError, match=sentence):
        check(BERTSpec, {"preset": "tiny", **changes}, "a test")
