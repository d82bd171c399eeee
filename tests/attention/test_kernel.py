"""The fast bodies are the reference, only faster or smaller: same outputs, same gradients, same dropout."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from whyformer.attention import kernel
from whyformer.attention import mask as masks
from whyformer.attention.blocked import blocked
from whyformer.attention.kernel import choose, fused
from whyformer.attention.mask import Causal, Chunk, Everything, Mask, Rule, SameSegment, Window
from whyformer.attention.multihead import Taps, attend, weigh
from whyformer.attention.score import Additive, Dot, Score
from whyformer.dropout import Dropout
from whyformer.position.layout import Layout

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


def blocked_body(
    query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, mask: Mask, p: float
) -> Tensor:
    assert bias is None
    dropout = Dropout(p)

    def body(query: Tensor, key: Tensor, value: Tensor, mask: Mask) -> Tensor:
        return dropout(weigh(Dot(1.0)(query, key), mask)) @ value

    return blocked(body, query, key, value, mask)


BODIES = pytest.mark.parametrize("body", [reference_body, fused_body, blocked_body])


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(masks, "ROWS", 3)


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
    whole = Layout(torch.arange(keys).expand(B, -1)) if valid is None else Layout.of(valid)
    if queries == keys:
        return Mask(rule, whole, whole)
    return Mask(rule, Layout(whole.position[:, keys - queries :]), whole)


def run(body: Body, mask: Mask, queries: int, keys: int, *, biased: bool, dtype: torch.dtype) -> list[Tensor]:
    """The context of real tokens, then the gradients of query, key, value and bias for a random direction."""
    generator = torch.Generator().manual_seed(queries * 100 + keys)

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator).to(dtype).requires_grad_()

    query, key, value = random(B, H, queries, D), random(B, H, keys, D), random(B, H, keys, D)
    bias = random(1, H, queries, keys) if biased else None
    context = body(query, key, value, bias, mask, 0.0)
    if queries == keys and mask.keys.valid is not None:
        # (B,K) -> (B,1,Q,1); what padding asks for means nothing
        context = context * mask.keys.valid[:, None, :, None]
    inputs = [query, key, value, *([bias] if bias is not None else [])]
    return [context, *torch.autograd.grad((context * random(B, H, queries, D)).sum(), inputs)]


SHAPES = pytest.mark.parametrize(("queries", "keys"), [(7, 7), (1, 7), (3, 8), (40, 40)])
RULES = pytest.mark.parametrize(
    "rule",
    [
        Everything(),
        Causal(),
        Causal() & Everything(),
        Window(left=2, right=1),
        Chunk(size=2, left_chunks=1),
        Causal() | Window(left=0, right=1),
    ],
    ids=["every", "causal", "both", "window", "chunk", "either"],
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


@SHAPES
@RULES
@PADDINGS
def test_blocked_is_the_reference_in_fp32(queries: int, keys: int, rule: Rule, padding: str):
    mask = mask_of(rule, padding, queries, keys)
    expected = run(reference_body, mask, queries, keys, biased=False, dtype=torch.float32)
    actual = run(blocked_body, mask, queries, keys, biased=False, dtype=torch.float32)
    for one, other in zip(actual, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


def test_blocks_of_packed_sentences_leave_out_what_is_packed_beside_them():
    position = torch.tensor([[0, 1, 2, 3, 0, 1, 2, 0, 1, 2]]).expand(B, -1)
    segment = torch.tensor([[0, 0, 0, 0, 1, 1, 1, 2, 2, 2]]).expand(B, -1)
    layout = Layout(position, segment=segment)
    mask = Mask(Causal() & SameSegment(), layout, layout)
    assert [(keys.start, keys.stop) for _, keys in mask.blocks] == [(0, 3), (0, 6), (4, 9), (7, 10)]
    assert mask.narrow
    expected = run(reference_body, mask, 10, 10, biased=False, dtype=torch.float32)
    for one, other in zip(
        run(blocked_body, mask, 10, 10, biased=False, dtype=torch.float32), expected, strict=True
    ):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("rule", "columns"),
    [
        (Everything(), [(0, 6), (0, 6)]),
        (Causal(), [(0, 3), (0, 6)]),
        (Window(left=1, right=2), [(0, 5), (2, 6)]),
        (Chunk(size=2, left_chunks=1), [(0, 4), (0, 6)]),
        (Causal() & Window(left=1, right=2), [(0, 3), (2, 6)]),
        (Causal() | Window(left=1, right=2), [(0, 5), (0, 6)]),
    ],
    ids=["every", "causal", "window", "chunk", "both", "either"],
)
def test_a_block_meets_only_the_keys_in_its_reach(rule: Rule, columns: list[tuple[int, int]]):
    layout = Layout(torch.arange(6)[None])
    assert [(keys.start, keys.stop) for _, keys in Mask(rule, layout, layout).blocks] == columns


def test_dropped_blocks_drop_the_same_again_in_the_gradient():
    layout = Layout(torch.arange(7).expand(B, -1))
    mask = Mask(Causal(), layout, layout)
    query, key, value = torch.randn(3, B, H, 7, D, dtype=torch.float64).unbind()

    def context(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        torch.manual_seed(3)
        return blocked_body(query, key, value, None, mask, 0.5)

    inputs = [x.requires_grad_() for x in (query, key, value)]
    assert torch.autograd.gradcheck(context, inputs, fast_mode=True)
    total = context(*inputs).sum()
    before = torch.get_rng_state()
    total.backward()
    assert torch.equal(torch.get_rng_state(), before)


def test_one_block_is_the_whole_with_the_very_draws_of_the_reference(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(masks, "ROWS", 7)
    layout = Layout(torch.arange(7).expand(B, -1))
    mask = Mask(Causal(), layout, layout)
    query, key, value = torch.randn(3, B, H, 7, D)
    torch.manual_seed(3)
    dropped = blocked_body(query, key, value, None, mask, 0.5)
    torch.manual_seed(3)
    torch.testing.assert_close(dropped, reference_body(query, key, value, None, mask, 0.5))


def test_blocks_are_made_in_the_gradient_as_they_were():
    """Under autocast too, where gradients are made outside of it."""
    mask = mask_of(Window(left=2, right=1), "right", 7, 7)
    query, key, value = (x.requires_grad_() for x in torch.randn(3, B, H, 7, D).unbind())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        context = blocked_body(query, key, value, None, mask, 0.0)
        whole = reference_body(query, key, value, None, mask, 0.0)
    assert context.dtype == whole.dtype
    for one, other in zip(
        torch.autograd.grad(context.float().sum(), (query, key, value)),
        torch.autograd.grad(whole.float().sum(), (query, key, value)),
        strict=True,
    ):
        torch.testing.assert_close(one, other, rtol=0.05, atol=0.05)


@RULES
@PADDINGS
@BODIES
def test_bf16_is_fp32_rounded(body: Body, rule: Rule, padding: str):
    mask = mask_of(rule, padding, 7, 7)
    biased = body is not blocked_body
    expected = run(reference_body, mask, 7, 7, biased=biased, dtype=torch.float32)
    actual = run(body, mask, 7, 7, biased=biased, dtype=torch.bfloat16)
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
    layout = Layout(torch.tensor([[0, 0, 1, 1], [3, 2, 1, 0], [0, 1, 2, 3]]))
    mask = Mask(Causal(), layout, layout)
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
    layout = Layout(torch.arange(keys).expand(64, -1))
    zeros, ones = torch.zeros(64, 4, keys, D), torch.ones(64, 4, keys, D)
    context = body(zeros, zeros, ones, None, Mask(Everything(), layout, layout), p)
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


def test_each_body_is_chosen_where_it_is_best():
    long, token = torch.empty(1, 1, 512, D), torch.empty(1, 1, 1, D, device="meta")
    layout = Layout(torch.arange(512)[None])
    dot, rest, learned = Dot(1.0), Dropout(0.0), torch.zeros(1, requires_grad=True)

    def chosen(
        query: Tensor,
        key: Tensor,
        rule: Rule | None = None,
        score: Score = dot,
        bias: Tensor | None = None,
        dropout: Dropout = rest,
    ) -> str:
        return choose(
            query, key, score=score, bias=bias, mask=Mask(rule or Causal(), layout, layout), dropout=dropout
        )

    assert chosen(long, long) == "fused"
    assert chosen(long, long[:, :, 1:]) == "plain"
    assert chosen(token, token) == "fused"
    assert chosen(long, long, score=Additive(heads=1, dim=D)) == "plain"
    assert chosen(long, long, bias=learned.detach()) == "fused"
    assert chosen(long, long, bias=learned) == "plain"
    assert chosen(long, long, dropout=Dropout(0.1)) == "blocked"
    assert chosen(long, long, dropout=Dropout(0.1).eval()) == "fused"
    assert chosen(long, long, rule=Window(left=16, right=16)) == "blocked"
    assert chosen(long, long, rule=Window(left=200, right=200)) == "fused"


def test_long_inputs_are_fused_and_short_ones_are_not(monkeypatch: pytest.MonkeyPatch):
    mask = mask_of(Causal(), "left", 9, 9)
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
    taps.weights.add(lambda _: None)
    assert run(False, taps)[1] is not None
