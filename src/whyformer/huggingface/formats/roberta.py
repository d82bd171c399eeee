"""RoBERTa in the format of Hugging Face (Liu et al. 2019): BERT's network, trained without pairs."""

from typing import ClassVar, Literal

from typing_extensions import override

from whyformer.huggingface.formats.bert import EncoderConfig, EncoderFormat, EncoderNames, HuggingFaceBert
from whyformer.huggingface.formats.format import TokenIdSetting
from whyformer.huggingface.formats.parts import Activation

_PAD = 1


class RobertaConfig(EncoderConfig):
    """Their config.json. Positions are counted from the id of padding on, whose own row nothing reads."""

    model_type: Literal["roberta"] = "roberta"
    type_vocab_size: int = 2
    layer_norm_eps: float = 1e-12
    position_embedding_type: Literal["absolute"] = "absolute"
    pad_token_id: TokenIdSetting = _PAD

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
