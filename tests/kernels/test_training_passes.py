"""Residual, dropout, norms and softmax: compiled, they are the plain path, gradients included."""

from contextlib import nullcontext

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from kernels.conftest import Plainly
from whyformer.dropout import Dropout
from whyformer.kernels import rectifier
from whyformer.kernels.rms import rms_norm
from whyformer.kernels.softmax import softmax_over_keys
from whyformer.nn import feed_forward
from whyformer.nn.feed_forward import FeedForward
from whyformer.nn.residual.norm import LayerNorm
from whyformer.nn.residual.placement import PostNorm, ResidualSum

TYPES = [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)]


def distance(one: Tensor, other: Tensor) -> float:
    """Relative distance of two tensors in the mean."""
    return float((one.float() - other.float()).norm() / other.float().norm().clamp_min(1e-6))


def learned(place: PostNorm, x: Tensor, branch: Tensor) -> list[Tensor]:
    """Output and gradients of a branch's end, from a fixed seed."""
    torch.manual_seed(5)
    inputs = [each.detach().requires_grad_() for each in (x, branch)]
    made = place.leave(inputs[0], inputs[1], None)
    weights = torch.linspace(-1, 1, made.numel()).reshape(made.shape)
    found = torch.autograd.grad((made.float() * weights).sum(), [*inputs, *place.norm.parameters()])
    return [made.detach(), *found]


@pytest.mark.parametrize(("dtype", "tolerance"), TYPES)
@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 3, 7), (3, 5, 16), (2, 9, 128), (1, 40, 33)])
@pytest.mark.parametrize("probability", [0.0, 0.3])
@pytest.mark.parametrize("threads", [1, 2])
def test_a_branch_ends_as_on_the_plain_path(
    dtype: torch.dtype,
    tolerance: float,
    shape: tuple[int, ...],
    probability: float,
    threads: int,
    plainly: Plainly,
):
    torch.manual_seed(1)
    place = PostNorm(LayerNorm(shape[-1], 1e-5), Dropout(probability), ResidualSum())
    for parameter in place.norm.parameters():
        torch.nn.init.normal_(parameter)
    # The branch has gaps in memory.
    x, branch = torch.randn(shape).to(dtype), torch.randn(*shape[:2], 2 * shape[2]).to(dtype)[..., ::2]
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        ours = learned(place, x, branch)
    finally:
        torch.set_num_threads(before)
    with plainly():
        # In fp32: torch rounds its sums of bf16 numbers for gain and shift, ours are exact.
        theirs = learned(place, x.float(), branch.float())
    assert [each.dtype for each in ours] == [dtype] * 3 + [torch.float32] * 2
    for one, other in zip(ours, theirs, strict=True):
        assert one.shape == other.shape
        if shape[-1] > 1:  # one component alone has no variance: its gradient is rounding
            assert distance(one, other) < tolerance
    with torch.no_grad():
        torch.manual_seed(5)
        torch.testing.assert_close(place.leave(x, branch, None), ours[0], rtol=tolerance, atol=5 * tolerance)


def hidden_layer(network: FeedForward, x: Tensor) -> list[Tensor]:
    """Output of a network and gradients of its input and weights, from a fixed seed."""
    torch.manual_seed(5)
    given = x.detach().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=x.dtype == torch.bfloat16):
        made = network(given)
    weights = torch.linspace(-1, 1, made.numel()).reshape(made.shape)
    found = torch.autograd.grad((made.float() * weights).sum(), [given, *network.parameters()])
    return [made.detach(), *found]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 3, 7), (3, 5, 16), (1, 40, 33)])
@pytest.mark.parametrize("hidden", [1, 24, 65])
@pytest.mark.parametrize("probability", [0.0, 0.3])
@pytest.mark.parametrize("threads", [1, 2])
def test_a_hidden_layer_is_bit_for_bit_that_of_the_plain_path(
    dtype: torch.dtype,
    shape: tuple[int, ...],
    hidden: int,
    probability: float,
    threads: int,
    plainly: Plainly,
    monkeypatch: pytest.MonkeyPatch,
):
    torch.manual_seed(1)
    network = FeedForward(shape[-1], hidden, probability, F.relu)
    x = torch.randn(shape).to(dtype)
    with torch.no_grad():
        # Some of the hidden numbers are exactly zero, where a ReLU has no slope.
        network.enter.weight[::3] = 0.0
    taken: list[int] = []
    monkeypatch.setattr(
        feed_forward, "rectified", lambda *given: taken.append(1) or rectifier.rectified(*given)
    )
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        ours = hidden_layer(network, x)
        assert taken
        with plainly():
            theirs = hidden_layer(network, x)
    finally:
        torch.set_num_threads(before)
    for one, other in zip(ours, theirs, strict=True):
        assert one.dtype == other.dtype
        torch.testing.assert_close(one, other, rtol=0, atol=0)
    assert len(taken) == 1


