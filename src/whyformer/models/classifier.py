"""A classifier: a backbone that reads, one vector for a text, one layer that tells its class.

B batch · L length · J layers that are read · M model dimension · C classes
"""

from collections.abc import Sequence
from typing import Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

from whyformer.dropout import Dropout
from whyformer.models.backbone import BackboneSpec, depth, one_way, width
from whyformer.nn.embedding import with_bias
from whyformer.nn.vectors.pooling import Pooling, pool
from whyformer.nn.vectors.scalar_mix import ScalarMix
from whyformer.spec import Spec


class ClassifierSpec(Spec):
    """A backbone and what is put on top of it."""

    kind: Literal["classifier"] = "classifier"
    backbone: BackboneSpec | None = Field(default=None, json_schema_extra={"formerly": "trunk"})
    """The network that reads; left out, it is taken from the recipe's `start` and written here."""
    update: Literal["all", "head"] = "all"
    """Weights that training changes: all (fine-tuning), or only those on top of a backbone that stays as it
    is and drops nothing (frozen features)."""
    pooling: Pooling = "mean"
    """Token that stands for the text: mean of all, first or last; the first of a GPT has read nothing."""
    layer_mix: Literal["last", "scalar_mix"] = "last"
    """The layers that are read: the last, or a learned mix of all (Peters et al. 2018, equation 1)."""
    layer: Literal["none", "tanh", "relu"] = "none"
    """Layer between a text's vector and the scores of classes, by its activation: none, or BERT's (tanh;
    Devlin et al. 2019 call it pooler) or DistilBERT's (relu; Sanh et al. 2019)."""
    dropout: float = Field(default=0.1, ge=0.0, lt=1.0)
    """Probability that a component of a text's vector is dropped in training."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.pooling == "first" and self.backbone is not None and one_way(self.backbone):
            raise ValueError("pooling is first, but a GPT's first token has read nothing; use mean or last")
        return self

    @property
    def whole_backbone(self) -> BackboneSpec:
        """The backbone, which must be known by now."""
        assert self.backbone is not None, "a recipe that was read by load_any has its backbone"
        return self.backbone

    def build(self, vocabulary: int, classes: int) -> "PooledClassifier":
        """The model, freshly initialised from torch's global random state."""
        return PooledClassifier(self, vocabulary, classes)


class PooledClassifier(nn.Module):
    """Pools the layers of its backbone, mixes them, and scores classes.

    Pooling comes first: it is linear as the mix is, so that what a frozen backbone makes of a text is a few
    vectors, which need be computed only once.
    """

    def __init__(self, spec: ClassifierSpec, vocabulary: int, classes: int) -> None:
        super().__init__()
        backbone = spec.whole_backbone
        self.frozen = spec.update == "head"
        self.pooling: Pooling = spec.pooling
        self.backbone = backbone.build(vocabulary)
        self.read_layers = 1 if spec.layer_mix == "last" else depth(backbone)
        """J."""
        self.mix = None if spec.layer_mix == "last" else ScalarMix(self.read_layers)
        self.layer = None if spec.layer == "none" else nn.Linear(width(backbone), width(backbone))
        self.activation = torch.tanh if spec.layer == "tanh" else F.relu
        self.dropout = Dropout(spec.dropout)
        self.output = nn.Linear(width(backbone), classes)
        nn.init.normal_(self.output.weight, std=0.02)
        nn.init.zeros_(self.output.bias)
        if self.layer is not None:
            nn.init.normal_(self.layer.weight, std=0.02)
            nn.init.zeros_(self.layer.bias)
        if self.frozen:
            self.backbone.requires_grad_(False).eval()

    @override
    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        self.backbone.train(mode and not self.frozen)
        return self

    def pooled(self, layers: Sequence[Tensor], valid: Tensor) -> Tensor:
        """The vectors (B,J,M) of texts from the states (B,L,M) of all layers: of the last, or of each."""
        read = layers[-self.read_layers :]
        return torch.stack([pool(states, valid, self.pooling) for states in read], dim=1)

    @override
    def forward(self, pooled: Tensor) -> Tensor:
        """(B,J,M) -> the vector (B,M) that is classified."""
        vector = pooled[:, 0] if self.mix is None else self.mix(pooled)
        return self.dropout(vector if self.layer is None else self.activation(self.layer(vector)))

    def logits(self, hidden: Tensor) -> Tensor:
        """(B,M) -> (B,C)."""
        return self.output(hidden)

    def scored(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """``hidden`` (B,M) and a table for ``token_loss``, each with a column for the bias.

        Class c is row c + 1 of the table (C+1,M+1): row 0 is padding, which is never predicted.
        """
        return with_bias(hidden, F.pad(self.output.weight, (0, 0, 1, 0)), F.pad(self.output.bias, (1, 0)))
