"""Shared values of one forward pass: masks, positions, caches.

B batch · L length · M model dimension
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from whyformer.attention.mask import Mask
from whyformer.nn.cache import CrossCache, KVCache
from whyformer.nn.streaming.state import StackState
from whyformer.position.positions import Positions

NO_POSITIONS = Positions()
"""The two sides of cross-attention count differently, so no scheme applies there."""


@dataclass(frozen=True)
class CrossPass:
    """Shared values of a decoder's cross-attentions in one forward pass."""

    memory: CrossCache
    mask: Mask


@dataclass(frozen=True)
class Pass:
    """Shared values of a stack's layers in one forward pass."""

    embedded: Tensor
    """(B,L,M), the input of the first layer."""
    mask: Mask
    positions: Sequence[Positions]
    """Position schemes of each layer."""
    position: Tensor
    """(B,L), where the tokens stand; the mask may count from elsewhere."""
    cache: KVCache | None = None
    cross: CrossPass | None = None
    state: StackState | None = None
    """Past of a stream, of which this is the next piece."""
    chunk: int | None = None
    """Positions of the chunks inside which a convolution may look ahead; None for the whole."""
