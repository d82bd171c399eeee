"""Dropout schedules: the share of each dropout probability in a step, as a pure function of its number."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from whyformer.spec import Spec


class ConstantDropout(Spec):
    """Drop with the model's own probabilities in every step."""

    origin: ClassVar[str] = "Srivastava et al. 2014, section 4"
    changes: ClassVar[bool] = False
    kind: Literal["constant"] = "constant"

    def share(self, step: int, steps: int) -> float:
        """The share in ``step`` (from 1) out of ``steps``: 1."""
        return 1.0


class RisingDropout(Spec):
    """Drop little at first, and with the model's own probabilities in the last step.

    In the beginning there is nothing yet to overfit, and the noise only slows learning. The paper's curve is
    exponential and begins at zero; this is a straight line, which has no rate to be tuned.
    """

    origin: ClassVar[str] = "Morerio et al. 2017, section 3"
    changes: ClassVar[bool] = True
    kind: Literal["rising"] = "rising"
    begin: float = Field(default=0.25, ge=0.0, le=1.0)
    """Share of each probability at the beginning."""

    def share(self, step: int, steps: int) -> float:
        """The share in ``step`` (from 1) out of ``steps``."""
        return self.begin + (1.0 - self.begin) * min(1.0, step / steps)


DropoutScheduleSpec = Annotated[ConstantDropout | RisingDropout, Field(discriminator="kind")]
