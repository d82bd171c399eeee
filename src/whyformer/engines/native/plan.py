"""A Transformer as our C++ reads it: its products in their order, and what cannot be said so.

L length · M model dimension · V vocabulary · I inputs and O outputs of a product
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from whyformer.attention.multihead import AttentionSpec, MultiHeadAttention
from whyformer.attention.query_key_norm import HeadRMSNorm
from whyformer.attention.score import Dot
from whyformer.errors import DecodingError
from whyformer.models.encoder_decoder import AnyEncoderDecoder
from whyformer.models.transformer import Transformer, TransformerSpec
from whyformer.nn.embedding import TokenEmbedding
from whyformer.nn.feed_forward import FeedForward
from whyformer.nn.residual.norm import LayerNorm, Norm
from whyformer.nn.residual.placement import PeriNorm, Placement
from whyformer.nn.stack import Block, Stack, StackSpec
from whyformer.position.absolute import Sinusoidal
from whyformer.position.rotary import Rotary
from whyformer.special_tokens import PAD

NONE, RELU, GELU = 0, 1, 2
"""Numbers of ``Activation`` in ``product.h``."""
_ACTIVATIONS: dict[Callable[[Tensor], Tensor], int] = {F.relu: RELU, F.gelu: GELU}


@dataclass(frozen=True, eq=False)
class PlannedProduct:
    """A matrix (O,I), a bias (O,) and what follows."""

    weight: Tensor
    bias: Tensor
    activation: int = NONE


@dataclass(frozen=True, eq=False)
class PlannedBranchNorms:
    """The norm of a branch, before or behind it, and where there is one that of what it has made."""

    norm: LayerNorm
    leaving: LayerNorm | None


@dataclass(frozen=True, eq=False)
class PlannedHeadNorm:
    """The norm of queries and keys: gains (D,), the query's with the factor of the score."""

    query: Tensor
    key: Tensor
    epsilon: float


@dataclass(frozen=True, eq=False)
class PlannedAttention:
    """A way to queries, keys and values (or to queries of the memory's), one back, and the branch's norms."""

    input: PlannedProduct
    """It leads to the gate, too, where there is one."""
    output: PlannedProduct
    norms: PlannedBranchNorms
    heads: int
    dim: int
    head_norm: PlannedHeadNorm | None
    gated: bool
    """Whether a sigmoid of the last components of ``input`` stands before ``output``."""
    first_value: float
    """Weight of the first layer's values; 0 for none."""


@dataclass(frozen=True, eq=False)
class PlannedRecurrence:
    """A way to what gates forget and to what is new, side by side, and the branch's norms."""

    input: PlannedProduct
    norms: PlannedBranchNorms


@dataclass(frozen=True, eq=False)
class PlannedCross:
    """Attention to the memory, and the way from there to keys and values."""

    attention: PlannedAttention
    memory: PlannedProduct


@dataclass(frozen=True, eq=False)
class PlannedLayer:
    """A layer; one of an encoder has no ``cross``."""

    own: PlannedAttention | PlannedRecurrence
    cross: PlannedCross | None
    enter: PlannedProduct
    leave: PlannedProduct
    norms: PlannedBranchNorms


@dataclass(frozen=True, eq=False)
class PlannedStack:
    """Layers, and what stands before and behind them."""

    layers: list[PlannedLayer]
    embedding: Tensor
    """(V,M)"""
    scale: float
    """Factor of the embedding."""
    position: Tensor
    """Terms of the positions, (L,M)."""
    sinusoidal: bool
    """Whether ``position`` has sinusoids alone, which can be computed."""
    turns: Tensor | None
    """Cosines and sines of rotary positions, (L,R)."""
    last: LayerNorm | None
    """Where there is one, norms stand before branches; else behind."""


@dataclass(frozen=True, eq=False)
class Plan:
    """Everything, as tensors of the model itself where they are not computed."""

    encoder: PlannedStack
    decoder: PlannedStack
    output: PlannedProduct
    longest: int
    """Positions that there are."""