def test_what_is_not_a_number_passes_a_hidden_layer(plainly: Plainly):
    values = torch.tensor([[float("nan"), float("inf"), -float("inf"), -0.0, 0.0, 2.0, -2.0, 1e-45]])
    for drops in (False, True):
        made: list[Tensor] = []
        for block in (nullcontext(), plainly()):
            with block:
                torch.manual_seed(3)
                x = values.repeat(5, 1).requires_grad_()
                dropout = Dropout(0.4 if drops else 0.0)
                left = FeedForward(8, 8, 0.0, F.relu)
                left.dropout = dropout
                y = left._activated(x * 1.0)
                y.sum().backward()
                assert x.grad is not None
                made += [y.detach(), x.grad]
        torch.testing.assert_close(made[0], made[2], rtol=0, atol=0, equal_nan=True)
        # Of what is no number or infinite, nothing that is left tells whether it was dropped.
        torch.testing.assert_close(made[1][:, 2:], made[3][:, 2:], rtol=0, atol=0)


def test_no_tokens_are_no_trouble():
    place = PostNorm(LayerNorm(8, 1e-5), Dropout(0.3), ResidualSum())
    nothing = torch.zeros(0, 3, 8, requires_grad=True)
    assert place.leave(nothing, nothing, None).shape == (0, 3, 8)


@pytest.mark.parametrize(("dtype", "tolerance"), TYPES)
@pytest.mark.parametrize("queries", [1, 5])
@pytest.mark.parametrize("keys", [1, 7, 16, 40])
@pytest.mark.parametrize("masked", [None, (3, 1), (1, 5), (3, 5)])
def test_the_softmax_is_that_of_torch(
    dtype: torch.dtype,
    tolerance: float,
    queries: int,
    keys: int,
    masked: tuple[int, int] | None,
    plainly: Plainly,
):
    torch.manual_seed(2)
    logits = (3 * torch.randn(3, 2, keys, queries)).to(dtype).transpose(2, 3).requires_grad_()
    weights, penalty = torch.randn(3, 2, queries, keys), None
    if masked is not None:
        forbidden = torch.rand(masked[0], 1, min(masked[1], queries), keys) < 0.4
        penalty = torch.zeros(forbidden.shape, dtype=dtype).masked_fill_(forbidden, torch.finfo(dtype).min)

    def made() -> list[Tensor]:
        softmax = softmax_over_keys(logits, penalty)
        return [softmax.detach(), *torch.autograd.grad((softmax.float() * weights).sum(), [logits])]

    ours = made()
    with plainly():
        theirs = made()
    for one, other in zip(ours, theirs, strict=True):
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
        torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)
    with torch.no_grad():
        torch.testing.assert_close(
            softmax_over_keys(logits, penalty), ours[0], rtol=tolerance, atol=tolerance
        )


@pytest.mark.parametrize(("dtype", "tolerance"), TYPES)
@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 3, 5, 7), (3, 4, 9, 32), (1, 2, 40, 33)])
@pytest.mark.parametrize("layout", ["rows", "split heads", "gaps"])
@pytest.mark.parametrize("threads", [1, 2])
def test_the_root_mean_square_is_that_of_torch(
    dtype: torch.dtype,
    tolerance: float,
    shape: tuple[int, ...],
    layout: str,
    threads: int,
    plainly: Plainly,
):
    torch.manual_seed(3)
    batch, heads, length, dim = shape
    x = {
        "rows": torch.randn(shape),
        "split heads": torch.randn(batch, length, heads * dim).unflatten(-1, (heads, -1)).transpose(1, 2),
        "gaps": torch.randn(batch, heads, length, 2 * dim)[..., ::2],
    }[layout].to(dtype)
    assert x.shape == shape
    gain, weights = torch.randn(dim).requires_grad_(), torch.randn(shape)

    def made(x: Tensor) -> list[Tensor]:
        x = x.detach().requires_grad_()
        normal = rms_norm(x, gain, 1e-3)
        return [normal.detach(), *torch.autograd.grad((normal.float() * weights).sum(), [x, gain])]

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        ours = made(x)
    finally:
        torch.set_num_threads(before)
    with plainly():
        theirs = made(x.float())
    assert [each.dtype for each in ours] == [dtype, dtype, torch.float32]
    for one, other in zip(ours, theirs, strict=True):
        assert one.shape == other.shape
        if dim > 1:  # one component alone has length 1 always: its gradient is rounding
            assert distance(one, other) < tolerance
    with torch.no_grad():
        torch.testing.assert_close(rms_norm(x, gain, 1e-3), ours[0], rtol=tolerance, atol=tolerance)
