"""Norms: how the activations of a layer are kept in range. All share ``(x, valid) -> x``.

B batch · L length · M model dimension
"""

from typing import Literal

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from whyformer.spec import Spec


class LayerNormSpec(Spec):
    """Normalise every token by itself."""

    kind: Literal["layer"] = "layer"
    epsilon: float = Field(default=1e-5, gt=0.0)
    """Added to the variance before the square root."""

    def build(self, d_model: int) -> "LayerNorm":
        """The norm for ``d_model`` components."""
        return LayerNorm(d_model, self.epsilon)


NormSpec = LayerNormSpec


class LayerNorm(nn.LayerNorm):
    """Zero mean and unit variance over the components of each token, then a learned gain and shift.

    Ba et al. 2016, equation 4. It reads no other token, so padding cannot touch it.
    """

    def __init__(self, d_model: int, epsilon: float) -> None:
        super().__init__(d_model, eps=epsilon)

    def forward(self, input: Tensor, valid: Tensor | None = None) -> Tensor:
        """Normalise ``input`` (B,L,M); ``valid`` (B,L) is what norms over a batch would need."""
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)
