"""Marian's Transformer in the format of Hugging Face (Junczys-Dowmunt et al. 2018; Tiedemann et al. 2020).

M model dimension · V vocabulary
"""

from collections.abc import Collection, Mapping
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from typing_extensions import override

from whyformer.attention.heads import HeadsSpec
from whyformer.attention.mask import Causal, Everything
from whyformer.attention.multihead import AttentionSpec
from whyformer.errors import CheckpointError
from whyformer.huggingface.config import Config, Count, DropShare, TokenIdSetting
from whyformer.huggingface.formats.format import (
    CheckpointFormat,
    Marks,
    Say,
    TensorPlace,
    Tensors,
    without_wrapper,
)
from whyformer.huggingface.formats.parts import (
    Activation,
    activation_of,
    feed_forward,
    layers,
    settle_output,
)
from whyformer.huggingface.shapes import Size
from whyformer.huggingface.tokenizers.token_ids import TokenIds
from whyformer.models.transformer import TransformerSpec
from whyformer.nn.embedding import EmbeddingSpec
from whyformer.nn.residual.placement import PostNormSpec, PreNormSpec
from whyformer.nn.stack import BlockSpec, StackSpec
from whyformer.position.absolute import sinusoids
from whyformer.special_tokens import BOS, EOS, UNK

_READING = {
    "attention.query": "self_attn.q_proj",
    "attention.key": "self_attn.k_proj",
    "attention.value": "self_attn.v_proj",
    "attention.output": "self_attn.out_proj",
    "attention_branch.norm": "self_attn_layer_norm",
    "feed_forward.enter": "fc1",
    "feed_forward.leave": "fc2",
    "feed_forward_branch.norm": "final_layer_norm",
}
_WRITING = {
    **_READING,
    "cross_attention.query": "encoder_attn.q_proj",
    "cross_attention.key": "encoder_attn.k_proj",
    "cross_attention.value": "encoder_attn.v_proj",
    "cross_attention.output": "encoder_attn.out_proj",
    "cross_branch.norm": "encoder_attn_layer_norm",
}
_SHARED = "model.shared.weight"
_SOURCE = "model.encoder.embed_tokens.weight"
_TARGET = "model.decoder.embed_tokens.weight"
_OUTPUT = "lm_head.weight"
_BIAS = "final_logits_bias"
_LAST_NORMS = {
    "encoder.final_norm": "model.encoder.layer_norm",
    "decoder.final_norm": "model.decoder.layer_norm",
}
_UNREAD = ("normalize_before", "normalize_embedding", "add_final_layer_norm")
"""Fields that transformers' Marian does not read: it normalises after each branch, and nowhere else."""


class MarianConfig(Config):
    """Their config.json."""

    split: ClassVar = {"encoder_attention_heads": "d_model", "decoder_attention_heads": "d_model"}

    model_type: Literal["marian"] = "marian"
    vocab_size: Count = 58101
    decoder_vocab_size: Count | None = None
    max_position_embeddings: Count = 1024
    d_model: Count = 1024
    encoder_layers: Count = 12
    encoder_ffn_dim: Count = 4096
    encoder_attention_heads: Count = 16
    decoder_layers: Count = 12
    decoder_ffn_dim: Count = 4096
    decoder_attention_heads: Count = 16
    activation_function: Activation = "gelu"
    dropout: DropShare = 0.1
    attention_dropout: DropShare = 0.0
    activation_dropout: DropShare = 0.0
    scale_embedding: bool = False
    share_encoder_decoder_embeddings: bool = True
    tie_word_embeddings: bool = True
    normalize_before: bool = False
    normalize_embedding: bool = False
    add_final_layer_norm: bool = False
    is_encoder_decoder: Literal[True] = True
    decoder_start_token_id: int = 58100
    pad_token_id: int = 58100
    eos_token_id: TokenIdSetting = 0
    forced_eos_token_id: TokenIdSetting = 0
    architectures: list[str] | None = None

    @property
    @override
    def longest(self) -> int:
        return self.max_position_embeddings


