"""What the layers of a stack share in one forward pass."""

from collections.abc import Sequence
from dataclasses import dataclass

from whyformer.attention.mask import Mask
from whyformer.nn.cache import CrossCache, KVCache
from whyformer.position.positions import Positions

NO_POSITIONS = Positions()
"""The two sides of cross-attention count differently, so no scheme applies there."""


@dataclass(frozen=True)
class CrossPass:
    """What the cross-attentions of a decoder share in one forward pass."""

    memory: CrossCache
    mask: Mask


@dataclass(frozen=True)
class Pass:
    """What the layers of a stack share in one forward pass."""

    mask: Mask
    positions: Sequence[Positions]
    """What each layer knows of positions."""
    cache: KVCache | None = None
    cross: CrossPass | None = None
