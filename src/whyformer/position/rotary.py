"""Rotary positions: queries and keys are turned, so that their products see offsets only.

B batch · H heads · L length · R turned components
"""

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor
from typing_extensions import override

from whyformer.position.attention_shape import AttentionShape
from whyformer.position.scheme import PositionScheme, SchemeSpec


class RotarySpec(SchemeSpec):
    """Queries and keys are turned by angles that grow with the position, so products see offsets only.

    Beyond the trained length it runs on, with angles never seen; ``stretch`` brings them back.
    """

    origin: ClassVar[str] = "Su et al. 2021, equation 15"
    dot_only: ClassVar[bool] = True
    kind: Literal["rotary"] = "rotary"
    fraction: float = Field(default=1.0, gt=0.0, le=1.0)
    """Share of a head's components that are turned; the rest carries no position."""
    base: float = Field(default=10_000.0, gt=1.0)
    """Ratio of the longest wavelength to the shortest, nearly."""
    stretch: float = Field(default=1.0, ge=1.0)
    """Number that positions are divided by, to reach further after training (Chen et al. 2023)."""

    @override
    def incompatibility(self, shape: AttentionShape) -> str | None:
        # 0.07 of 200 is 14, not 14.000000000000002.
        turned = round(self.fraction * shape.dim, 6)
        if turned >= 2 and turned % 2 == 0:
            return None
        return f"rotary turns pairs, but {turned:g} of {shape.dim} components are to be turned; make it even"

    def build(self, shape: AttentionShape) -> PositionScheme:
        """The scheme for the heads of ``shape``."""
        return Rotary(round(self.fraction * shape.dim), self.base, self.stretch)


class Rotary(PositionScheme):
    """Component i and i + R/2 of the first R turn together by position · base^(-2i/R)."""

    def __init__(self, turned: int, base: float, stretch: float) -> None:
        super().__init__()
        self.turned = turned
        self.base = base
        self.stretch = stretch
        self._last: tuple[Tensor, Tensor, Tensor] | None = None
        """Positions of the last pass with their waves: all layers of a pass ask for the same."""

    @override
    def rotate(self, x: Tensor, position: Tensor) -> Tensor:
        # Angles in fp64, products in fp32 at least: bf16 could not tell late positions apart.
        exact = torch.promote_types(x.dtype, torch.float32)
        sine, cosine = self._waves(position, exact)
        # (B,H,L,R) -> twice (B,H,L,R/2)
        first, second = x[..., : self.turned].to(exact).chunk(2, dim=-1)
        turned = torch.cat([first * cosine - second * sine, second * cosine + first * sine], dim=-1)
        return torch.cat([turned.to(x.dtype), x[..., self.turned :]], dim=-1)

    def _waves(self, position: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Sines and cosines (B|1,1,L,R/2) at ``position`` (B,L), of one row where rows are views of one."""
        # One look at it, as another thread may be in another pass.
        last = self._last
        if last is not None and last[0] is position and last[1].dtype == dtype:
            return last[1], last[2]
        rows = position[:1] if position.stride(0) == 0 else position
        even = torch.arange(0, self.turned, 2, dtype=torch.float64, device=position.device)
        angle = rows[:, None, :, None] / self.stretch * self.base ** (-even / self.turned)
        sine, cosine = angle.sin().to(dtype), angle.cos().to(dtype)
        self._last = (position, sine, cosine)
        return sine, cosine