def fault(spec: TransformerSpec) -> str | None:
    """The first field of ``spec`` that no plan can express, or None."""
    return next(chain(_faults("encoder", spec.encoder), _faults("decoder", spec.decoder)), None)


def misfit(model: AnyEncoderDecoder) -> str | None:
    """The clause that says why no plan can express ``model``, on any machine; None where one can."""
    if not isinstance(model, Transformer):
        return "the native engine runs Transformers only"
    if (field := fault(model.spec)) is not None:
        return f"the native engine cannot express this model's model.{field}"
    return None


@torch.no_grad()
def plan_of(model: AnyEncoderDecoder) -> Plan:
    """The plan of ``model``.

    Raises:
        DecodingError: it is no Transformer, not on the CPU, or has what no plan expresses.
    """
    if (reason := misfit(model)) is not None:
        raise DecodingError(f"{reason}; translate with --engine torch.")
    assert isinstance(model, Transformer), "others do not fit"
    if model.output_weight.device.type != "cpu":
        raise DecodingError("the native engine runs on the CPU; add --device cpu.")
    table, bias = model.output_weight, model.scoring_bias
    bias = table.new_zeros(len(table)) if bias is None else bias
    output = PlannedProduct(table, bias.index_fill(0, torch.tensor([PAD]), -torch.inf))
    encoder = _stack(model.encoder, model.source_embedding, model.longest)
    decoder = _stack(model.decoder, model.target_embedding, model.longest)
    return Plan(encoder, decoder, output, model.longest)


def _faults(name: str, stack: StackSpec) -> Iterator[str]:
    block = stack.block
    fits = {
        "mask.kind": stack.mask.kind == ("causal" if name == "decoder" else "everything"),
        "positions": all(scheme.kind in ("sinusoidal", "learned", "rotary") for scheme in stack.positions)
        and sum(scheme.kind == "rotary" for scheme in stack.positions) <= 1,
        "block.convolution": block.convolution is None,
        "block.macaron": not block.macaron,
        "block.norm.kind": block.norm.kind == "layer",
        "block.placement.kind": block.placement.kind in ("pre", "post", "peri"),
        "block.residual.kind": block.residual.kind == "sum",
        "block.feed_forward.kind": block.feed_forward.kind in ("relu", "gelu"),
        "block.attention": block.attention is None or _is_plain(block.attention),
        "block.cross_attention": block.cross_attention is None or _is_plain(block.cross_attention),
    }
    yield from (f"{name}.{field}" for field, fitting in fits.items() if not fitting)


def _is_plain(attention: AttentionSpec) -> bool:
    """Whether each query head has keys and values of its own, compared by a dot product."""
    own = attention.keys.kind == "own" and attention.heads.key_value_heads == attention.heads.query
    return own and attention.score.kind in ("scaled_dot", "dot")


def _stack(stack: Stack, table: TokenEmbedding, longest: int) -> PlannedStack:
    blocks = cast("list[Block]", list(stack.blocks))
    schemes = list(stack.positions)
    rotary = next((scheme for scheme in schemes if isinstance(scheme, Rotary)), None)
    added = [scheme for scheme in schemes if not isinstance(scheme, Rotary)]
    return PlannedStack(
        [_layer(block, *_value_weights(stack, depth)) for depth, block in enumerate(blocks)],
        table.weight,
        table.scale,
        stack.added(longest, table.weight.shape[1]),
        len(added) == 1 and isinstance(added[0], Sinusoidal),
        None if rotary is None else _turns(rotary, longest),
        None if stack.final_norm is None else _norm(stack.final_norm),
    )


def _value_weights(stack: Stack, depth: int) -> tuple[float, float]:
    """How much of its own values and of the first layer's the layer at ``depth`` attends to."""
    residual = stack.value_residual
    if residual is None or depth == 0:
        return 1.0, 0.0
    return float(residual.own[depth - 1]), float(residual.first[depth - 1])


