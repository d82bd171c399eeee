"""Norms of queries and keys: each head's vectors by themselves, before positions turn them.

B batch · H heads · L length · D head dimension
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn
from typing_extensions import override

from whyformer.kernels.rms import rms_norm
from whyformer.spec import Spec


class NoQueryKeyNormSpec(Spec):
    """Leave queries and keys as they are projected."""

    origin: ClassVar[str] = "Vaswani et al. 2017, section 3.2.2"
    kind: Literal["none"] = "none"

    def build(self, dim: int) -> nn.Module:
        """The identity."""
        return nn.Identity()


class RMSQueryKeyNormSpec(Spec):
    """Divide each head's queries and keys by the root of their mean square, so that no logit runs away.

    The paper divides by the length and learns one factor of the logits; here a gain is learned for every
    component, of queries and of keys apart, and all heads share it.
    """

    origin: ClassVar[str] = "Henry et al. 2020 (QKNorm), section 3"
    kind: Literal["rms"] = "rms"
    epsilon: float = Field(default=1e-5, gt=0.0)
    """Added to the mean square before the square root."""

    def build(self, dim: int) -> "HeadRMSNorm":
        """The norm of heads of ``dim`` components."""
        return HeadRMSNorm(dim, self.epsilon)


QueryKeyNormSpec = Annotated[NoQueryKeyNormSpec | RMSQueryKeyNormSpec, Field(discriminator="kind")]


class HeadRMSNorm(nn.RMSNorm):
    """Unit mean square over the components of a head's vector, then a learned gain."""

    def __init__(self, dim: int, epsilon: float) -> None:
        super().__init__(dim, eps=epsilon)

    @override
    def forward(self, x: Tensor) -> Tensor:
        """Normalise queries or keys ``x`` (B,H,L,D) in their own type."""
        assert self.eps is not None, "the spec has one"
        return rms_norm(x, self.weight, self.eps)
