"""BERT in the format of Hugging Face (Devlin et al. 2019), and what its descendants share with it."""

import re
from collections.abc import Collection, Mapping
from typing import ClassVar, Literal, NamedTuple, TypeVar

import torch
from pydantic import ConfigDict
from torch import Tensor
from typing_extensions import override

from whyformer.errors import CheckpointError
from whyformer.huggingface.config import Config, Count, DropShare, Epsilon, TokenIdSetting
from whyformer.huggingface.formats.format import Marks, OneStackFormat, Say, TensorPlace, Tensors
from whyformer.huggingface.formats.parts import (
    Activation,
    activation_of,
    attention_of,
    embedding_of,
    epsilon_of,
    feed_forward,
    layers,
    settle_output,
)
from whyformer.huggingface.shapes import Size
from whyformer.huggingface.tokenizers.token_ids import TokenIds
from whyformer.models.bert import BERTSpec, Head, Transform
from whyformer.nn.residual.norm import LayerNormSpec
from whyformer.nn.stack import BlockSpec, StackSpec
from whyformer.position.absolute import LearnedSpec
from whyformer.special_tokens import BOS, EOS, PAD, UNK


class EncoderNames(NamedTuple):
    """Their names of the parts of an encoder; those of tensors lack ``weight`` and ``bias``."""

    layers: str
    layer: Mapping[str, str]
    """EncoderNames within a layer, by ours."""
    transform: str
    """The layer before the output table, in the head for masked tokens."""
    transform_norm: str
    output: str
    bias: str
    """Full name of the bias of a tied output table."""
    architectures: Mapping[tuple[Head, ...], str]


class EncoderConfig(Config):
    """The fields of config.json that all encoders have, some of them under other names."""

    model_config = ConfigDict(populate_by_name=True)

    split: ClassVar = {"num_attention_heads": "hidden_size"}

    vocab_size: Count = 30522
    hidden_size: Count = 768
    num_hidden_layers: Count = 12
    num_attention_heads: Count = 12
    intermediate_size: Count = 3072
    hidden_act: Activation = "gelu"
    hidden_dropout_prob: DropShare = 0.1
    attention_probs_dropout_prob: DropShare = 0.1
    max_position_embeddings: Count = 512
    is_decoder: Literal[False] = False
    add_cross_attention: Literal[False] = False
    tie_word_embeddings: bool = True
    pad_token_id: TokenIdSetting = None
    architectures: list[str] | None = None

    @property
    @override
    def longest(self) -> int:
        return self.max_position_embeddings - self.skipped_positions

    @property
    def skipped_positions(self) -> int:
        """Number of positions before that of the first token."""
        return 0

    @property
    def token_types(self) -> int:
        """Number of token types; 0 for none."""
        return 0

    @property
    def epsilon(self) -> float:
        """Epsilon of all norms."""
        return 1e-12

    @property
    def transform(self) -> Activation:
        """Activation in the head for masked tokens."""
        return self.hidden_act


class BertConfig(EncoderConfig):
    """Their config.json."""

    model_type: Literal["bert"] = "bert"
    type_vocab_size: Count = 2
    layer_norm_eps: Epsilon = 1e-12
    position_embedding_type: Literal["absolute"] = "absolute"

    @property
    @override
    def token_types(self) -> int:
        return self.type_vocab_size

    @property
    @override
    def epsilon(self) -> float:
        return self.layer_norm_eps


EncoderT = TypeVar("EncoderT", bound=EncoderConfig)


