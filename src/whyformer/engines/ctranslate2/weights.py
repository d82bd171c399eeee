"""A Transformer as CTranslate2's Transformer, tensor by tensor; it keeps our ids, which stand for its tokens.

M model dimension · V vocabulary
"""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from whyformer.attention.multihead import AttentionSpec, MultiHeadAttention
from whyformer.errors import CheckpointError
from whyformer.models.transformer import Transformer, TransformerSpec
from whyformer.nn.embedding import NEVER
from whyformer.nn.feed_forward import GeluSpec, GeluTanhSpec, ReluSpec, SiluSpec, SwiGLU, SwiGLUSpec
from whyformer.nn.residual.norm import LayerNormSpec, RMSNormSpec
from whyformer.nn.stack import Block, Stack, StackSpec
from whyformer.position.absolute import LearnedSpec, SinusoidalSpec
from whyformer.spec import Spec
from whyformer.special_tokens import BOS, EOS, PAD, UNK

# Their layers are attributes that are filled in, and have no types.
SpecLayer = Any

_ACTIVATIONS: dict[type[Spec], str] = {
    ReluSpec: "RELU",
    GeluSpec: "GELU",
    GeluTanhSpec: "GELUTanh",
    SiluSpec: "SWISH",
    SwiGLUSpec: "SWISH",
}


def convert(model: Transformer, quantization: str, folder: Path) -> None:
    """Write ``model`` into the empty ``folder``, weights in ``quantization``; tokens are ids, written out.

    Raises:
        CheckpointError: CTranslate2 has no such model; the first field that it lacks is named.
    """
    refuse_inexpressible(model.spec)
    with torch.no_grad():
        # Quantization scales their weights in place, which may not be those of a model in use.
        made = _converted(copy.deepcopy(model))
        made.validate()
        made.optimize(quantization=quantization)
    made.save(str(folder))


def refuse_inexpressible(spec: TransformerSpec) -> None:
    """Refuse a model that CTranslate2 does not have.

    Raises:
        CheckpointError: the first field that it cannot express is named.
    """
    faults = [*_faults("encoder", spec.encoder), *_faults("decoder", spec.decoder)]
    if spec.encoder.block.norm != spec.decoder.block.norm:
        faults.append("decoder.block.norm (it differs from the encoder's)")
    if faults:
        raise CheckpointError(
            f"CTranslate2 cannot express this model's model.{faults[0]}; translate with --engine torch."
        )


def _faults(name: str, stack: StackSpec) -> Iterator[str]:
    """The fields of ``stack`` that have no counterpart."""
    block = stack.block
    match stack.positions:
        case (SinusoidalSpec(),) | (LearnedSpec(),):
            pass
        case _:
            yield f"{name}.positions"
    fits = {
        "mask": stack.mask.kind == ("causal" if name == "decoder" else "everything"),
        "value_residual.kind": stack.value_residual.kind == "none",
        "block.convolution": block.convolution is None,
        "block.macaron": not block.macaron,
        "block.norm.kind": isinstance(block.norm, LayerNormSpec | RMSNormSpec),
        "block.placement.kind": block.placement.kind in ("pre", "post"),
        "block.residual.kind": block.residual.kind == "sum",
        "block.feed_forward.kind": type(block.feed_forward) in _ACTIVATIONS,
        "block.recurrence": block.recurrence is None,
    }
    if (own := block.attention) is not None:
        fits["block.attention"] = _is_plain(own, own)
        fits["block.cross_attention"] = _is_plain(block.cross_attention or own, own)
    yield from (f"{name}.{field}" for field, fitting in fits.items() if not fitting)
    for place, attention in (("attention", block.attention), ("cross_attention", block.cross_attention)):
        yield from (f"{name}.block.{place}.{field}" for field in (attention.additions if attention else ()))


def _is_plain(attention: AttentionSpec, first: AttentionSpec) -> bool:
    """Whether it is that of Vaswani et al. 2017, with as many heads as the ``first`` of its layer."""
    heads = attention.heads
    usual = heads.key_value_heads == heads.query == first.heads.query and heads.dim is None
    return usual and attention.keys.kind == "own" and attention.score.kind == "scaled_dot"


