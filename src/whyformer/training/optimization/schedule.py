"""Learning-rate schedules: the rate of each step as a pure function of its number."""

import math
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field

from whyformer.spec import Spec

WARMUP_SHARE = 0.08
"""Share of a training's steps that warm-up takes where a recipe leaves it out."""
LONGEST_WARMUP = 4000
"""Steps that such a warm-up takes at most: those of Vaswani et al. 2017, in a training of 100,000."""
USUAL_WARMUP = 2000
"""Steps of warm-up where neither the recipe says them nor the steps of the training are known."""


class _Schedule(Spec):
    needs_end: ClassVar[bool] = False
    peak: float = Field(default=1e-3, gt=0.0)
    """Highest learning rate."""
    warmup: int | None = Field(default=None, ge=0)
    """Steps of linear rise from zero to the peak; 0 = start at the peak. If left out, 8 % of the training's
    steps, 4,000 at most; 2,000 where only minutes end the training."""

    @property
    def warmup_steps(self) -> int:
        """Steps of warm-up; the usual ones while nothing has decided them (see ``settled``)."""
        return USUAL_WARMUP if self.warmup is None else self.warmup

    def settled(self, steps: int | None) -> Self:
        """The schedule with its warm-up decided, for a training of so many ``steps``; None = not known."""
        if self.warmup is not None:
            return self
        return self.model_copy(update={"warmup": USUAL_WARMUP if steps is None else self.share_of(steps)})

    def warmup_fault(self, steps: int) -> str:
        """A sentence where warm-up takes more than half of a training of ``steps``; empty otherwise."""
        if 2 * self.warmup_steps <= steps or self.warmup_steps == self.share_of(steps):
            return ""
        cure = f"leave training.schedule.warmup out (it would be {self.share_of(steps):,}) or train longer"
        if self.warmup_steps <= steps:
            return f"warm-up takes {self.warmup_steps:,} of the {steps:,} steps of this training; {cure}."
        return (
            f"warm-up takes {self.warmup_steps:,} steps, but this training has {steps:,}: the learning rate "
            f"never passes {self.rise(steps):.0%} of its peak; {cure}."
        )

    @staticmethod
    def share_of(steps: int) -> int:
        """Steps of warm-up in a training of ``steps`` where the recipe leaves them out."""
        return min(LONGEST_WARMUP, math.ceil(WARMUP_SHARE * steps))

    def rise(self, step: int) -> float:
        """Share of the peak that warm-up allows at ``step``, counted from 1."""
        return min(1.0, step / self.warmup_steps) if self.warmup_steps else 1.0

    def rest(self, step: int, steps: int) -> float:
        """Share of the decay that is still ahead, from 1 when warm-up ends to 0 at the last of ``steps``."""
        return max(0.0, 1.0 - max(0, step - self.warmup_steps) / max(1, steps - self.warmup_steps))


class InverseSqrt(_Schedule):
    """Rise, then fall with the inverse square root of the step.

    The paper's rate d^-0.5 · min(t^-0.5, t · w^-1.5) peaks at t = w with (d · w)^-0.5, which is given here.
    """

    origin: ClassVar[str] = "Vaswani et al. 2017, equation 3"
    kind: Literal["inverse_sqrt"] = "inverse_sqrt"

    def rate(self, step: int, steps: int) -> float:
        """The rate of ``step`` (from 1) out of ``steps``."""
        return (
            self.peak
            * self.rise(step)
            * math.sqrt(max(1, self.warmup_steps) / max(step, self.warmup_steps, 1))
        )


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


class WarmupStableDecay(_Schedule):
    """Rise, stay, and fall to zero over the last share of the steps.

    While it stays, the rate knows nothing of the end: a training may be made longer, and each length needs
    only a short fall of its own.
    """

    origin: ClassVar[str] = "Hu et al. 2024, section 4.2"
    needs_end: ClassVar[bool] = True
    kind: Literal["wsd"] = "wsd"
    decay: float = Field(default=0.2, gt=0.0, lt=1.0)
    """Share of all steps over which the rate falls, at the end; it begins no sooner than warm-up ends."""
    shape: Literal["linear", "sqrt"] = "sqrt"
    """Fall along a straight line, or as one minus the square root of the share of it that is gone, which is
    steep at first (Hägele et al. 2024, section 3)."""

    def rate(self, step: int, steps: int) -> float:
        """The rate of ``step`` (from 1) out of ``steps``."""
        start = max(self.warmup_steps, steps - max(1, round(self.decay * steps)))
        gone = min(1.0, max(0, step - start) / max(1, steps - start))
        return self.peak * self.rise(step) * (1.0 - (gone if self.shape == "linear" else math.sqrt(gone)))


class Constant(_Schedule):
    """Rise, then stay."""

    origin: ClassVar[str] = "a control"
    kind: Literal["constant"] = "constant"

    def rate(self, step: int, steps: int) -> float:
        """The rate of ``step`` (from 1) out of ``steps``."""
        return self.peak * self.rise(step)


ScheduleSpec = Annotated[
    InverseSqrt | LinearDecay | Cosine | WarmupStableDecay | Constant, Field(discriminator="kind")
]
