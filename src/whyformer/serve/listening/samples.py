"""Samples in messages: their borders fall anywhere, in the middle of a sample too."""

import numpy as np
from numpy.typing import NDArray

Pcm = NDArray[np.int16]
"""Samples (n,) of 16 bits."""


class SampleJoiner:
    """Joins samples of 16 bits, least significant byte first, out of pieces of any number of bytes."""

    def __init__(self) -> None:
        self._half = b""

    def feed(self, data: bytes) -> Pcm:
        """The samples (n,) that ``data`` completes."""
        joined = self._half + data if self._half else data
        whole = len(joined) - len(joined) % 2
        self._half = joined[whole:]
        return np.frombuffer(joined[:whole], "<i2").astype(np.int16, copy=False)
