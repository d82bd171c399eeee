"""Norm, feed-forward network and embedding, each against its formula."""

import math

import pytest
import torch
from torch import Tensor

from whyformer.dropout import Dropout
from whyformer.nn.embedding import EmbeddingSpec, TokenEmbedding, token_logits
from whyformer.nn.feed_forward import ReluSpec
from whyformer.nn.residual.norm import LayerNormSpec
from whyformer.nn.residual.placement import Depth, PeriNormSpec, PostNormSpec, PreNormSpec, ResidualSum
from whyformer.special_tokens import PAD

M = 6


def example(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def gradient(parameter: Tensor) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad


def test_layer_norm_is_its_formula():
    norm = LayerNormSpec(epsilon=0.1).build(M)
    with torch.no_grad():
        norm.weight.copy_(example(M))
        norm.bias.copy_(example(M).flip(0))
    x = example(2, 3, M)
    centred = x - x.mean(-1, keepdim=True)
    expected = centred / (centred.square().mean(-1, keepdim=True) + 0.1).sqrt() * norm.weight + norm.bias
    torch.testing.assert_close(norm(x), expected)
    assert torch.equal(norm(x, torch.zeros(2, 3, dtype=torch.bool)), norm(x))


def test_the_feed_forward_network_is_equation_2():
    network = ReluSpec(hidden=10).build(M)
    x = example(2, 3, M)
    hidden = (x @ network.enter.weight.T + network.enter.bias).clamp_min(0)
    torch.testing.assert_close(network(x), hidden @ network.leave.weight.T + network.leave.bias)
    assert (hidden == 0).any()


def test_the_feed_forward_network_drops_hidden_components():
    torch.manual_seed(0)
    network = ReluSpec(hidden=1000, dropout=0.5).build(1)
    with torch.no_grad():
        network.enter.bias.fill_(1.0)
        network.enter.weight.zero_()
        network.leave.weight.fill_(1.0)
    assert network.eval()(torch.zeros(1, 1, 1)).item() == pytest.approx(1000)
    drawn = network.train()(torch.zeros(1, 1, 1)).item()
    assert drawn != pytest.approx(1000)
    assert drawn == pytest.approx(1000, abs=200)


def test_placements_differ_in_where_the_norm_stands():
    norm, dropout = LayerNormSpec().build(M), Dropout(0.0)
    x, branch = example(1, 2, M), example(1, 2, M).flip(-1)
    depth = Depth(layers=1, branches=2)
    specs = (PostNormSpec(), PreNormSpec(), PeriNormSpec())
    post, pre, peri = (
        spec.build(lambda: LayerNormSpec().build(M), dropout, ResidualSum(), depth) for spec in specs
    )
    with torch.no_grad():
        peri.get_parameter("leaving_norm.weight").fill_(2.0)
    assert post.enter(x, None) is x
    torch.testing.assert_close(post.leave(x, branch, None), norm(x + branch))
    torch.testing.assert_close(pre.enter(x, None), norm(x))
    torch.testing.assert_close(pre.leave(x, branch, None), x + branch)
    torch.testing.assert_close(peri.enter(x, None), norm(x))
    torch.testing.assert_close(peri.leave(x, branch, None), x + 2 * norm(branch))


def test_embeddings_start_at_unit_variance_when_read():
    torch.manual_seed(0)
    table = TokenEmbedding(1000, 64, EmbeddingSpec())
    assert float(table.weight.detach().std()) == pytest.approx(1 / 8, rel=0.02)
    assert float(table(torch.arange(1, 1000)[None]).detach().std()) == pytest.approx(1.0, rel=0.02)
    torch.testing.assert_close(table(torch.tensor([[7]]))[0, 0], table.weight[7] * 8)
    unscaled = TokenEmbedding(1000, 64, EmbeddingSpec(scale=False))
    torch.testing.assert_close(unscaled(torch.tensor([[7]]))[0, 0], unscaled.weight[7])


def test_the_row_of_padding_is_zero_and_stays_zero():
    table = TokenEmbedding(5, M, EmbeddingSpec())
    tokens = torch.tensor([[1, PAD, 3, PAD]])
    hidden = table(tokens)
    assert not hidden[0, [1, 3]].any()
    logits = token_logits(hidden, table.weight)
    logits[..., PAD + 1 :].sum().backward()
    assert not gradient(table.weight)[PAD].any()
    assert gradient(table.weight)[1].any()


def test_padding_is_never_predicted():
    weight, hidden = example(5, M), example(2, 3, M)
    weight.requires_grad_()
    logits = token_logits(hidden, weight)
    assert (logits[..., PAD] == -math.inf).all()
    torch.testing.assert_close(logits[..., 1:], hidden @ weight[1:].T)
    probability = logits.softmax(-1)
    assert not probability[..., PAD].any()
    probability.square().sum().backward()
    assert not gradient(weight)[PAD].any()
    assert gradient(weight).isfinite().all()


def test_under_autocast_the_residual_path_starts_in_its_type():
    table = TokenEmbedding(5, M, EmbeddingSpec())
    assert table(torch.tensor([[1]])).dtype == torch.float32
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert table(torch.tensor([[1]])).dtype == torch.bfloat16
