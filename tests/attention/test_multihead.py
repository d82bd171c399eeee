"""Heads: how they are cut, shared, started, and what projecting costs."""

import math

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from whyformer.attention.heads import HeadsSpec, merge, repeat_key_value_heads, split
from whyformer.attention.mask import Causal, Mask
from whyformer.attention.multihead import AttentionSpec, KeyValues, MultiHeadAttention
from whyformer.attention.score import ScaledDotSpec
from whyformer.position.attention_shape import AttentionShape
from whyformer.position.layout import Layout
from whyformer.position.positions import Positions
from whyformer.position.scheme import PositionScheme

M, L = 24, 6


def build(**heads: int | bool) -> MultiHeadAttention:
    torch.manual_seed(0)
    return AttentionSpec(heads=HeadsSpec.model_validate({"query": 4, **heads})).build(M).double()


def self_attend(attention: MultiHeadAttention, x: Tensor, positions: Positions | None = None) -> Tensor:
    positions = Positions([]) if positions is None else positions
    layout = Layout.of(torch.tensor([[True] * L, [True] * (L - 2) + [False] * 2]))
    return attention(
        x, attention.key_values(x, positions, layout.position), Mask(Causal(), layout, layout), positions
    )


def example() -> Tensor:
    return torch.randn(
        2, L, M, dtype=torch.float64, generator=torch.Generator().manual_seed(1)
    ).requires_grad_()


def test_splitting_and_merging_are_inverse():
    x = torch.arange(2 * 3 * 8).view(2, 3, 8)
    assert split(x, 4).shape == (2, 4, 3, 2)
    assert torch.equal(split(x, 4)[1, 2, 0], x[1, 0, 4:6])
    assert torch.equal(merge(split(x, 4)), x)


def test_shared_heads_stand_side_by_side():
    x = torch.tensor([10, 20]).view(1, 2, 1, 1)
    assert repeat_key_value_heads(x, 3).flatten().tolist() == [10, 10, 10, 20, 20, 20]
    assert repeat_key_value_heads(x, 1) is x