def _converted(model: Transformer) -> SpecLayer:
    # Only those who ask for this engine have it.
    from ctranslate2 import specs

    spec = model.spec
    encoder: SpecLayer = specs.TransformerEncoderSpec(**_shape(spec.encoder))
    decoder: SpecLayer = specs.TransformerDecoderSpec(**_shape(spec.decoder))
    _fill_stack(encoder, model.encoder, spec.longest, spec.d_model)
    _fill_stack(decoder, model.decoder, spec.longest, spec.d_model)
    encoder.embeddings[0].weight = model.source_embedding.weight.detach()
    decoder.embeddings.weight = model.target_embedding.weight.detach()
    encoder.scale_embeddings = decoder.scale_embeddings = model.source_embedding.scale
    decoder.projection.weight, decoder.projection.bias = _output(model)
    made: SpecLayer = specs.TransformerSpec(encoder, decoder)
    made.register_source_vocabulary([str(id) for id in range(len(model.source_embedding.weight))])
    made.register_target_vocabulary([str(id) for id in range(len(model.output_weight))])
    made.config.unk_token, made.config.eos_token = str(UNK), str(EOS)
    made.config.bos_token = made.config.decoder_start_token = str(BOS)
    norm = spec.encoder.block.norm
    assert isinstance(norm, LayerNormSpec | RMSNormSpec)
    made.config.layer_norm_epsilon = norm.epsilon
    return made


def _output(model: Transformer) -> tuple[Tensor, Tensor]:
    """The table (V,M) that scores tokens, and a bias (V,) that leaves padding no probability."""
    table, bias = model.output_weight.detach(), model.scoring_bias
    bias = table.new_zeros(len(table)) if bias is None else bias.detach()
    return table, bias.index_fill(0, torch.tensor([PAD]), NEVER)


def _shape(stack: StackSpec) -> dict[str, Any]:
    from ctranslate2.specs import Activation

    block = stack.block
    return {
        "num_layers": stack.layers,
        "num_heads": block.self_attention.heads.query,
        "pre_norm": block.placement.final_norm,
        "activation": Activation[_ACTIVATIONS[type(block.feed_forward)]],
        "ffn_glu": isinstance(block.feed_forward, SwiGLUSpec),
        "rms_norm": isinstance(block.norm, RMSNormSpec),
    }


def _fill_stack(layer: SpecLayer, stack: Stack, longest: int, d_model: int) -> None:
    layer.position_encodings.encodings = stack.added(longest, d_model)
    if stack.final_norm is not None:
        _fill_norm(layer.layer_norm, stack.final_norm)
    for theirs, block in zip(layer.layer, cast("list[Block]", list(stack.blocks)), strict=True):
        _fill_block(theirs, block)


def _fill_block(layer: SpecLayer, block: Block) -> None:
    attention, cross = block.attention, block.cross_attention
    assert attention is not None, "a recurrence is refused"
    _fill_linear(layer.self_attention.linear[0], *_own(attention)[:3])
    _fill_linear(layer.self_attention.linear[1], attention.output)
    _fill_norm(layer.self_attention.layer_norm, block.attention_branch.norm)
    if cross is not None and block.cross_branch is not None:
        query, key, value = _own(cross)
        _fill_linear(layer.attention.linear[0], query)
        _fill_linear(layer.attention.linear[1], key, value)
        _fill_linear(layer.attention.linear[2], cross.output)
        _fill_norm(layer.attention.layer_norm, block.cross_branch.norm)
    network, branch = block.feed_forward, block.feed_forward_branch
    assert network is not None, "a model without one is refused"
    assert branch is not None, "it has one where it has a network"
    if isinstance(network, SwiGLU):
        _fill_linear(layer.ffn.linear_0, network.gate)
        _fill_linear(layer.ffn.linear_0_noact, network.enter)
    else:
        _fill_linear(layer.ffn.linear_0, network.enter)
    _fill_linear(layer.ffn.linear_1, network.leave)
    _fill_norm(layer.ffn.layer_norm, branch.norm)


def _own(attention: MultiHeadAttention) -> tuple[nn.Linear, nn.Linear, nn.Linear]:
    """The projections of queries, keys and values."""
    assert isinstance(attention.key, nn.Linear), "a model that shares keys is refused"
    return attention.query, attention.key, attention.value


def _fill_linear(layer: SpecLayer, *linears: nn.Linear) -> None:
    """Let ``layer`` compute all of ``linears`` in one product."""
    parts = [linear.state_dict() for linear in linears]
    layer.weight = torch.cat([part["weight"] for part in parts])
    if "bias" in parts[0]:
        layer.bias = torch.cat([part["bias"] for part in parts])


def _fill_norm(layer: SpecLayer, norm: nn.Module) -> None:
    assert isinstance(norm, nn.LayerNorm | nn.RMSNorm), "other norms are refused"
    layer.gamma = norm.weight.detach()
    if isinstance(norm, nn.LayerNorm):
        layer.beta = norm.bias.detach()
