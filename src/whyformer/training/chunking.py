"""Chunks of training batches, drawn at random, so that one model serves all of them."""

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from whyformer.attention.mask import Chunk, Everything
from whyformer.spec import Spec


class ChunkingSpec(Spec):
    """Law by which the chunks of a batch are drawn (placeholder)."""

    kind: Literal["uniform"] = "uniform"
    probability: float = 0.6
    chunk: tuple[int, int] = (1, 25)
    left_probability: float = 0.75
    left: tuple[int, int] = (1, 8)

    def draw(self, *seed: int) -> Chunk | Everything:
        generator = np.random.default_rng(seed)
        if generator.random() >= self.probability:
            return Everything()
        size = int(generator.integers(self.chunk[0], self.chunk[1] + 1))
        left = int(generator.integers(self.left[0], self.left[1] + 1)) if generator.random() < self.left_probability else None
        return Chunk(size=size, left_chunks=left)
