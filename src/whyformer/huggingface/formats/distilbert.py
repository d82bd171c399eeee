"""DistilBERT in the format of Hugging Face (Sanh et al. 2019): half of BERT's layers, no token types."""

from typing import ClassVar, Literal

from pydantic import Field

from whyformer.huggingface.config import Count, DropShare
from whyformer.huggingface.formats.bert import EncoderConfig, EncoderFormat, EncoderNames
from whyformer.huggingface.formats.parts import Activation


class DistilBertConfig(EncoderConfig):
    """Their config.json, which has BERT's fields under other names."""

    model_type: Literal["distilbert"] = "distilbert"
    hidden_size: Count = Field(default=768, alias="dim")
    num_hidden_layers: Count = Field(default=6, alias="n_layers")
    num_attention_heads: Count = Field(default=12, alias="n_heads")
    intermediate_size: Count = Field(default=3072, alias="hidden_dim")
    hidden_act: Activation = Field(default="gelu", alias="activation")
    hidden_dropout_prob: DropShare = Field(default=0.1, alias="dropout")
    attention_probs_dropout_prob: DropShare = Field(default=0.1, alias="attention_dropout")


class HuggingFaceDistilBert(EncoderFormat[DistilBertConfig]):
    """DistilBertModel and DistilBertForMaskedLM."""

    model_type = "distilbert"
    config_type = DistilBertConfig
    root = "distilbert."
    names: ClassVar = EncoderNames(
        layers="transformer.layer",
        layer={
            "attention.query": "attention.q_lin",
            "attention.key": "attention.k_lin",
            "attention.value": "attention.v_lin",
            "attention.output": "attention.out_lin",
            "attention_branch.norm": "sa_layer_norm",
            "feed_forward.enter": "ffn.lin1",
            "feed_forward.leave": "ffn.lin2",
            "feed_forward_branch.norm": "output_layer_norm",
        },
        transform="vocab_transform",
        transform_norm="vocab_layer_norm",
        output="vocab_projector",
        bias="vocab_projector.bias",
        architectures={(): "DistilBertModel", ("masked",): "DistilBertForMaskedLM"},
    )
