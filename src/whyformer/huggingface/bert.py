"""BERT in the format of Hugging Face (Devlin et al. 2019)."""

import re
from collections.abc import Collection, Mapping
from typing import ClassVar, Literal

from torch import Tensor
from typing_extensions import override

from whyformer.errors import CheckpointError
from whyformer.huggingface.format import (
    Activation,
    Config,
    OneStackFormat,
    TensorPlace,
    Tensors,
    activation_of,
    attention_of,
    embedding_of,
    epsilon_of,
    feed_forward,
    layers,
    one_name,
)
from whyformer.huggingface.tokenizers.token_ids import TokenIds
from whyformer.models.bert import BERTSpec, Head
from whyformer.nn.norm import LayerNormSpec
from whyformer.nn.stack import BlockSpec, StackSpec
from whyformer.position.absolute import LearnedSpec
from whyformer.special_tokens import BOS, EOS, PAD, UNK

_LAYER = {
    "attention.query": "attention.self.query",
    "attention.key": "attention.self.key",
    "attention.value": "attention.self.value",
    "attention.output": "attention.output.dense",
    "attention_branch.norm": "attention.output.LayerNorm",
    "feed_forward.enter": "intermediate.dense",
    "feed_forward.leave": "output.dense",
    "feed_forward_branch.norm": "output.LayerNorm",
}
_AROUND = {
    "embedding_norm": "embeddings.LayerNorm",
    "pooler": "pooler.dense",
    "masked.transform": "cls.predictions.transform.dense",
    "masked.norm": "cls.predictions.transform.LayerNorm",
    "next_sentence": "cls.seq_relationship",
}
_MASKED = "cls.predictions.transform.dense.weight"
_BIAS = "cls.predictions.bias"
_OWN_BIAS = "cls.predictions.decoder.bias"
"""The bias of an output table that is not that of the embeddings."""
_OUTPUT = "cls.predictions.decoder.weight"
_ARCHITECTURES: dict[tuple[Head, ...], str] = {
    (): "BertModel",
    ("masked",): "BertForMaskedLM",
    ("next_sentence",): "BertForNextSentencePrediction",
    ("masked", "next_sentence"): "BertForPreTraining",
}


class BertConfig(Config):
    """Their config.json."""

    model_type: Literal["bert"] = "bert"
    vocab_size: int = 30522
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: Activation = "gelu"
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    layer_norm_eps: float = 1e-12
    position_embedding_type: Literal["absolute"] = "absolute"
    is_decoder: Literal[False] = False
    add_cross_attention: Literal[False] = False
    tie_word_embeddings: bool = True
    pad_token_id: int = 0
    architectures: list[str] | None = None

    @property
    @override
    def longest(self) -> int:
        return self.max_position_embeddings


