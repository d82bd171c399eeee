"""The fused kernel is the reference, only faster: same outputs, same gradients, same dropout."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from whyformer.attention import kernel
from whyformer.attention.kernel import Taps, attend, fused, prefers_fused
from whyformer.attention.mask import Causal, Everything, Mask, Rule
from whyformer.attention.score import Additive, Dot
from whyformer.dropout import Dropout
from whyformer.position.axis import Axis

B, H, D = 3, 2, 8
Body = Callable[..., Tensor]


def reference_body(
    query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, mask: Mask, p: float
) -> Tensor:
    taps, dropout = Taps(), Dropout(p)
    context, weights = attend(
        query, key, value, score=Dot(1.0), bias=bias, mask=mask, dropout=dropout, need_weights=True, taps=taps
    )
    assert weights is not None
    return context


def fused_body(
    query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, mask: Mask, p: float
) -> Tensor:
    return fused(query, key, value, bias=bias, mask=mask, dropout=Dropout(p))


BODIES = pytest.mark.parametrize("body", [reference_body, fused_body])


def valid_keys(keys: int, padding: str) -> Tensor | None:
    """Sentences of different lengths; with "empty" the second has no token at all."""
    if padding == "none":
        return None
    lengths = torch.tensor([keys, 0 if padding == "empty" else max(1, keys // 2), max(1, keys - 1)])[:, None]
    column = torch.arange(keys)
    return column >= keys - lengths if padding == "left" else column < lengths


def mask_of(rule: Rule, padding: str, queries: int, keys: int) -> Mask:
    """The last ``queries`` of ``keys`` positions look at all of them."""
    valid = valid_keys(keys, padding)
    whole = Axis(torch.arange(keys).expand(B, -1)) if valid is None else Axis.of(valid)
    if queries == keys:
        return Mask(rule, whole, whole)
    return Mask(rule, Axis(whole.position[:, keys - queries :]), whole)


def run(body: Body, mask: Mask, queries: int, keys: int, *, biased: bool, dtype: torch.dtype) -> list[Tensor]:
    """The context, then the gradients of query, key, value and bias for a random direction."""
    generator = torch.Generator().manual_seed(queries * 100 + keys)

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator).to(dtype).requires_grad_()

    query, key, value = random(B, H, queries, D), random(B, H, keys, D), random(B, H, keys, D)
    bias = random(1, H, queries, keys) if biased else None
    context = body(query, key, value, bias, mask, 0.0)
    inputs = [query, key, value, *([bias] if bias is not None else [])]
    return [context, *torch.autograd.grad((context * random(B, H, queries, D)).sum(), inputs)]


SHAPES = pytest.mark.parametrize(("queries", "keys"), [(7, 7), (1, 7), (3, 8), (40, 40)])
RULES = pytest.mark.parametrize(
    "rule", [Everything(), Causal(), Causal() & Everything()], ids=["every", "causal", "both"]
)
PADDINGS = pytest.mark.parametrize("padding", ["none", "right", "left", "empty"])


@SHAPES
@RULES
@PADDINGS
@pytest.mark.parametrize("biased", [False, True])
def test_fused_is_the_reference_in_fp32(queries: int, keys: int, rule: Rule, padding: str, biased: bool):
    mask = mask_of(rule, padding, queries, keys)
    expected = run(reference_body, mask, queries, keys, biased=biased, dtype=torch.float32)
    actual = run(fused_body, mask, queries, keys, biased=biased, dtype=torch.float32)
    for one, other in zip(actual, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


@RULES
@PADDINGS
@BODIES
def test_bf16_is_fp32_rounded(body: Body, rule: Rule, padding: str):
    mask = mask_of(rule, padding, 7, 7)
    expected = run(reference_body, mask, 7, 7, biased=True, dtype=torch.float32)
    actual = run(body, mask, 7, 7, biased=True, dtype=torch.bfloat16)
    for one, other in zip(actual, expected, strict=True):
        assert one.dtype == torch.bfloat16
        torch.testing.assert_close(one.float(), other, rtol=0.05, atol=0.05)


@BODIES
@RULES
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_query_without_keys_gets_zeros_and_gives_none(body: Body, rule: Rule, dtype: torch.dtype):
    mask = mask_of(rule, "empty", 5, 5)
    results = run(body, mask, 5, 5, biased=False, dtype=dtype)
    context, query_gradient, key_gradient, value_gradient = results
    assert all(result.isfinite().all() for result in results)
    for silent in (context, query_gradient, key_gradient, value_gradient):
        assert not silent[1].any()
        assert silent[0].any()
        assert silent[2].any()


@BODIES
def test_a_hidden_key_has_no_influence_at_all(body: Body):
    mask = mask_of(Everything(), "right", 6, 6)
    _, _, key_gradient, value_gradient = run(body, mask, 6, 6, biased=False, dtype=torch.float32)
    assert mask.keys.valid is not None
    for gradient in (key_gradient, value_gradient):
        # (B,H,K,D) -> (B,K,H,D), to be indexed by (B,K)
        assert not gradient.transpose(1, 2)[~mask.keys.valid].any()


@BODIES
def test_the_reference_is_equation_1(body: Body):
    generator = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(B, H, 4, D, generator=generator) for _ in range(3))
    context = body(query, key, value, None, mask_of(Causal(), "none", 4, 4), 0.0)
    for b in range(B):
        for h in range(H):
            for q in range(4):
                seen = [float(query[b, h, q] @ key[b, h, k]) for k in range(q + 1)]
                weights = torch.tensor(seen).softmax(0)
                expected = sum(weight * value[b, h, k] for k, weight in enumerate(weights))
                torch.testing.assert_close(context[b, h, q], expected, rtol=1e-5, atol=1e-6)


@BODIES
def test_causal_compares_positions_and_not_columns(body: Body):
    axis = Axis(torch.tensor([[0, 0, 1, 1], [3, 2, 1, 0], [0, 1, 2, 3]]))
    mask = Mask(Causal(), axis, axis)
    value = torch.eye(4).expand(B, H, 4, 4)
    weights = body(torch.zeros(B, H, 4, D), torch.zeros(B, H, 4, D), value, None, mask, 0.0)
    half, third, quarter = 1 / 2, 1 / 3, 1 / 4
    torch.testing.assert_close(
        weights[:2, 0],
        torch.tensor(
            [
                [[half, half, 0, 0], [half, half, 0, 0], [quarter] * 4, [quarter] * 4],
                [[quarter] * 4, [0, third, third, third], [0, 0, half, half], [0, 0, 0, 1]],
            ]
        ),
    )


@BODIES
def test_dropout_acts_on_the_weights_and_keeps_their_mean(body: Body):
    torch.manual_seed(0)
    p, keys = 0.25, 16
    axis = Axis(torch.arange(keys).expand(64, -1))
    zeros, ones = torch.zeros(64, 4, keys, D), torch.ones(64, 4, keys, D)
    context = body(zeros, zeros, ones, None, Mask(Everything(), axis, axis), p)
    # One draw serves all D components of a context, which would differ if the context itself were dropped.
    assert torch.equal(context.amin(-1), context.amax(-1))
    total = context[..., 0]
    assert float(total.mean()) == pytest.approx(1.0, abs=0.01)
    # A mean of K values that are 1/(1-p) or 0 has variance p/(1-p)/K.
    assert float(total.var()) == pytest.approx(p / (1 - p) / keys, rel=0.1)


@BODIES
def test_dropout_rests_in_evaluation(body: Body):
    mask = mask_of(Everything(), "none", 5, 5)
    query, key, value = torch.randn(3, B, H, 5, D)
    dropout = Dropout(0.5).eval()
    expected = body(query, key, value, None, mask, 0.0)
    context, _ = attend(
        query,
        key,
        value,
        score=Dot(1.0),
        bias=None,
        mask=mask,
        dropout=dropout,
        need_weights=True,
        taps=Taps(),
    )
    torch.testing.assert_close(context, expected)
    torch.testing.assert_close(fused(query, key, value, bias=None, mask=mask, dropout=dropout), expected)


def test_long_inputs_are_fused_and_short_ones_are_not(monkeypatch: pytest.MonkeyPatch):
    long, token = torch.empty(1, 1, 256, D), torch.empty(1, 1, 1, D, device="meta")
    assert prefers_fused(long, long, Dot(1.0), None)
    assert not prefers_fused(long, long[:, :, 1:], Dot(1.0), None)
    assert prefers_fused(token, token, Dot(1.0), None)
    assert not prefers_fused(long, long, Additive(heads=1, dim=D), None)
    learned = torch.zeros(1, requires_grad=True)
    assert prefers_fused(long, long, Dot(1.0), learned.detach())
    assert not prefers_fused(long, long, Dot(1.0), learned)
    mask = mask_of(Causal(), "right", 9, 9)
    query, key, value = torch.randn(3, B, H, 9, D)

    def run(need_weights: bool, taps: Taps) -> tuple[Tensor, Tensor | None]:
        return attend(
            query,
            key,
            value,
            score=Dot(1.0),
            bias=None,
            mask=mask,
            dropout=Dropout(0.0),
            need_weights=need_weights,
            taps=taps,
        )

    short, weights = run(False, Taps())
    assert weights is not None
    monkeypatch.setattr(kernel, "LONG", 81)
    long, none = run(False, Taps())
    assert none is None
    torch.testing.assert_close(long, short)
    assert run(True, Taps())[1] is not None
    taps = Taps()
    taps.weights.listeners.append(lambda _: None)
    assert run(False, taps)[1] is not None
