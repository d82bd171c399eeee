"""Norms: how the activations of a layer are kept in range. All share ``(x, valid) -> x``.

B batch · L length · M model dimension
"""

from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

from whyformer.kernels.rms import rms_norm
from whyformer.spec import Spec


class LayerNormSpec(Spec):
    """Normalise every token by itself: subtract the mean, divide by the standard deviation."""

    origin: ClassVar[str] = "Ba et al. 2016, equation 4"
    kind: Literal["layer"] = "layer"
    over_batch: ClassVar[bool] = False
    epsilon: float = Field(default=1e-5, gt=0.0)
    """Added to the variance before the square root."""

    def build(self, d_model: int) -> "LayerNorm":
        """The norm for ``d_model`` components."""
        return LayerNorm(d_model, self.epsilon)


class RMSNormSpec(Spec):
    """Normalise every token by itself: divide by the root of its mean square, nothing more."""

    origin: ClassVar[str] = "Zhang and Sennrich 2019, equation 4"
    kind: Literal["rms"] = "rms"
    over_batch: ClassVar[bool] = False
    epsilon: float = Field(default=1e-5, gt=0.0)
    """Added to the mean square before the square root."""

    def build(self, d_model: int) -> "RMSNorm":
        """The norm for ``d_model`` components."""
        return RMSNorm(d_model, self.epsilon)


class MaskedBatchNormSpec(Spec):
    """Normalise every component over all real tokens of the batch; padding is left out."""

    origin: ClassVar[str] = "Ioffe and Szegedy 2015, algorithm 1"
    kind: Literal["batch"] = "batch"
    over_batch: ClassVar[bool] = True
    epsilon: float = Field(default=1e-5, gt=0.0)
    """Added to the variance before the square root."""
    momentum: float = Field(default=0.1, gt=0.0, le=1.0)
    """Share of the present batch in the running statistics, which evaluation uses."""

    def build(self, d_model: int) -> "MaskedBatchNorm":
        """The norm for ``d_model`` components."""
        return MaskedBatchNorm(d_model, self.epsilon, self.momentum)


class NoNormSpec(Spec):
    """Leave activations as they are."""

    origin: ClassVar[str] = "a control"
    kind: Literal["none"] = "none"
    over_batch: ClassVar[bool] = False

    def build(self, d_model: int) -> "NoNorm":
        """The norm that is none."""
        return NoNorm()


NormSpec = Annotated[
    LayerNormSpec | RMSNormSpec | MaskedBatchNormSpec | NoNormSpec, Field(discriminator="kind")
]


class LayerNorm(nn.LayerNorm):
    """Zero mean and unit variance over the components of each token, then a learned gain and shift.

    It reads no other token, so padding cannot touch it.
    """

    def __init__(self, d_model: int, epsilon: float) -> None:
        super().__init__(d_model, eps=epsilon)

    def forward(self, input: Tensor, valid: Tensor | None = None) -> Tensor:
        """Normalise ``input`` (B,L,M); ``valid`` (B,L) is what norms over a batch would need."""
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)


class RMSNorm(nn.RMSNorm):
    """Unit mean square over the components of each token, then a learned gain; no shift, no mean."""

    def __init__(self, d_model: int, epsilon: float) -> None:
        super().__init__(d_model, eps=epsilon)

    @override
    def forward(self, x: Tensor, valid: Tensor | None = None) -> Tensor:
        assert self.eps is not None, "the spec has one"
        return rms_norm(x, self.weight, self.eps)


class MaskedBatchNorm(nn.BatchNorm1d):
    """Zero mean and unit variance of each component over the real tokens of a batch, then gain and shift.

    A token's result depends on its batch mates in training, and in evaluation on none: then the running
    statistics are used, and stay; so they are where a token is alone. Rows of padding come out as zeros.
    """

    def __init__(self, d_model: int, epsilon: float, momentum: float) -> None:
        super().__init__(d_model, eps=epsilon, momentum=momentum)

    @override
    def forward(self, input: Tensor, valid: Tensor | None = None) -> Tensor:
        if valid is None:
            valid = torch.ones(input.shape[:2], dtype=torch.bool, device=input.device)
        # (B,L,M) -> (real tokens, M)
        real, normal = input[valid].to(self.weight.dtype), torch.zeros_like(input)
        # One alone has no variance to learn from.
        if self.training and len(real) > 1:
            output = super().forward(real)
        else:
            output = F.batch_norm(
                real, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        normal[valid] = output.to(input.dtype)
        return normal


class NoNorm(nn.Module):
    """The identity."""

    def forward(self, x: Tensor, valid: Tensor | None = None) -> Tensor:
        """Give back ``x``."""
        return x


Norm = LayerNorm | RMSNorm | MaskedBatchNorm | NoNorm