class HuggingFaceMarian(CheckpointFormat[MarianConfig, TransformerSpec]):
    """MarianMTModel.

    Two things differ in more than names, and both ways leave what the model computes as it is.

    Their positions have all sines before all cosines, ours take turns: all that touches the residual path is
    reordered alike, which no norm and no product notices.

    Their decoders start from a vector of zeros, ours from one that is learned: it is taken from every target
    embedding, so that the start becomes zero, and given back by the biases of the first attention: to its
    queries, keys and values, and to the path. A tied output then scores all tokens lower by the same amount.
    """

    model_type = "marian"
    config_type = MarianConfig
    roles: ClassVar = {"pad_token": BOS, "unk_token": UNK, "eos_token": EOS}
    framed = (EOS,)
    anchor = "model.encoder.layers.0.self_attn.q_proj.weight"

    @property
    @override
    def layer_counts(self) -> Mapping[str, str]:
        return {
            "encoder_layers": "model.encoder.layers",
            "decoder_layers": "model.decoder.layers",
        }

    @property
    @override
    def sizes(self) -> tuple[Size, ...]:
        return (
            Size("vocab_size", _SHARED, 0, at_most=True),
            Size("vocab_size", _SOURCE, 0, at_most=True),
            Size("decoder_vocab_size", _SHARED, 0, at_most=True),
            Size("decoder_vocab_size", _TARGET, 0, at_most=True),
            Size("d_model", self.anchor, 1),
            Size("encoder_ffn_dim", "model.encoder.layers.0.fc1.weight", 0),
            Size("decoder_ffn_dim", "model.decoder.layers.0.fc1.weight", 0),
        )

    @override
    def marks(self, config: MarianConfig, roles: Mapping[str, int], size: int, say: Say) -> Marks:
        start, pad = config.decoder_start_token_id, config.pad_token_id
        end = roles.get("eos_token") if config.eos_token_id is None else config.eos_token_id
        if end is None:
            raise CheckpointError("neither config.json nor the tokenizer names the eos_token; name it there.")
        return None if pad == start else pad, roles.get("unk_token"), start, end

    @override
    def own_names(self, tensors: Tensors) -> dict[str, Tensor]:
        if any(f".{name}".endswith(f".{self.anchor}") for name in tensors):
            return super().own_names(tensors)
        # A model without its head has nothing around it: encoder.…, not model.encoder.….
        bare = without_wrapper(tensors, self.anchor.removeprefix("model."))
        return {f"model.{name}": tensor for name, tensor in bare.items()}

    @override
    def one_name_each(self, config: MarianConfig, tensors: Tensors, say: Say) -> dict[str, Tensor]:
        found = dict(tensors)
        for side in ("encoder", "decoder"):
            _refuse_own_positions(found, f"model.{side}.embed_positions.weight")
        if "model.encoder.layernorm_embedding.weight" in found:
            raise CheckpointError("normalize_embedding: a norm of the embeddings cannot be imported.")
        told = vars(config)
        if not _is_pre_norm(config, found) and (unread := [field for field in _UNREAD if told[field]]):
            say(
                f"config.json says {unread[0]}, which transformers' Marian does not read, and the weights "
                "have no such norms; imported as it computes, with a norm after each branch"
            )
        if config.share_encoder_decoder_embeddings:
            _settle_shared(found, config, say)
        else:
            found.pop(_SHARED, None)
            settle_output(found, _TARGET, _OUTPUT, said_tied=config.tie_word_embeddings, say=say)
        bias = found.pop(_BIAS, None)
        if bias is not None and bias.any():
            found[_BIAS] = bias
        return found

    @override
    def spec(
        self, config: MarianConfig, names: Collection[str], unpredicted: tuple[int, ...]
    ) -> TransformerSpec:
        shared, tied = _SHARED in names, _OUTPUT not in names
        pre_norm = _is_pre_norm(config, names)
        return TransformerSpec(
            d_model=config.d_model,
            embedding=EmbeddingSpec(
                tie="all" if shared else "output" if tied else "none",
                scale=config.scale_embedding,
                dropout=config.dropout,
                output_bias=_BIAS in names,
                unpredicted=unpredicted,
            ),
            encoder=_stack(config, decoder=False, pre_norm=pre_norm),
            decoder=_stack(config, decoder=True, pre_norm=pre_norm),
            longest=config.max_position_embeddings,
        )

    @override
    def config(self, spec: TransformerSpec, token_ids: TokenIds) -> MarianConfig:
        reading, writing = spec.encoder.block, spec.decoder.block
        # One with a recurrence comes back with attention, and is refused for that.
        own = writing.attention or reading.self_attention
        activation, encoder_hidden, dropout = activation_of(reading.feed_forward)
        _, decoder_hidden, _ = activation_of(writing.feed_forward)
        return MarianConfig(
            vocab_size=token_ids.their_size,
            decoder_vocab_size=token_ids.their_size,
            max_position_embeddings=spec.longest,
            d_model=spec.d_model,
            encoder_layers=spec.encoder.layers,
            encoder_ffn_dim=encoder_hidden,
            encoder_attention_heads=reading.self_attention.heads.query,
            decoder_layers=spec.decoder.layers,
            decoder_ffn_dim=decoder_hidden,
            decoder_attention_heads=own.heads.query,
            activation_function=activation,
            dropout=reading.dropout,
            attention_dropout=reading.self_attention.dropout,
            activation_dropout=dropout,
            scale_embedding=spec.embedding.scale,
            share_encoder_decoder_embeddings=spec.embedding.tie == "all",
            tie_word_embeddings=spec.embedding.tie != "none",
            decoder_start_token_id=token_ids.known(BOS),
            pad_token_id=token_ids.known(BOS),
            eos_token_id=token_ids.known(EOS),
            forced_eos_token_id=None,
            architectures=["MarianMTModel"],
        )

    @override
    def places(self, spec: TransformerSpec) -> dict[str, TensorPlace]:
        tables = {
            "all": {"source_embedding": _SHARED},
            "output": {"source_embedding": _SOURCE, "own_target_embedding": _TARGET},
            "none": {"source_embedding": _SOURCE, "own_target_embedding": _TARGET, "own_output": _OUTPUT},
        }[spec.embedding.tie]
        found = {f"{ours}.weight": TensorPlace(theirs, tokens="target") for ours, theirs in tables.items()}
        if spec.embedding.tie != "all":
            found["source_embedding.weight"] = TensorPlace(_SOURCE, tokens="source")
        if spec.embedding.output_bias:
            found["output_bias"] = TensorPlace(_BIAS, tokens="target", row=True)
        if spec.encoder.block.placement.final_norm:
            for ours, theirs in _LAST_NORMS.items():
                found |= {f"{ours}.{kind}": TensorPlace(f"{theirs}.{kind}") for kind in ("weight", "bias")}
        return {
            **found,
            **layers(spec.encoder.layers, "encoder.blocks", "model.encoder.layers", _READING),
            **layers(spec.decoder.layers, "decoder.blocks", "model.decoder.layers", _WRITING),
        }

    @override
    def build(
        self, spec: TransformerSpec, vocabulary: int, source_vocabulary: int | None = None
    ) -> nn.Module:
        return spec.build(vocabulary if source_vocabulary is None else source_vocabulary, vocabulary)

    @override
    def own_token_ids(self, size: int) -> TokenIds:
        # Marian's habit: the end is the first token, padding the last, and padding also starts a target.
        return TokenIds((None, 1, size - 2, 0), size)

    @override
    def to_theirs(self, spec: TransformerSpec, tensors: Tensors) -> dict[str, Tensor]:
        return _reordered(_started_from_zero(spec, tensors), _sines_first(spec.d_model))

    @override
    def from_theirs(self, spec: TransformerSpec, tensors: Tensors) -> dict[str, Tensor]:
        return _reordered(tensors, _sines_first(spec.d_model).argsort())