class EncoderFormat(OneStackFormat[EncoderT, BERTSpec]):
    """Base of BERT's format and those of its descendants, which differ in names and in what is left out."""

    names: ClassVar[EncoderNames]
    roles: ClassVar = {"pad_token": PAD, "unk_token": UNK, "cls_token": BOS, "sep_token": EOS}
    framed = (BOS, EOS)
    writes = False
    anchor = "embeddings.word_embeddings.weight"

    @property
    @override
    def layer_counts(self) -> Mapping[str, str]:
        return {"num_hidden_layers": self.names.layers}

    @property
    @override
    def sizes(self) -> list[Size]:
        enter = f"{self.names.layers}.0.{self.names.layer['feed_forward.enter']}.weight"
        found = [
            Size("vocab_size", self.anchor, 0, at_most=True),
            Size("hidden_size", self.anchor, 1),
            Size("max_position_embeddings", "embeddings.position_embeddings.weight", 0),
            Size("intermediate_size", enter, 0),
            Size("type_vocab_size", "embeddings.token_type_embeddings.weight", 0),
        ]
        return [size for size in found if size.field in self.config_type.model_fields]

    @override
    def marks(self, config: EncoderT, roles: Mapping[str, int], size: int, say: Say) -> Marks:
        if missing := [role for role in self.roles if role not in roles]:
            raise CheckpointError(
                f"the tokenizer has no {missing[0]}, which {self.model_type} needs; name it in "
                "tokenizer_config.json."
            )
        return tuple(roles[role] for role in self.roles)

    @override
    def one_name_each(self, config: EncoderT, tensors: Tensors, say: Say) -> dict[str, Tensor]:
        names, found = self.names, dict(tensors)
        output, own_bias = f"{names.output}.weight", f"{names.output}.bias"
        if f"{names.transform}.weight" not in found:
            return found
        tied, other = config.tie_word_embeddings, found.pop(names.bias, None)
        settle_output(found, self.anchor, output, said_tied=tied, say=say)
        if other is None:
            return found
        if own_bias not in found:
            found[own_bias] = other
        elif tied and not torch.equal(found[own_bias], other):
            say(f"{names.bias} differs from {own_bias}, and the latter counts, as in transformers")
        return found

    @override
    def spec(self, config: EncoderT, names: Collection[str], unpredicted: tuple[int, ...]) -> BERTSpec:
        heads: tuple[Head, ...] = ("masked",) if f"{self.names.transform}.weight" in names else ()
        if "cls.seq_relationship.weight" in names:
            heads = (*heads, "next_sentence")
        block = BlockSpec(
            attention=attention_of(config.num_attention_heads, config.attention_probs_dropout_prob),
            feed_forward=feed_forward(config.hidden_act, config.intermediate_size),
            norm=LayerNormSpec(epsilon=config.epsilon),
            dropout=config.hidden_dropout_prob,
        )
        positions = (LearnedSpec(longest=config.longest),)
        return BERTSpec(
            d_model=config.hidden_size,
            token_types=config.token_types,
            embedding=embedding_of(
                config.hidden_dropout_prob, tied=f"{self.names.output}.weight" not in names
            ),
            stack=StackSpec(layers=config.num_hidden_layers, positions=positions, block=block),
            pooler="pooler.dense.weight" in names,
            heads=heads,
            transform=_kind(config.transform) if "masked" in heads else "gelu",
            longest=config.longest,
        )

    @override
    def config(self, spec: BERTSpec, token_ids: TokenIds) -> EncoderT:
        block = spec.stack.block
        activation, hidden, _ = activation_of(block.feed_forward)
        architecture = self.names.architectures.get(tuple(sorted(spec.heads)))
        if architecture is None:
            raise CheckpointError(
                f"model.heads has next_sentence, which the {self.model_type} format cannot say; such a model "
                "cannot be exported."
            )
        pad = token_ids.first[PAD] or 0
        said = {
            "vocab_size": token_ids.their_size,
            "hidden_size": spec.d_model,
            "num_hidden_layers": spec.stack.layers,
            "num_attention_heads": block.self_attention.heads.query,
            "intermediate_size": hidden,
            "hidden_act": activation,
            "hidden_dropout_prob": block.dropout,
            "attention_probs_dropout_prob": block.self_attention.dropout,
            "max_position_embeddings": spec.longest,
            "type_vocab_size": spec.token_types,
            "layer_norm_eps": epsilon_of(block.norm),
            "tie_word_embeddings": spec.embedding.tie == "output",
            "pad_token_id": pad,
            "architectures": [architecture],
        }
        blank = self.config_type.model_validate(said)
        longest = spec.longest + blank.skipped_positions
        return self.config_type.model_validate({**said, "max_position_embeddings": longest})

    @override
    def places(self, spec: BERTSpec) -> dict[str, TensorPlace]:
        names = self.names
        around = {"embedding_norm": "embeddings.LayerNorm"}
        if spec.pooler:
            around["pooler"] = "pooler.dense"
        if "next_sentence" in spec.heads:
            around["next_sentence"] = "cls.seq_relationship"
        if "masked" in spec.heads:
            around |= {"masked.transform": names.transform, "masked.norm": names.transform_norm}
        found = {
            f"{ours}.{kind}": TensorPlace(f"{theirs}.{kind}")
            for ours, theirs in around.items()
            for kind in ("weight", "bias")
        }
        if "masked" in spec.heads:
            found["masked.bias"] = TensorPlace(f"{names.output}.bias", tokens="target")
            if spec.embedding.tie == "none":
                found["masked.own_output.weight"] = TensorPlace(f"{names.output}.weight", tokens="target")
        if spec.token_types:
            found["token_type.weight"] = TensorPlace("embeddings.token_type_embeddings.weight")
        return {
            "embedding.weight": TensorPlace(self.anchor, tokens="target"),
            self.positions: TensorPlace(
                "embeddings.position_embeddings.weight", skipped=self.skipped_positions
            ),
            **found,
            **layers(spec.stack.layers, "stack.blocks", names.layers, names.layer),
        }

    @property
    def skipped_positions(self) -> int:
        """Number of rows of the table of positions before that of the first token."""
        return 0

    @override
    def named(self, spec: BERTSpec, tensors: Tensors) -> dict[str, Tensor]:
        if not spec.heads:
            return dict(tensors)
        own_bias, tied = f"{self.names.output}.bias", spec.embedding.tie == "output"
        renamed = {self.names.bias if tied and name == own_bias else name: t for name, t in tensors.items()}
        body = ("embeddings.", "encoder.", "transformer.", "pooler.")
        return {f"{self.root}{name}" if name.startswith(body) else name: t for name, t in renamed.items()}


