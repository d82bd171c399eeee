"""Settings of training: all that a recipe says apart from model and data."""

import math
from typing import Literal

from pydantic import Field, model_validator

from whyformer.data.batches.planning import BatchingSpec
from whyformer.spec import Spec
from whyformer.training.loss import LossSpec
from whyformer.training.optimization.dropout import ConstantDropout, DropoutScheduleSpec
from whyformer.training.optimization.optimizer import Adam, OptimizerSpec
from whyformer.training.optimization.schedule import InverseSqrt, ScheduleSpec

_NEARLY = 0.9
"""Share of the steps that a schedule is laid over from which on it does its work."""


class ValidationSpec(Spec):
    """Validation: when the model is tried on the validation set, and what follows from it."""

    every: int | None = Field(default=None, ge=1)
    """Steps between two validations; once an epoch if left out."""
    translate_from: int | None = Field(default=None, ge=0)
    """First step whose validation also translates and scores; left out, as soon as the loss is low enough for
    translations to mean something, and at the end."""
    sentences: int | None = Field(default=None, ge=1)
    """Maximum number of sentences of the validation set to translate; all if left out."""
    patience: int | None = Field(default=None, ge=1)
    """Validations in a row without a better score (or, at the same score, a better likelihood) after which
    training stops; never if left out."""
    average: int = Field(default=5, ge=1)
    """Snapshots kept, one a validation, whose weights are averaged at the end; 1 = no averaging."""


