"""The sliced loss is its definition, and the definition is what theory says."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from whyformer.special_tokens import PAD
from whyformer.training.loss import TokenLoss, reference_token_loss, token_loss

N, M, V = 23, 8, 17


def example(dtype: torch.dtype = torch.float64, scale: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
    """Hidden states, table, gold tokens; the row of padding is large, so that it would show."""
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(N, M, generator=generator, dtype=torch.float64) * scale
    weight = torch.randn(V, M, generator=generator, dtype=torch.float64)
    weight[PAD] *= 10
    gold = torch.randint(1, V, (N,), generator=generator)
    return hidden.to(dtype).requires_grad_(), weight.to(dtype).requires_grad_(), gold


def by_hand(hidden: Tensor, weight: Tensor, gold: Tensor, smoothing: float) -> tuple[Tensor, Tensor]:
    """Cross-entropy of torch against the target distribution, written out; and the likelihood alone."""
    real = [token for token in range(V) if token != PAD]
    target = torch.full((len(gold), V - 1), smoothing / (V - 2), dtype=hidden.dtype)
    target[torch.arange(len(gold)), gold - 1] = 1 - smoothing
    logits = hidden @ weight[real].T
    return F.cross_entropy(logits, target, reduction="sum"), F.cross_entropy(
        logits, gold - 1, reduction="sum"
    )


def gradients(loss: Tensor, *inputs: Tensor) -> tuple[Tensor, ...]:
    return torch.autograd.grad(loss, inputs)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_the_definition_is_cross_entropy_over_real_tokens(smoothing: float, scale: float):
    hidden, weight, gold = example(scale=scale)
    expected, likelihood = by_hand(hidden, weight, gold, smoothing)
    actual = reference_token_loss(hidden, weight, gold, smoothing)
    torch.testing.assert_close(actual.loss.double(), expected, rtol=1e-6, atol=0)
    torch.testing.assert_close(
        actual.negative_log_likelihood.double(), likelihood.detach(), rtol=1e-6, atol=0
    )
    assert actual.tokens == N
    for one, other in zip(
        gradients(actual.loss, hidden, weight), gradients(expected, hidden, weight), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("rows", [1, 7, 22, N, 512])
@pytest.mark.parametrize("scale", [1.0, 30.0])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_slices_give_the_same_sums_and_gradients(
    smoothing: float, rows: int, scale: float, dtype: torch.dtype
):
    hidden, weight, gold = example(dtype, scale)
    expected = reference_token_loss(hidden, weight, gold, smoothing)
    actual = token_loss(hidden, weight, gold, smoothing, rows=rows)
    torch.testing.assert_close(actual.loss, expected.loss, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(
        actual.negative_log_likelihood, expected.negative_log_likelihood, rtol=1e-5, atol=1e-5
    )
    assert actual.tokens == N
    # Scaled, as the trainer does it.
    ours = gradients(actual.loss / 7, hidden, weight)
    for one, other in zip(ours, gradients(expected.loss / 7, hidden, weight), strict=True):
        assert one.dtype == dtype
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-4 if scale > 1 else 1e-6)


@pytest.mark.parametrize("body", [reference_token_loss, token_loss])
def test_padding_gets_no_mass_and_no_gradient(body: Callable[[Tensor, Tensor, Tensor, float], TokenLoss]):
    hidden, weight, gold = example()
    before = body(hidden, weight, gold, 0.1)
    weight_gradient = gradients(before.loss, weight)[0]
    assert not weight_gradient[PAD].any()
    assert (weight_gradient[PAD + 1 :].abs().sum(dim=1) > 0).all()
    with torch.no_grad():
        weight[PAD] = -weight[PAD] * 3
    after = body(hidden, weight, gold, 0.1)
    torch.testing.assert_close(after.loss, before.loss, rtol=1e-6, atol=0)


def test_without_gradients_the_sums_are_the_same():
    hidden, weight, gold = example(torch.float32)
    with_graph = token_loss(hidden, weight, gold, 0.1, rows=5)
    with torch.no_grad():
        without = token_loss(hidden, weight, gold, 0.1, rows=5)
    assert not without.loss.requires_grad
    torch.testing.assert_close(without.loss, with_graph.loss.detach(), rtol=1e-6, atol=0)
    torch.testing.assert_close(
        without.negative_log_likelihood, with_graph.negative_log_likelihood, rtol=1e-6, atol=0
    )


@pytest.mark.parametrize("autocast", [False, True])
def test_bf16_is_fp32_rounded(autocast: bool):
    hidden, weight, gold = example(torch.float32)
    expected = reference_token_loss(hidden, weight, gold, 0.1)
    half = hidden.detach().bfloat16().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        actual = token_loss(half, weight, gold, 0.1, rows=7)
    assert actual.loss.dtype == torch.float32
    torch.testing.assert_close(actual.loss, expected.loss, rtol=5e-3, atol=0)
    to_half, to_weight = gradients(actual.loss, half, weight)
    assert (to_half.dtype, to_weight.dtype) == (torch.bfloat16, torch.float32)
    for one, other in zip(
        (to_half.float(), to_weight), gradients(expected.loss, hidden, weight), strict=True
    ):
        assert float((one - other).norm() / other.norm()) < 0.02


def test_sums_add_up_over_parts():
    hidden, weight, gold = example(torch.float32)
    whole = token_loss(hidden, weight, gold, 0.1)
    parts = [token_loss(hidden[part], weight, gold[part], 0.1) for part in (slice(0, 9), slice(9, N))]
    total = parts[0].loss + parts[1].loss
    torch.testing.assert_close(total, whole.loss, rtol=1e-6, atol=0)
    assert sum(part.tokens for part in parts) == whole.tokens
    ours, theirs = gradients(total, hidden, weight), gradients(whole.loss, hidden, weight)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("grad", [True, False])
def test_no_tokens_cost_nothing(grad: bool):
    hidden, weight, gold = example(torch.float32)
    with torch.set_grad_enabled(grad):
        empty = token_loss(hidden[:0], weight, gold[:0], 0.1)
    assert (float(empty.loss.detach()), float(empty.negative_log_likelihood), empty.tokens) == (0.0, 0.0, 0)


def test_the_best_loss_under_smoothing_is_the_entropy_of_the_target():
    """1,000 real tokens and ε = 0.1: 1.0158 nats, where gold leads the others by ln(0.9 / (0.1 / 999))."""
    table = torch.eye(1001)
    gap = math.log(0.9 / (0.1 / 999))
    gold = torch.tensor([7])

    def loss(lead: float) -> tuple[float, Tensor]:
        hidden = torch.zeros(1, 1001)
        hidden[0, 7] = lead
        result = token_loss(hidden.requires_grad_(), table, gold, 0.1)
        return result.loss.item(), gradients(result.loss, hidden)[0]

    floor, gradient = loss(gap)
    assert floor == pytest.approx(1.0158, abs=5e-5)
    assert floor == pytest.approx(-0.9 * math.log(0.9) - 0.1 * math.log(0.1 / 999), rel=1e-6)
    assert float(gradient.abs().max()) < 1e-6
    assert min(loss(gap - 0.1)[0], loss(gap + 0.1)[0], loss(0.0)[0]) > floor
    # Without knowledge: as likely as any other of 1,000.
    assert loss(0.0)[0] == pytest.approx(math.log(1000), rel=1e-6)
