"""Backbones: pretrained models that are read layer by layer, without the heads they were trained by."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field
from torch import Tensor

from whyformer.models.bert import BERT, BERTSpec
from whyformer.models.elmo import ELMo, ELMoSpec
from whyformer.models.gpt import GPT, GPTSpec

BackboneSpec = Annotated[BERTSpec | GPTSpec | ELMoSpec, Field(discriminator="kind")]
Backbone = BERT | GPT | ELMo

_HEADS = ("pooler", "masked", "next_sentence")


def without_heads(spec: BackboneSpec) -> BackboneSpec:
    """The same network without the heads of a BERT; the others' output tables stay."""
    return spec.model_copy(update={"heads": (), "pooler": False}) if isinstance(spec, BERTSpec) else spec


def backbone_tensors(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of a pretrained model without those of its heads."""
    return {name: tensor for name, tensor in tensors.items() if name.partition(".")[0] not in _HEADS}


def depth(spec: BackboneSpec) -> int:
    """Number of layers that can be read; layer 0 is the embeddings."""
    return 1 + (spec.layers if isinstance(spec, ELMoSpec) else spec.stack.layers)


def width(spec: BackboneSpec) -> int:
    """Components of a token's state: an ELMo has those of both its directions."""
    return 2 * spec.d_model if isinstance(spec, ELMoSpec) else spec.d_model


def one_way(spec: BackboneSpec) -> bool:
    """Whether the first token's state has read nothing else."""
    return isinstance(spec, GPTSpec)
