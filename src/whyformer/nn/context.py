"""Shared values of one forward pass: masks, positions, caches.

B batch · H heads · L length · D head dimension · M model dimension
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from whyformer.attention.mask import Mask
from whyformer.attention.multihead import KeyValues
from whyformer.nn.cache import CrossCache, KVCache
from whyformer.nn.residual.values import ValueResidual
from whyformer.nn.streaming.state import StackState
from whyformer.position.positions import Positions

NO_POSITIONS = Positions()
"""The two sides of cross-attention count differently, so no scheme applies there."""


@dataclass(frozen=True)
class CrossPass:
    """Shared values of a decoder's cross-attentions in one forward pass."""

    memory: CrossCache
    mask: Mask


class Beginning:
    """Tensors of a stack's beginning that its later layers may read again."""

    def __init__(self, embedded: Tensor, residual: ValueResidual | None) -> None:
        self.embedded = embedded
        """(B,L,M), the input of the first layer."""
        self._residual = residual
        self._value: Tensor | None = None

    def mixed(self, layer: int, source: KeyValues) -> KeyValues:
        """Keys and values of a ``layer``, the values (B,H,L,D) mixed with the first layer's where wanted.

        Layers come in their order, each with the keys and values of this pass alone.
        """
        if self._residual is None:
            return source
        if self._value is None:
            self._value = source.value
            return source
        return KeyValues(source.key, self._residual(source.value, self._value, layer))


@dataclass(frozen=True)
class Pass:
    """Shared values of a stack's layers in one forward pass."""

    beginning: Beginning
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