def _is_pre_norm(config: MarianConfig, names: Collection[str]) -> bool:
    """Whether norms stand before the branches, as a config says whose weights have the last norms for it."""
    return config.normalize_before and all(f"{norm}.weight" in names for norm in _LAST_NORMS.values())


def _settle_shared(found: dict[str, Tensor], config: MarianConfig, say: Say) -> None:
    """Keep one table where source, target and output are equal, and otherwise those that differ."""
    tables = {name: found.pop(name) for name in (_SHARED, _SOURCE, _TARGET, _OUTPUT) if name in found}
    if not tables:
        return  # which then is missing
    first, *others = tables.values()
    if _OUTPUT not in tables and not config.tie_word_embeddings:
        say(
            f"config.json says tie_word_embeddings: false, but the weights have no {_OUTPUT}; tokens are "
            "scored by the table of embeddings, where transformers would draw a head at random"
        )
    if all(torch.equal(first, other) for other in others):
        found[_SHARED] = first
        return
    source, target = tables.get(_SOURCE, first), tables.get(_TARGET, first)
    output = tables.get(_OUTPUT, first)
    found |= {_SOURCE: source, _TARGET: target}
    if not torch.equal(output, target):
        found[_OUTPUT] = output
    say(
        f"{', '.join(tables)} are not equal, though config.json says that they are shared; each is kept, as "
        f"a table of its own (embedding.tie: {'none' if _OUTPUT in found else 'output'})"
    )


