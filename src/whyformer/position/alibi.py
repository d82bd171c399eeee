"""ALiBi: a penalty that grows with the distance.

B batch · Q query, K key length · H heads
"""

from typing import ClassVar, Literal

import torch
from torch import Tensor
from typing_extensions import override

from whyformer.position.attention_shape import AttentionShape
from whyformer.position.layout import Layout
from whyformer.position.offsets import offsets_between
from whyformer.position.scheme import PositionScheme, SchemeSpec


class AlibiSpec(SchemeSpec):
    """A penalty that grows with the distance, by a slope of each head's own; made for longer input.

    Under a causal mask this is the paper's; in an encoder it counts alike to both sides.
    """

    origin: ClassVar[str] = "Press et al. 2022, section 3"
    kind: Literal["alibi"] = "alibi"

    def build(self, shape: AttentionShape) -> PositionScheme:
        """The scheme for the heads of ``shape``."""
        return Alibi(shape.heads)


class Alibi(PositionScheme):
    """-slope · |offset|, slopes falling from 2^(-8/H) to 2^-8. Memory: H·Q·K numbers."""

    def __init__(self, heads: int) -> None:
        super().__init__()
        # For H that is no power of two: those of the power below, then every other one of the power above.
        power = 1 << (heads.bit_length() - 1)
        exponents = [8 * (i + 1) / power for i in range(power)]
        exponents += [8 * (i + 1) / (2 * power) for i in range(0, 2 * (heads - power), 2)]
        self.register_buffer("slopes", 2.0 ** -torch.tensor(exponents), persistent=False)
        self.slopes: Tensor

    @override
    def logits(self, query: Tensor, key: Tensor, queries: Layout, keys: Layout) -> Tensor:
        # (H,1,1) · (B,1,Q,K) -> (B,H,Q,K)
        return self.slopes[:, None, None] * -offsets_between(queries, keys)[:, None].abs()
