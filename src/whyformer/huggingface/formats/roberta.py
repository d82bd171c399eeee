"""RoBERTa in the format of Hugging Face (Liu et al. 2019): BERT's network, trained without pairs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, JsonValue, model_validator
from typing_extensions import override

from whyformer.huggingface.config import Count, Epsilon, first_id, read_config
from whyformer.huggingface.formats.bert import EncoderConfig, EncoderFormat, EncoderNames, HuggingFaceBert
from whyformer.huggingface.formats.parts import Activation

_PAD = 1
PadSetting = Annotated[Annotated[int, Field(ge=0)] | None, BeforeValidator(first_id)]
"""Id of padding in config.json, from which positions are counted."""


class RobertaConfig(EncoderConfig):
    """Their config.json. Positions are counted from the id of padding on, whose own row nothing reads."""

    model_type: Literal["roberta"] = "roberta"
    type_vocab_size: Count = 2
    layer_norm_eps: Epsilon = 1e-12
    position_embedding_type: Literal["absolute"] = "absolute"
    pad_token_id: PadSetting = _PAD

    @model_validator(mode="after")
    def _leaves_positions(self) -> Self:
        if self.longest < 1:
            raise ValueError(
                f"pad_token_id {self.pad_token_id} leaves none of the positions of max_position_embeddings "
                f"{self.max_position_embeddings}"
            )
        return self

    @property
    @override
    def skipped_positions(self) -> int:
        return (_PAD if self.pad_token_id is None else self.pad_token_id) + 1

    @property
    @override
    def token_types(self) -> int:
        return self.type_vocab_size

    @property
    @override
    def epsilon(self) -> float:
        return self.layer_norm_eps

    @property
    @override
    def transform(self) -> Activation:
        return "gelu"


def pad_of(data: Mapping[str, JsonValue], path: Path) -> int:
    """Id of padding, after which positions count, by the config that ``path`` holds as ``data``.

    Raises:
        CheckpointError: a field is missing or says what we cannot express; each is named.
    """
    return read_config(RobertaConfig, data, path).skipped_positions - 1


class HuggingFaceRoberta(EncoderFormat[RobertaConfig]):
    """RobertaModel and RobertaForMaskedLM; ``pad`` is the id of padding, after which positions count."""

    model_type = "roberta"
    config_type = RobertaConfig
    root = "roberta."
    names: ClassVar = EncoderNames(
        layers=HuggingFaceBert.names.layers,
        layer=HuggingFaceBert.names.layer,
        transform="lm_head.dense",
        transform_norm="lm_head.layer_norm",
        output="lm_head.decoder",
        bias="lm_head.bias",
        architectures={(): "RobertaModel", ("masked",): "RobertaForMaskedLM"},
    )

    def __init__(self, pad: int = _PAD) -> None:
        self.pad = pad

    @property
    @override
    def skipped_positions(self) -> int:
        return self.pad + 1