class HuggingFaceBert(EncoderFormat[BertConfig]):
    """BertModel, BertForMaskedLM, BertForNextSentencePrediction and BertForPreTraining."""

    model_type = "bert"
    config_type = BertConfig
    inputs = ("input_ids", "token_type_ids", "attention_mask")
    root = "bert."
    names = EncoderNames(
        layers="encoder.layer",
        layer={
            "attention.query": "attention.self.query",
            "attention.key": "attention.self.key",
            "attention.value": "attention.self.value",
            "attention.output": "attention.output.dense",
            "attention_branch.norm": "attention.output.LayerNorm",
            "feed_forward.enter": "intermediate.dense",
            "feed_forward.leave": "output.dense",
            "feed_forward_branch.norm": "output.LayerNorm",
        },
        transform="cls.predictions.transform.dense",
        transform_norm="cls.predictions.transform.LayerNorm",
        output="cls.predictions.decoder",
        bias="cls.predictions.bias",
        architectures={
            (): "BertModel",
            ("masked",): "BertForMaskedLM",
            ("next_sentence",): "BertForNextSentencePrediction",
            ("masked", "next_sentence"): "BertForPreTraining",
        },
    )

    @override
    def own_names(self, tensors: Tensors) -> dict[str, Tensor]:
        # The first checkpoints kept the names that TensorFlow has for a norm's parameters.
        olden = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}
        pattern = re.compile("|".join(map(re.escape, olden)))
        named = super().own_names(tensors)
        return {pattern.sub(lambda hit: olden[hit[0]], name): tensor for name, tensor in named.items()}


def _kind(activation: Activation) -> Transform:
    """Our name of their activation, as a head has it."""
    kind = feed_forward(activation, 1).kind
    assert kind in ("gelu", "gelu_tanh", "relu", "silu", "linear"), "each of their names is one of these"
    return kind
