"""With the same weights, our Transformer is ``torch.nn.Transformer``: hidden states and every gradient."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from whyformer.attention.multihead import MultiHeadAttention
from whyformer.models.transformer import Transformer, TransformerSpec, transformer
from whyformer.nn.feed_forward import FeedForward
from whyformer.nn.residual.placement import Placement, PlacementSpec, PostNormSpec, PreNormSpec
from whyformer.nn.stack import Block, Stack
from whyformer.position.absolute import sinusoids

LAYERS, M, HEADS, HIDDEN, V = 3, 16, 4, 24, 20


def spec(placement: PlacementSpec) -> TransformerSpec:
    plain = transformer(layers=LAYERS, d_model=M, heads=HEADS, feed_forward=HIDDEN, dropout=0.0)
    sides = {
        name: stack.model_copy(update={"block": stack.block.model_copy(update={"placement": placement})})
        for name, stack in (("encoder", plain.encoder), ("decoder", plain.decoder))
    }
    return TransformerSpec.model_validate(plain.model_copy(update=sides).model_dump())


def reference(pre_norm: bool) -> nn.Transformer:
    """torch's model; its last norms stay in pre-norm only, where ours has them too."""
    options: dict[str, Any] = {"dropout": 0.0, "batch_first": True, "norm_first": pre_norm}
    norms = [nn.LayerNorm(M) if pre_norm else None for _ in range(2)]
    encoder = nn.TransformerEncoder(
        nn.TransformerEncoderLayer(M, HEADS, HIDDEN, **options), LAYERS, norms[0], enable_nested_tensor=False
    )
    decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(M, HEADS, HIDDEN, **options), LAYERS, norms[1])
    return nn.Transformer(M, HEADS, custom_encoder=encoder, custom_decoder=decoder, batch_first=True)


Pair = tuple[Tensor, list[Tensor]]


def pairs(theirs: nn.Transformer, ours: Transformer) -> Iterator[Pair]:
    """Each of their parameters and those of ours that it holds, one above the other."""
    for their_stack, our_stack in ((theirs.encoder, ours.encoder), (theirs.decoder, ours.decoder)):
        layers = their_stack.get_submodule("layers")
        assert isinstance(layers, nn.ModuleList)
        for layer, block in zip(layers, our_stack.blocks, strict=True):
            assert isinstance(block, Block)
            yield from layer_pairs(layer, block)
        yield from last_norm(their_stack, our_stack)


def last_norm(their_stack: nn.Module, our_stack: Stack) -> Iterator[Pair]:
    if our_stack.final_norm is not None:
        yield from same(their_stack.get_submodule("norm"), our_stack.final_norm)


def layer_pairs(layer: nn.Module, block: Block) -> Iterator[Pair]:
    assert block.attention is not None
    yield from attention_pairs(layer.get_submodule("self_attn"), block.attention)
    branches: list[Placement | None] = [block.attention_branch, block.feed_forward_branch]
    if block.cross_attention is not None:
        yield from attention_pairs(layer.get_submodule("multihead_attn"), block.cross_attention)
        branches.insert(1, block.cross_branch)
    for number, branch in enumerate(branches, start=1):
        assert branch is not None
        yield from same(layer.get_submodule(f"norm{number}"), branch.norm)
    assert isinstance(block.feed_forward, FeedForward)
    yield from same(layer.get_submodule("linear1"), block.feed_forward.enter)
    yield from same(layer.get_submodule("linear2"), block.feed_forward.leave)


def attention_pairs(theirs: nn.Module, ours: MultiHeadAttention) -> Iterator[Pair]:
    assert isinstance(ours.key, nn.Linear)
    projections = (ours.query, ours.key, ours.value)
    yield theirs.get_parameter("in_proj_weight"), [projection.weight for projection in projections]
    yield theirs.get_parameter("in_proj_bias"), [projection.bias for projection in projections]
    yield from same(theirs.get_submodule("out_proj"), ours.output)


def same(theirs: nn.Module, ours: nn.Module) -> Iterator[Pair]:
    for name in ("weight", "bias"):
        yield theirs.get_parameter(name), [ours.get_parameter(name)]


def twins(placement: PlacementSpec, dtype: torch.dtype) -> tuple[nn.Transformer, Transformer]:
    torch.manual_seed(0)
    ours = spec(placement).build(V, V).to(dtype)
    theirs = reference(placement.kind == "pre").to(dtype)
    copied: set[Tensor] = set()
    with torch.no_grad():
        for parameter in ours.parameters():
            # No zero biases and no gains of 1, which would hide a mistake.
            parameter.add_(torch.randn_like(parameter) * 0.1)
        for their_parameter, our_parameters in pairs(theirs, ours):
            their_parameter.copy_(torch.cat(our_parameters))
            copied.add(their_parameter)
    assert copied == set(theirs.parameters())
    return theirs, ours


def embedded(tokens: Tensor, weight: Tensor) -> Tensor:
    return F.embedding(tokens, weight) * M**0.5 + sinusoids(torch.arange(tokens.shape[1]), M).to(weight.dtype)


@pytest.mark.parametrize("placement", [PostNormSpec(), PreNormSpec()], ids=["post", "pre"])
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-11), (torch.float32, 1e-5)], ids=["fp64", "fp32"]
)
def test_hidden_states_and_gradients_are_those_of_torch(
    placement: PlacementSpec, dtype: torch.dtype, tolerance: float
):
    theirs, ours = twins(placement, dtype)
    generator = torch.Generator().manual_seed(1)
    source, target = (
        torch.randint(1, V, (3, 7), generator=generator),
        torch.randint(1, V, (3, 5), generator=generator),
    )
    source_valid = torch.arange(7) < torch.tensor([[7], [4], [2]])
    target_valid = torch.arange(5) < torch.tensor([[3], [5], [1]])
    # Tokens of padding differ from each other on purpose: none of them may matter.
    direction = torch.randn(3, 5, M, generator=generator).to(dtype) * target_valid[..., None]

    actual = ours(source, source_valid, target, target_valid)
    table = ours.source_embedding.weight.detach().clone().requires_grad_()
    expected = theirs(
        embedded(source, table),
        embedded(target, table),
        tgt_mask=torch.ones(5, 5).triu(1).bool(),
        src_key_padding_mask=~source_valid,
        tgt_key_padding_mask=~target_valid,
        memory_key_padding_mask=~source_valid,
    )
    torch.testing.assert_close(actual[target_valid], expected[target_valid], rtol=tolerance, atol=tolerance)

    (actual * direction).sum().backward()
    (expected * direction).sum().backward()
    check(ours.source_embedding.weight.grad, table.grad, tolerance)
    for their_parameter, our_parameters in pairs(theirs, ours):
        gradients = [parameter.grad for parameter in our_parameters if parameter.grad is not None]
        check(torch.cat(gradients), their_parameter.grad, tolerance)


def check(actual: Tensor | None, expected: Tensor | None, tolerance: float) -> None:
    assert actual is not None
    assert expected is not None
    # Relative to the largest entry: small sums of large terms carry the rounding of the terms.
    scale = max(1.0, float(expected.abs().max()))
    torch.testing.assert_close(actual / scale, expected / scale, rtol=tolerance, atol=tolerance)
