"""Learning-rate schedules: the rate of each step as a pure function of its number."""

import math
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from whyformer.spec import Spec


class _Schedule(Spec):
    needs_end: ClassVar[bool] = False
    peak: float = Field(default=1e-3, gt=0.0)
    """Highest learning rate."""
    warmup: int = Field(default=2000, ge=0)
    """Steps of linear rise from zero to the peak; 0 = start at the peak."""

    def rise(self, step: int) -> float:
        """Share of the peak that warm-up allows at ``step``, counted from 1."""
        return min(1.0, step / self.warmup) if self.warmup else 1.0

    def rest(self, step: int, steps: int) -> float:
        """Share of the decay that is still ahead, from 1 when warm-up ends to 0 at the last of ``steps``."""
        return max(0.0, 1.0 - max(0, step - self.warmup) / max(1, steps - self.warmup))


class InverseSqrt(_Schedule):
    """Rise, then fall with the inverse square root of the step.

    The paper's rate d^-0.5 · min(t^-0.5, t · w^-1.5) peaks at t = w with (d · w)^-0.5, which is given here.
    """

    origin: ClassVar[str] = "Vaswani et al. 2017, equation 3"
    kind: Literal["inverse_sqrt"] = "inverse_sqrt"

    def rate(self, step: int, steps: int) -> float:
        """The rate of ``step`` (from 1) out of ``steps``."""
        return self.peak * self.rise(step) * math.sqrt(max(1, self.warmup) / max(step, self.warmup, 1))


class LinearDecay(_Schedule):
    """Rise, then fall along a straight line to zero."""

    origin: ClassVar[str] = "Devlin et al. 2019, appendix A.2"
    needs_end: ClassVar[bool] = True
    kind: Literal["linear"] = "linear"

    def rate(self, step: int, steps: int) -> float:
        """The rate of ``step`` (from 1) out of ``steps``."""
        return self.peak * self.rise(step) * self.rest(step, steps)


class Cosine(_Schedule):
    """Rise, then fall along half a cosine to zero."""

    origin: ClassVar[str] = "Loshchilov and Hutter 2017, equation 5"
    needs_end: ClassVar[bool] = True
    kind: Literal["cosine"] = "cosine"

    def rate(self, step: int, steps: int) -> float:
        """The rate of ``step`` (from 1) out of ``steps``."""
        return self.peak * self.rise(step) * 0.5 * (1.0 - math.cos(math.pi * self.rest(step, steps)))


class Constant(_Schedule):
    """Rise, then stay."""

    origin: ClassVar[str] = "a control"
    kind: Literal["constant"] = "constant"

    def rate(self, step: int, steps: int) -> float:
        """The rate of ``step`` (from 1) out of ``steps``."""
        return self.peak * self.rise(step)


ScheduleSpec = Annotated[InverseSqrt | LinearDecay | Cosine | Constant, Field(discriminator="kind")]
