"""Gates of an attention's output: how much of what it has gathered each query lets through.

B batch · Q query length · H heads · D head dimension · M model dimension
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn
from typing_extensions import override

from whyformer.spec import Spec


class NoGateSpec(Spec):
    """Let the context through as it is."""

    origin: ClassVar[str] = "Vaswani et al. 2017, section 3.2.2"
    kind: Literal["none"] = "none"

    def build(self, d_model: int, width: int) -> None:
        """Nothing: an attention without a gate has no parameters for one."""


class SigmoidGateSpec(Spec):
    """Multiply every component of the context by a sigmoid of what enters the query."""

    origin: ClassVar[str] = "Qiu et al. 2025 (gated attention), elementwise after SDPA"
    kind: Literal["sigmoid"] = "sigmoid"

    def build(self, d_model: int, width: int) -> "SigmoidGate":
        """The gate of a context of ``width`` components in a model of ``d_model``."""
        return SigmoidGate(d_model, width)


GateSpec = Annotated[NoGateSpec | SigmoidGateSpec, Field(discriminator="kind")]


class SigmoidGate(nn.Module):
    """c · sigmoid(x W), component by component; without a bias a gate begins half open."""

    def __init__(self, d_model: int, width: int) -> None:
        super().__init__()
        self.open = nn.Linear(d_model, width, bias=False)
        nn.init.xavier_uniform_(self.open.weight)

    @override
    def forward(self, context: Tensor, x: Tensor) -> Tensor:
        """Let through a share of each component of ``context`` (B,Q,H·D), by the input ``x`` (B,Q,M)."""
        return context * self.open(x).sigmoid()
