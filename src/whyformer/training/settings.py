"""Everything a recipe says about training, apart from model and data."""

from typing import Literal

from pydantic import Field, model_validator

from whyformer.data.batches.planning import BatchingSpec
from whyformer.spec import Spec
from whyformer.training.loss import LossSpec
from whyformer.training.optimizer import Adam, OptimizerSpec
from whyformer.training.schedule import InverseSqrt, ScheduleSpec


class ValidationSpec(Spec):
    """When the model is tried on held-out data, and what follows from it."""

    every: int | None = Field(default=None, ge=1)
    """Steps between two validations; once an epoch if left out."""
    translate_from: int = Field(default=0, ge=0)
    """First step whose validation also translates and scores; before it only the loss is measured."""
    sentences: int | None = Field(default=None, ge=1)
    """Most held-out sentences that a validation translates; all if left out."""
    patience: int | None = Field(default=None, ge=1)
    """Validations in a row without a better score after which training stops; never if left out."""
    average: int = Field(default=5, ge=1)
    """Snapshots kept, one a validation, whose weights are averaged at the end; 1 = no averaging."""


class TrainingSpec(Spec):
    """How a model is trained."""

    seed: int = Field(default=1, ge=0)
    """Of the weights, the order of the data and dropout."""
    epochs: int | None = Field(default=None, ge=1)
    """Most passes over the data."""
    steps: int | None = Field(default=None, ge=1)
    """Most steps of the optimizer; decaying schedules end here (or after the last epoch)."""
    minutes: float | None = Field(default=None, gt=0.0)
    """Most minutes of training time, validations included."""
    batching: BatchingSpec = BatchingSpec()
    """How sentences are grouped."""
    loss: LossSpec = LossSpec()
    """What the model is trained to predict."""
    optimizer: OptimizerSpec = Adam()
    """How gradients change weights."""
    schedule: ScheduleSpec = InverseSqrt()
    """The learning rate of each step."""
    clip: float | None = Field(default=None, gt=0.0)
    """Longest gradient, as a Euclidean norm over all weights; longer ones are shortened."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Of matrix products; auto takes bf16 where the device is fast at it. Weights stay in fp32."""
    validation: ValidationSpec = ValidationSpec()
    """When the model is tried on held-out data."""
    save_every: int = Field(default=200, ge=1)
    """Steps between two saved states, besides the one after every validation."""
    log_every: int = Field(default=20, ge=1)
    """Steps between two lines of the log."""

    def fixed_changes(self, before: "TrainingSpec") -> list[str]:
        """Keys in which this differs from ``before``, and which a run that goes on cannot change.

        They decide in which order the data comes and what the saved state means.
        """
        changed = {
            "training.seed": self.seed != before.seed,
            "training.batching": self.batching != before.batching,
            "training.optimizer.kind": self.optimizer.kind != before.optimizer.kind,
            "training.precision": self.precision != before.precision,
        }
        return [key for key, differs in changed.items() if differs]

    @model_validator(mode="after")
    def _ends(self) -> "TrainingSpec":
        if self.epochs is None and self.steps is None and self.minutes is None:
            raise ValueError("training would never end; set epochs, steps or minutes")
        if self.schedule.needs_end and self.epochs is None and self.steps is None:
            raise ValueError(
                f"schedule {self.schedule.kind} falls towards an end; set epochs or steps, not only minutes"
            )
        return self
