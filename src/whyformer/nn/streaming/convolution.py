"""Convolution between positions: the branch that makes a Transformer's block a Conformer's.

B rows · L length · M model dimension · k kernel · R positions of the past that are remembered
"""

from typing import ClassVar, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from whyformer.nn.residual.norm import LayerNormSpec, NormSpec
from whyformer.spec import Spec


class ConvolutionSpec(Spec):
    """A gated convolution of each component along the positions.

    Gulati et al. normalise over the batch; a stream has none, so here each position is normalised by itself.
    """

    origin: ClassVar[str] = "Gulati et al. 2020, section 2.2"
    kernel: int = Field(default=15, ge=1)
    """Positions that an output reads; odd where ``reach`` is chunk."""
    reach: Literal["causal", "chunk"] = "causal"
    """Whether all of them lie at the output or before, or half of them after it, inside its own chunk."""
    norm: NormSpec = LayerNormSpec()
    """Normalises what the convolution gives; layer or rms."""

    @model_validator(mode="after")
    def _fits_together(self) -> "ConvolutionSpec":
        if self.norm.over_batch:
            raise ValueError(
                "norm.kind batch takes statistics of whole signals, which a stream does not have; use layer "
                "or rms"
            )
        if self.reach == "chunk" and self.kernel % 2 == 0:
            raise ValueError(
                f"a kernel of {self.kernel} has no middle, so reach chunk cannot halve it; make it odd"
            )
        return self

    def build(self, d_model: int) -> "ConvolutionBranch":
        """The branch in a model of ``d_model`` components."""
        return ConvolutionBranch(self, d_model)


class ConvolutionBranch(nn.Module):
    """y = W_2 silu(norm(depthwise(GLU(W_1 x)))).

    The depthwise convolution reads zeros before the first position, at padding, and behind the end of what
    its output may see: behind itself where it is causal, else behind its chunk (as Li et al. 2023, "Dynamic
    chunk convolution"). By the same mask in a full pass and in pieces, so both give the same.
    """

    def __init__(self, spec: ConvolutionSpec, d_model: int) -> None:
        super().__init__()
        self.ahead = 0 if spec.reach == "causal" else spec.kernel // 2
        self.back = spec.kernel - 1 - self.ahead
        """R, the positions before a piece that it reads."""
        self.enter = nn.Linear(d_model, 2 * d_model)
        self.depthwise = nn.Conv1d(d_model, d_model, spec.kernel, groups=d_model)
        self.norm = spec.norm.build(d_model)
        self.leave = nn.Linear(d_model, d_model)
        for layer in (self.enter, self.leave):
            nn.init.xavier_uniform_(layer.weight)
        # A sum of k independent inputs keeps their variance.
        nn.init.normal_(self.depthwise.weight, std=spec.kernel**-0.5)
        for layer in (self.enter, self.leave, self.depthwise):
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)

    def gate(self, x: Tensor, valid: Tensor | None) -> Tensor:
        """Input of the depthwise convolution, (B,L,M) from ``x`` (B,L,M): zeros at padding."""
        x = F.glu(self.enter(x), dim=-1)
        return x if valid is None else x.masked_fill(~valid[:, :, None], 0.0)

    def forward(self, gated: Tensor, past: Tensor, chunk: int | None, valid: Tensor | None) -> Tensor:
        """Output (B,L,M) from ``gated`` (B,L,M), which begins a chunk, and what came before it.

        Args:
            gated: what ``gate`` made of the input.
            past: the R last of what it made of the input before, (B,R,M); zeros where there was none.
            chunk: positions of a chunk; None where all of ``gated`` is one.
            valid: (B,L), which are real, or None where all are.
        """
        length, width = gated.shape[1], gated.shape[2]
        if not length:
            return gated
        x = torch.cat([past.to(gated.dtype), gated], dim=1)
        if self.ahead and chunk is not None and chunk < length:
            x = F.pad(x, (0, 0, 0, -length % chunk))
            # (B,R+n·c,M) -> (B,n,M,R+c) -> (B·n,R+c,M): each chunk with what it may read before it
            x = x.unfold(1, self.back + chunk, chunk).flatten(0, 1).transpose(1, 2)
        x = self._along(F.pad(x, (0, 0, 0, self.ahead)) if self.ahead else x)
        x = x.reshape(len(gated), -1, width)[:, :length]
        return self.leave(F.silu(self.norm(x, valid)))

    def _along(self, x: Tensor) -> Tensor:
        """The depthwise convolution of ``x`` (B,L+k-1,M), without padding: (B,L,M)."""
        # As an image of one row, components last: a CPU takes that as it lies, ten times faster than (B,M,L).
        weight, bias = self.depthwise.weight[:, :, None], self.depthwise.bias
        image = x.transpose(1, 2)[:, :, None]
        return F.conv2d(image, weight, bias, groups=len(weight))[:, :, 0].transpose(1, 2)
