"""Laws of chunks for training: a mask for each batch, so that one model learns every latency.

A model that has only ever seen whole signals reads chunks badly, and one trained on chunks of one size is
bound to that size. To draw the mask anew for each batch teaches all sizes (Zhang et al. 2020, section 3.3).
"""

from abc import ABC, abstractmethod
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator
from typing_extensions import override

from whyformer.attention.mask import Chunk, Everything, MaskRule
from whyformer.spec import Spec

# Keeps these draws apart from others that begin with the same seed.
_SALT = 0xC4


class _LawSpec(Spec, ABC):
    """Base of the laws: a pure function from a batch's place to its mask."""

    def rule(self, seed: int, *place: int, frames: int) -> MaskRule:
        """The mask of the batch at ``place``, such as its step, or its epoch and number.

        All rows of a batch share it. The same numbers give the same mask, always and everywhere.

        Args:
            seed: of the run.
            place: numbers from 0 that tell one batch from another.
            frames: encoder frames of the longest row.
        """
        return self.draw(np.random.default_rng([_SALT, seed, *place]), frames)

    @abstractmethod
    def draw(self, random: np.random.Generator, frames: int) -> MaskRule:
        """The next mask by ``random``, for a batch whose longest row has ``frames``."""


class UniformChunksSpec(_LawSpec):
    """Chunks for some batches, of a size drawn evenly; some of those see few chunks before their own."""

    origin: ClassVar[str] = "Ravanelli et al. 2024 (SpeechBrain), dynamic chunk training"
    kind: Literal["uniform"] = "uniform"
    probability: float = Field(default=0.6, ge=0.0, le=1.0)
    """Probability that a batch is cut into chunks; the others see whole signals."""
    shortest: int = Field(default=8, ge=1)
    """Encoder frames of the shortest chunk."""
    longest: int = Field(default=32, ge=1)
    """Encoder frames of the longest chunk."""
    left_probability: float = Field(default=0.75, ge=0.0, le=1.0)
    """Probability that a batch in chunks sees a limited number of earlier chunks; else all of them."""
    fewest_left: int = Field(default=2, ge=0)
    """Earlier chunks that are seen at least where they are limited."""
    most_left: int = Field(default=32, ge=0)
    """Earlier chunks that are seen at most where they are limited."""

    @model_validator(mode="after")
    def _in_order(self) -> "UniformChunksSpec":
        for low, high in (("shortest", "longest"), ("fewest_left", "most_left")):
            if (least := getattr(self, low)) > (most := getattr(self, high)):
                raise ValueError(f"{low} {least} is above {high} {most}; exchange them")
        return self

    @override
    def draw(self, random: np.random.Generator, frames: int) -> MaskRule:
        # Always four numbers, so that one setting changes nothing but what it is about.
        chunked, limited = random.random(2) < (self.probability, self.left_probability)
        size = int(random.integers(self.shortest, self.longest, endpoint=True))
        left = int(random.integers(self.fewest_left, self.most_left, endpoint=True))
        return Chunk(size=size, left_chunks=left if limited else None) if chunked else Everything()


class WeNetChunksSpec(_LawSpec):
    """A number drawn evenly below the batch's length: in its upper half whole signals, else a short chunk."""

    origin: ClassVar[str] = "Zhang et al. 2022 (WeNet 2.0), section 2.1; Zhang et al. 2020 (U2), section 3.3"
    kind: Literal["wenet"] = "wenet"
    longest: int = Field(default=25, ge=1)
    """Encoder frames of the longest chunk: a second of 40 ms each."""
    limit_left: bool = False
    """Whether a batch in chunks sees a number of earlier chunks drawn evenly, from none to all there are."""

    @override
    def draw(self, random: np.random.Generator, frames: int) -> MaskRule:
        drawn = int(random.integers(1, max(frames, 2)))
        if 2 * drawn > frames:
            return Everything()
        size = drawn % self.longest + 1
        left = int(random.integers(0, (frames - 1) // size, endpoint=True)) if self.limit_left else None
        return Chunk(size=size, left_chunks=left)


ChunkingSpec = Annotated[UniformChunksSpec | WeNetChunksSpec, Field(discriminator="kind")]
"""Any law of chunks."""