@pytest.mark.parametrize("pairs", [1, 2])
def test_grouped_heads_are_heads_with_repeated_weights(pairs: int):
    grouped, full = build(key_value=pairs), build()
    full.load_state_dict(grouped.state_dict() | repeated(grouped, pairs))
    x = example()
    expected, actual = self_attend(full, x), self_attend(grouped, x)
    torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-10)

    actual.square().sum().backward()
    expected.square().sum().backward()
    # What a shared head is taught is the sum of what its copies are taught.
    for name in ("key", "value"):
        shared, copies = gradient(grouped, name), gradient(full, name)
        head = M // 4
        summed = copies.view(pairs, 4 // pairs, head, M).sum(dim=1).view(pairs * head, M)
        torch.testing.assert_close(shared, summed, rtol=1e-10, atol=1e-10)


def gradient(attention: MultiHeadAttention, name: str) -> Tensor:
    found = attention.get_submodule(name).get_parameter("weight").grad
    assert found is not None
    return found


def repeated(grouped: MultiHeadAttention, pairs: int) -> dict[str, Tensor]:
    """The key and value parameters with each head's rows written once for every query head that reads it."""
    return {
        name: tensor.unflatten(0, (pairs, -1)).repeat_interleave(4 // pairs, dim=0).flatten(0, 1)
        for name, tensor in grouped.state_dict().items()
        if name.startswith(("key.", "value."))
    }


def test_the_heads_decide_the_shapes():
    attention = build(query=3, key_value=1, dim=5, bias=False)
    shapes = {name: tuple(parameter.shape) for name, parameter in attention.named_parameters()}
    assert shapes == {
        "query.weight": (15, M),
        "key.weight": (5, M),
        "value.weight": (5, M),
        "output.weight": (M, 15),
    }
    assert self_attend(attention, example()).shape == (2, L, M)


def test_heads_that_do_not_fit_are_refused():
    with pytest.raises(ValidationError, match="8 query heads cannot share 3 key-value heads evenly"):
        HeadsSpec(query=8, key_value=3)
    with pytest.raises(ValueError, match="8 heads do not divide d_model 100"):
        HeadsSpec(query=8).head_dim(100)
    assert HeadsSpec(query=8, dim=7).head_dim(100) == 7
    assert HeadsSpec(query=4).head_dim(100) == 25


def test_the_start_is_glorot_with_query_key_and_value_as_one_matrix():
    torch.manual_seed(0)
    attention = AttentionSpec(heads=HeadsSpec(query=8)).build(256)
    for name, outputs in (("query", 3), ("key", 3), ("value", 3), ("output", 1)):
        weight = attention.get_submodule(name).get_parameter("weight").detach()
        # Uniform up to √(6 / (inputs + outputs)), which 65,536 draws nearly reach.
        bound = math.sqrt(6 / (256 + outputs * 256))
        assert 0.999 * bound < float(weight.abs().max()) <= bound
        assert float(weight.std()) == pytest.approx(bound / math.sqrt(3), rel=0.01)
    biases = [parameter for name, parameter in attention.named_parameters() if name.endswith("bias")]
    assert len(biases) == 4
    assert not any(bias.any() for bias in biases)


def test_the_scale_keeps_the_variance_of_logits_at_one():
    generator = torch.Generator().manual_seed(0)
    for dim in (4, 64, 256):
        score = ScaledDotSpec().build(AttentionShape(d_model=dim, heads=1, dim=dim))
        query, key = torch.randn(2, 1, 1, 400, dim, generator=generator)
        assert float(score(score.prepare(query), key).var()) == pytest.approx(1.0, rel=0.05)
        assert float(score(query, key).var()) == pytest.approx(dim, rel=0.05)


class Everywhere(PositionScheme):
    """Touches all four places, to see that the attention asks for each."""

    def rotate(self, x: Tensor, position: Tensor) -> Tensor:
        return x + position[:, None, :, None]

    def logits(self, query: Tensor, key: Tensor, queries: Layout, keys: Layout) -> Tensor:
        return query.sum(-1, keepdim=True) * keys.position[:, None, None, :]

    def values(self, weights: Tensor, queries: Layout, keys: Layout) -> Tensor:
        return (weights * keys.position[:, None, None, :]).sum(-1, keepdim=True)


def test_position_schemes_reach_keys_queries_logits_and_values():
    attention, x = build(), example()
    actual = self_attend(attention, x, Positions([Everywhere()]))
    position = torch.tensor([[0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 3, 3]]).double()
    query, key, value = (split(layer(x), 4) for layer in (attention.query, attention.key, attention.value))
    query = query / math.sqrt(M / 4)
    logits = (query + position[:, None, :, None]) @ (key + position[:, None, :, None]).transpose(-2, -1)
    logits = logits + query.sum(-1, keepdim=True) * position[:, None, None, :]
    hidden = ~torch.ones(L, L).tril().bool()[None].repeat(2, 1, 1)
    hidden[1, :, 4:] = True
    weights = logits.masked_fill(hidden[:, None], -math.inf).softmax(-1)
    context = weights @ value + (weights * position[:, None, None, :]).sum(-1, keepdim=True)
    expected = attention.output(merge(context))
    # The padded queries of the second sentence stand at no place of their own.
    torch.testing.assert_close(actual[0], expected[0])
    torch.testing.assert_close(actual[1, :4], expected[1, :4])


def test_the_memory_is_projected_once_and_read_as_it_is():
    attention, x = build(), example()
    layout = Layout(torch.arange(L).expand(2, -1))
    source = attention.key_values(x, Positions([]), layout.position)
    assert isinstance(source, KeyValues)
    assert source.key.shape == source.value.shape == (2, 4, L, M // 4)
    torch.testing.assert_close(merge(source.value), attention.value(x))
