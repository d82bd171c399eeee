"""Values of later layers mixed with those of the first, which still know their token best.

B batch · H heads · L length · D head dimension
"""

from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from typing_extensions import override

from whyformer.spec import Spec


class NoValueResidualSpec(Spec):
    """Let every layer attend to values of its own."""

    origin: ClassVar[str] = "Vaswani et al. 2017, section 3.2.2"
    kind: Literal["none"] = "none"

    def build(self, layers: int) -> None:
        """Nothing: a stack without it has no parameters for it."""


class FirstLayerValuesSpec(Spec):
    """Mix the values of each later layer with those of the first, by two learned numbers that begin at ½."""

    origin: ClassVar[str] = "Zhou et al. 2024 (ResFormer with learned weights)"
    kind: Literal["first_layer"] = "first_layer"

    def build(self, layers: int) -> "ValueResidual":
        """The mixture in a stack of ``layers`` layers."""
        return ValueResidual(layers)


ValueResidualSpec = Annotated[NoValueResidualSpec | FirstLayerValuesSpec, Field(discriminator="kind")]


class ValueResidual(nn.Module):
    """a_l v_l + b_l v_1, with numbers of its own for each layer l behind the first."""

    def __init__(self, layers: int) -> None:
        super().__init__()
        self.own = nn.Parameter(torch.full((layers - 1,), 0.5))
        self.first = nn.Parameter(torch.full((layers - 1,), 0.5))

    @override
    def forward(self, value: Tensor, first: Tensor, layer: int) -> Tensor:
        """Mix the ``value`` (B,H,L,D) of a ``layer``, from 1 on, with that of layer 0."""
        return self.own[layer - 1] * value + self.first[layer - 1] * first