def _layer(block: Block, own_value: float, first_value: float) -> PlannedLayer:
    network, branch = block.feed_forward, block.feed_forward_branch
    assert isinstance(network, FeedForward), "others are refused"
    assert branch is not None, "it has one where it has a network"
    cross, planned = block.cross_attention, None
    if cross is not None and block.cross_branch is not None:
        attention = _attention(cross, block.cross_branch, [_query(cross)])
        planned = PlannedCross(attention, _joined(_product(cross.key), _product(cross.value)))
    return PlannedLayer(
        _own(block, own_value, first_value),
        planned,
        _product(network.enter, _ACTIVATIONS[network.activation]),
        _product(network.leave),
        _norms(branch),
    )


def _own(block: Block, own_value: float, first_value: float) -> PlannedAttention | PlannedRecurrence:
    """The mixing of one sequence's tokens."""
    attention, recurrence = block.attention, block.recurrence
    if recurrence is not None:
        input = _joined(_product(recurrence.forget), _product(recurrence.input))
        return PlannedRecurrence(input, _norms(block.attention_branch))
    assert attention is not None, "a block has one of the two"
    inputs = [_query(attention), _product(attention.key), _scaled(_product(attention.value), own_value)]
    return _attention(attention, block.attention_branch, inputs, first_value)


def _attention(
    attention: MultiHeadAttention, branch: Placement, inputs: list[PlannedProduct], first_value: float = 0.0
) -> PlannedAttention:
    gate = [] if attention.gate is None else [_product(attention.gate.open)]
    return PlannedAttention(
        _joined(*inputs, *gate),
        _product(attention.output),
        _norms(branch),
        attention.heads,
        attention.query.out_features // attention.heads,
        _head_norm(attention),
        bool(gate),
        first_value,
    )


def _head_norm(attention: MultiHeadAttention) -> PlannedHeadNorm | None:
    query, key = attention.query_norm, attention.key_norm
    if not isinstance(query, HeadRMSNorm) or not isinstance(key, HeadRMSNorm):
        return None
    assert query.eps is not None, "the spec has one"
    return PlannedHeadNorm(query.weight * _factor(attention), key.weight, query.eps)


def _norms(branch: Placement) -> PlannedBranchNorms:
    leaving = _norm(branch.leaving_norm) if isinstance(branch, PeriNorm) else None
    return PlannedBranchNorms(_norm(branch.norm), leaving)


def _norm(norm: Norm) -> LayerNorm:
    assert isinstance(norm, LayerNorm), "others are refused"
    return norm


def _turns(rotary: Rotary, longest: int) -> Tensor:
    """The cosines and sines by which a head's first components turn at each position: (L,R)."""
    unit = torch.zeros(1, 1, longest, rotary.turned)
    unit[..., : rotary.turned // 2] = 1.0
    return rotary.rotate(unit, torch.arange(longest)[None])[0, 0]


def _product(linear: nn.Module, activation: int = NONE) -> PlannedProduct:
    assert isinstance(linear, nn.Linear), "keys without a matrix of their own are refused"
    bias = cast("Tensor | None", linear.bias)
    bias = linear.weight.new_zeros(linear.out_features) if bias is None else bias
    return PlannedProduct(linear.weight, bias, activation)


def _query(attention: MultiHeadAttention) -> PlannedProduct:
    """The projection to queries that come out scaled; a norm behind it scales them itself."""
    made = _product(attention.query)
    return made if isinstance(attention.query_norm, HeadRMSNorm) else _scaled(made, _factor(attention))


def _factor(attention: MultiHeadAttention) -> float:
    """Factor of the score."""
    assert isinstance(attention.score, Dot), "others are refused"
    return attention.score.scale


def _scaled(product: PlannedProduct, factor: float) -> PlannedProduct:
    """A product without an activation, whose outputs are ``factor`` times as large."""
    return PlannedProduct(product.weight * factor, product.bias * factor)


def _joined(*parts: PlannedProduct) -> PlannedProduct:
    """One product that does those of all ``parts``, side by side."""
    return PlannedProduct(
        torch.cat([part.weight for part in parts]), torch.cat([part.bias for part in parts])
    )