def _stack(config: MarianConfig, *, decoder: bool, pre_norm: bool) -> StackSpec:
    heads = config.decoder_attention_heads if decoder else config.encoder_attention_heads
    hidden = config.decoder_ffn_dim if decoder else config.encoder_ffn_dim
    attention = AttentionSpec(heads=HeadsSpec(query=heads), dropout=config.attention_dropout)
    block = BlockSpec(
        attention=attention,
        cross_attention=attention if decoder else None,
        feed_forward=feed_forward(config.activation_function, hidden, config.activation_dropout),
        placement=PreNormSpec() if pre_norm else PostNormSpec(),
        dropout=config.dropout,
    )
    count = config.decoder_layers if decoder else config.encoder_layers
    return StackSpec(layers=count, mask=Causal() if decoder else Everything(), block=block)


def _sines_first(d_model: int) -> Tensor:
    """Indices (M,) of our components in the order of theirs."""
    return torch.cat([torch.arange(0, d_model, 2), torch.arange(1, d_model, 2)])


def _reordered(tensors: Tensors, order: Tensor) -> dict[str, Tensor]:
    """Every tensor, its components of the residual path in the ``order`` (M,)."""
    made = dict[str, Tensor]()
    for name, tensor in tensors.items():
        if name == "output_bias" or name.endswith(("query.bias", "key.bias", "value.bias", "enter.bias")):
            made[name] = tensor  # of heads, hidden components, tokens
        elif name.endswith(("output.weight", "leave.weight")) and "own_output" not in name:
            made[name] = tensor[order]
        else:
            made[name] = tensor[..., order]
    return made


def _started_from_zero(spec: TransformerSpec, tensors: Tensors) -> dict[str, Tensor]:
    """The same model with zeros for the embedding of BOS."""
    made, shared = dict(tensors), spec.embedding.tie == "all"
    table = "source_embedding.weight" if shared else "own_target_embedding.weight"
    start = made[table][BOS]
    made[table] = made[table] - start
    missed = start * spec.d_model**0.5 if spec.embedding.scale else start
    for stack in ("encoder", "decoder") if shared else ("decoder",):
        attention = f"{stack}.blocks.0.attention"
        for part in ("query", "key", "value"):
            weight, bias = made[f"{attention}.{part}.weight"], made[f"{attention}.{part}.bias"]
            made[f"{attention}.{part}.bias"] = bias + weight @ missed
        made[f"{attention}.output.bias"] = made[f"{attention}.output.bias"] + missed
    return made


def _refuse_own_positions(tensors: dict[str, Tensor], name: str) -> None:
    """Take a table of positions out, which has to be the one that everybody computes."""
    table = tensors.pop(name, None)
    if table is None:
        return
    usual = sinusoids(torch.arange(len(table)), table.shape[1])[:, _sines_first(table.shape[1])]
    if not torch.allclose(table.float(), usual, atol=1e-4):
        raise CheckpointError(f"{name} holds no sines and cosines; learned positions cannot be imported.")