class TrainingSpec(Spec):
    """Training of a model."""

    seed: int = Field(default=1, ge=0)
    """Seed of the weights, the order of the data and dropout."""
    epochs: int | None = Field(default=None, ge=1)
    """Maximum number of passes over the data."""
    steps: int | None = Field(default=None, ge=1)
    """Maximum number of steps of the optimizer; decaying schedules end here (or after the last epoch)."""
    minutes: float | None = Field(default=None, gt=0.0)
    """Maximum training time in minutes, validations included."""
    batching: BatchingSpec = BatchingSpec()
    """Grouping of examples into batches."""
    loss: LossSpec = LossSpec()
    """Target distribution that the model is trained to predict."""
    optimizer: OptimizerSpec = Adam()
    """Change of the weights by their gradients."""
    schedule: ScheduleSpec = InverseSqrt()
    """The learning rate of each step."""
    dropout_schedule: DropoutScheduleSpec = ConstantDropout()
    """The share of the model's dropout probabilities in each step."""
    clip: float | None = Field(default=None, gt=0.0)
    """Maximum norm of the gradient (Euclidean, over all weights); a longer one is shortened."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Precision of matrix products; auto takes bf16 where the device is fast at it. Weights stay in fp32."""
    compile: Literal["auto"] | bool = "auto"
    """Compilation of the model by torch, which takes a minute or more at the first steps; auto compiles for a
    CUDA GPU only, where weights are whole and dropout does not change. Weights keep their names, and a
    run may resume with or without it."""
    deterministic: bool = False
    """Whether ranks sum the gradients of a step's batches in the batches' order, so that any number of ranks
    surely gives the bits of one process with as many threads; a step then exchanges more. Without it sums of
    fp32 products are made in fp64, which has the same end but by a rare chance, and sums of bf16 products
    differ in their last bits."""
    shard: Literal["none", "full"] = "none"
    """Spreading over ranks: full spreads weights, gradients and the optimizer's state, which needs less
    memory at each of more ranks, and exchanges more. The losses are the same, and a run may resume with the
    other; one process has all by itself."""
    validation: ValidationSpec = ValidationSpec()
    """Validation during training."""
    save_every: int = Field(default=200, ge=1)
    """Steps between two saved states, besides the one after every validation."""
    log_every: int = Field(default=20, ge=1)
    """Steps between two lines of the log."""

    def compiles_for(self, device: str) -> bool:
        """Whether a model on a ``device`` of this type is compiled."""
        if self.compile != "auto":
            return self.compile
        return device == "cuda" and self.shard == "none" and not self.dropout_schedule.changes

    def settled(self, steps: int | None) -> "TrainingSpec":
        """The settings with what depends on the number of ``steps`` decided; None = that is not known."""
        return self.model_copy(update={"schedule": self.schedule.settled(steps)})

    def total_steps(self, steps_per_epoch: int) -> int | None:
        """Number of steps until the end, as far as steps or epochs decide it."""
        bounds = [self.steps, None if self.epochs is None else self.epochs * steps_per_epoch]
        return min((bound for bound in bounds if bound is not None), default=None)

    def limits(self) -> tuple[float | None, ...]:
        """Everything that ends a training, to be compared."""
        return self.steps, self.epochs, self.minutes, self.validation.patience

    def fixed_changes(self, before: "TrainingSpec") -> list[str]:
        """Keys in which this differs from ``before``, and which a run that resumes cannot change.

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
        if self.compile is True and self.shard != "none":
            raise ValueError(
                f"compile is for whole weights, and shard {self.shard} spreads them over ranks; use one"
            )
        if self.compile is True and self.dropout_schedule.changes:
            raise ValueError(
                f"dropout_schedule {self.dropout_schedule.kind} changes the model in each step, and compile "
                "would compile it as often; use one"
            )
        if self.dropout_schedule.changes and self.epochs is None and self.steps is None:
            raise ValueError(
                f"dropout_schedule {self.dropout_schedule.kind} goes towards an end; set epochs or steps, "
                "not only minutes"
            )
        if self.schedule.needs_end and self.epochs is None and self.steps is None:
            raise ValueError(
                f"schedule {self.schedule.kind} falls towards an end; set epochs or steps, not only minutes"
            )
        return self


def steps_in_time(minutes: float, step: int, seconds: float) -> int:
    """Steps that ``minutes`` have room for, where ``step`` steps took so many ``seconds``."""
    return max(step, round(60 * minutes * step / seconds)) if seconds > 0 else step


def forecast(spec: TrainingSpec, total: int | None, step: int, seconds: float) -> str | None:
    """Sentence on a schedule that is longer than the minutes of a training; None where it fits.

    Args:
        spec: settings, their warm-up decided.
        total: steps until the end as far as steps or epochs decide it; None = they do not.
        step: steps that are done.
        seconds: what they took.
    """
    if spec.minutes is None:
        return None
    schedule, steps = spec.schedule, steps_in_time(spec.minutes, step, seconds)
    head = f"training.minutes={spec.minutes:g} leaves time for about {steps:,} steps"
    if total is not None and schedule.needs_end and steps < _NEARLY * total:
        rate = schedule.rate(steps, total) / schedule.peak
        return (
            f"{head}, but the {schedule.kind} schedule is laid over {total:,}: the learning rate ends at "
            f"{rate:.0%} of its peak; with training.steps={steps} it would be laid over those."
        )
    if 2 * schedule.warmup_steps > steps and (total is None or steps < total):
        return (
            f"{head}, and warm-up takes {schedule.warmup_steps:,}: the learning rate comes to "
            f"{schedule.rise(steps):.0%} of its peak; training.schedule.warmup={schedule.share_of(steps)} "
            "would suit."
        )
    return None


def rate_jump(
    before: ScheduleSpec, now: ScheduleSpec, step: int, then_total: int | None, total: int | None
) -> str | None:
    """Sentence on a learning rate that jumps after ``step``; None where it goes on as it would have.

    Args:
        before: the schedule until then.
        now: the one that follows.
        step: steps that are done.
        then_total: steps until the end that the first was laid over; None = they were not known.
        total: those that the second is laid over.
    """
    if then_total == total or step == 0:
        return None
    last = before.rate(step, then_total or step)
    next_ = now.rate(step + 1, total or step + 1)
    if math.isclose(next_, before.rate(step + 1, then_total or step + 1), rel_tol=1e-6, abs_tol=1e-15):
        return None
    return (
        f"the {now.kind} schedule is laid out anew over {_steps(total)} instead of {_steps(then_total)}: the "
        f"learning rate was {last:.3g} at step {step:,} and is {next_:.3g} at the next"
    )


def _steps(count: int | None) -> str:
    return "steps without end" if count is None else f"{count:,} steps"