class HuggingFaceBert(OneStackFormat[BertConfig, BERTSpec]):
    """BertModel, BertForMaskedLM, BertForNextSentencePrediction and BertForPreTraining."""

    model_type = "bert"
    config_type = BertConfig
    roles: ClassVar = {"pad_token": PAD, "unk_token": UNK, "cls_token": BOS, "sep_token": EOS}
    framed = (BOS, EOS)
    inputs = ("input_ids", "token_type_ids", "attention_mask")
    writes = False

    @override
    def marks(self, config: BertConfig, roles: Mapping[str, int]) -> tuple[int | None, ...]:
        if missing := [role for role in self.roles if role not in roles]:
            raise CheckpointError(
                f"the tokenizer has no {missing[0]}, which BERT needs; name it in tokenizer_config.json."
            )
        return tuple(roles[role] for role in self.roles)

    @override
    def one_name_each(self, config: BertConfig, tensors: Tensors) -> dict[str, Tensor]:
        # The first checkpoints kept the names that TensorFlow has for a norm's parameters.
        olden = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}
        named = {
            re.sub("|".join(olden), lambda found: olden[found[0]], name.removeprefix("bert.")): tensor
            for name, tensor in tensors.items()
        }
        named.pop("embeddings.position_ids", None)  # 0, 1, 2, …
        if config.tie_word_embeddings:
            named.pop(_OUTPUT, None)
            one_name(named, _BIAS, _OWN_BIAS)
        else:
            one_name(named, _OWN_BIAS, _BIAS)
        return named

    @override
    def spec(self, config: BertConfig, names: Collection[str], unpredicted: tuple[int, ...]) -> BERTSpec:
        heads: tuple[Head, ...] = ("masked",) if _MASKED in names else ()
        if "cls.seq_relationship.weight" in names:
            heads = (*heads, "next_sentence")
        if "masked" in heads and config.hidden_act != "gelu":
            raise CheckpointError(
                f"hidden_act is {config.hidden_act}, but a head of masked tokens has gelu here; leave it out."
            )
        block = BlockSpec(
            attention=attention_of(config.num_attention_heads, config.attention_probs_dropout_prob),
            feed_forward=feed_forward(config.hidden_act, config.intermediate_size),
            norm=LayerNormSpec(epsilon=config.layer_norm_eps),
            dropout=config.hidden_dropout_prob,
        )
        positions = (LearnedSpec(longest=config.max_position_embeddings),)
        return BERTSpec(
            d_model=config.hidden_size,
            token_types=config.type_vocab_size,
            embedding=embedding_of(config.hidden_dropout_prob, tied=_OUTPUT not in names),
            stack=StackSpec(layers=config.num_hidden_layers, positions=positions, block=block),
            pooler="pooler.dense.weight" in names,
            heads=heads,
            longest=config.max_position_embeddings,
        )

    @override
    def config(self, spec: BERTSpec, token_ids: TokenIds) -> BertConfig:
        block = spec.stack.block
        activation, hidden, _ = activation_of(block.feed_forward)
        return BertConfig(
            vocab_size=token_ids.their_size,
            hidden_size=spec.d_model,
            num_hidden_layers=spec.stack.layers,
            num_attention_heads=block.attention.heads.query,
            intermediate_size=hidden,
            hidden_act=activation,
            hidden_dropout_prob=block.dropout,
            attention_probs_dropout_prob=block.attention.dropout,
            max_position_embeddings=spec.longest,
            type_vocab_size=spec.token_types,
            layer_norm_eps=epsilon_of(block.norm),
            tie_word_embeddings=spec.embedding.tie == "output",
            pad_token_id=token_ids.first[PAD] or 0,
            architectures=[_ARCHITECTURES[tuple(sorted(spec.heads))]],
        )

    @override
    def places(self, spec: BERTSpec) -> dict[str, TensorPlace]:
        present = {
            "pooler": spec.pooler,
            "masked": "masked" in spec.heads,
            "next_sentence": "next_sentence" in spec.heads,
        }
        around = {
            f"{ours}.{kind}": TensorPlace(f"{theirs}.{kind}")
            for ours, theirs in _AROUND.items()
            if present.get(ours.partition(".")[0], True)
            for kind in ("weight", "bias")
        }
        if "masked" in spec.heads:
            own = spec.embedding.tie == "none"
            around["masked.bias"] = TensorPlace(_OWN_BIAS if own else _BIAS, tokens=True)
            if own:
                around["masked.own_output.weight"] = TensorPlace(_OUTPUT, tokens=True)
        return {
            "embedding.weight": TensorPlace("embeddings.word_embeddings.weight", tokens=True),
            "token_type.weight": TensorPlace("embeddings.token_type_embeddings.weight"),
            self.positions: TensorPlace("embeddings.position_embeddings.weight"),
            **around,
            **layers(spec.stack.layers, "stack.blocks", "encoder.layer", _LAYER),
        }

    @override
    def named(self, spec: BERTSpec, tensors: Tensors) -> dict[str, Tensor]:
        if not spec.heads:
            return dict(tensors)
        return {
            name if name.startswith("cls.") else f"bert.{name}": tensor for name, tensor in tensors.items()
        }
