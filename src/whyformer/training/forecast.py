"""Forecast of a training that minutes end: the steps there is time for, and whether its schedule fits."""

from whyformer.training.settings import TrainingSpec

_NEARLY = 0.9
"""Share of the steps that a schedule is laid over from which on it does its work."""


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
