"""Schedules: a rise, a peak, a fall, each as its paper says."""

import math
from itertools import pairwise
from typing import Literal

import pytest
from pydantic import TypeAdapter, ValidationError

from whyformer.training.optimization.schedule import (
    USUAL_WARMUP,
    Constant,
    Cosine,
    InverseSqrt,
    LinearDecay,
    ScheduleSpec,
    WarmupStableDecay,
)

STEPS = 1000
Schedule = InverseSqrt | LinearDecay | Cosine | WarmupStableDecay | Constant
KINDS: list[type[Schedule]] = [InverseSqrt, LinearDecay, Cosine, WarmupStableDecay, Constant]
EACH = pytest.mark.parametrize("kind", KINDS)


def rates(schedule: Schedule, steps: int = STEPS) -> list[float]:
    return [schedule.rate(step, steps) for step in range(1, steps + 1)]


@EACH
def test_warm_up_is_a_straight_line_to_the_peak(kind: type[Schedule]):
    rising = rates(kind(peak=0.5, warmup=100))[:100]
    assert rising == pytest.approx([0.5 * step / 100 for step in range(1, 101)])


@EACH
def test_without_warm_up_the_first_step_is_at_the_peak(kind: type[Schedule]):
    first = kind(peak=0.5, warmup=0).rate(1, STEPS)
    assert first == pytest.approx(0.5, rel=2 / STEPS)
    assert max(rates(kind(peak=0.5, warmup=0))) == first


@EACH
@pytest.mark.parametrize("warmup", [0, 1, 100])
def test_after_the_peak_the_rate_never_rises(kind: type[Schedule], warmup: int):
    falling = rates(kind(peak=0.5, warmup=warmup))[max(0, warmup - 1) :]
    assert all(later <= earlier for earlier, later in pairwise(falling))
    assert all(rate >= 0 for rate in falling)
    if kind is not Constant:
        assert falling[-1] < falling[0] / 3


@pytest.mark.parametrize("kind", [LinearDecay, Cosine, WarmupStableDecay])
@pytest.mark.parametrize("warmup", [0, 100])
def test_schedules_with_an_end_are_zero_there_and_beyond(
    kind: type[LinearDecay | Cosine | WarmupStableDecay], warmup: int
):
    schedule = kind(peak=0.5, warmup=warmup)
    assert schedule.rate(STEPS, STEPS) == pytest.approx(0.0, abs=1e-12)
    assert schedule.rate(STEPS + 1, STEPS) == pytest.approx(0.0, abs=1e-12)
    assert schedule.rate(STEPS - 1, STEPS) > 0


def test_who_needs_to_know_the_end():
    assert [kind.needs_end for kind in KINDS] == [False, True, True, True, False]


@pytest.mark.parametrize("step", [1, 10, 3999, 4000, 4001, 100_000])
def test_inverse_sqrt_is_equation_3_of_vaswani(step: int):
    d, w = 512, 4000
    paper = d**-0.5 * min(step**-0.5, step * w**-1.5)
    schedule = InverseSqrt(peak=(d * w) ** -0.5, warmup=w)
    assert schedule.rate(step, 10**6) == pytest.approx(paper, rel=1e-12)
    assert InverseSqrt(peak=2.0, warmup=0).rate(step, 1) == pytest.approx(2 / math.sqrt(step))


@pytest.mark.parametrize(
    ("share", "linear", "cosine"),
    [(0.0, 1.0, 1.0), (0.25, 0.75, 0.8536), (0.5, 0.5, 0.5), (0.75, 0.25, 0.1464)],
)
def test_decay_by_the_share_of_steps_that_are_gone(share: float, linear: float, cosine: float):
    step = 200 + round(share * 800)
    assert LinearDecay(peak=2.0, warmup=200).rate(step, STEPS) == pytest.approx(2 * linear)
    assert Cosine(peak=2.0, warmup=200).rate(step, STEPS) == pytest.approx(2 * cosine, abs=1e-4)


@pytest.mark.parametrize(
    ("shape", "gone", "left"),
    [("linear", 0.25, 0.75), ("linear", 0.81, 0.19), ("sqrt", 0.25, 0.5), ("sqrt", 0.81, 0.1)],
)
def test_a_stable_rate_falls_over_the_last_share_of_the_steps(
    shape: Literal["linear", "sqrt"], gone: float, left: float
):
    schedule = WarmupStableDecay(peak=2.0, warmup=100, decay=0.1, shape=shape)
    assert rates(schedule)[99:900] == [2.0] * 801
    assert schedule.rate(900 + round(100 * gone), STEPS) == pytest.approx(2.0 * left)


def test_a_stable_rate_does_not_depend_on_the_end():
    schedule = WarmupStableDecay(peak=2.0, warmup=100, decay=0.2)
    assert (
        rates(schedule)[:800]
        == rates(schedule, 10 * STEPS)[:800]
        == rates(Constant(peak=2.0, warmup=100))[:800]
    )


@pytest.mark.parametrize(("warmup", "steps"), [(80, 90), (89, 90), (90, 90), (0, 1), (1, 2)])
def test_a_stable_rate_falls_no_sooner_than_warm_up_ends(warmup: int, steps: int):
    schedule = WarmupStableDecay(peak=1.0, warmup=warmup, decay=0.5)
    found = rates(schedule, steps)
    assert found[:warmup] == pytest.approx([step / warmup for step in range(1, warmup + 1)])
    assert found[-1] == (0.0 if warmup < steps else 1.0)


@EACH
def test_a_run_shorter_than_its_warm_up_only_rises(kind: type[Schedule]):
    rising = rates(kind(peak=1.0, warmup=100), steps=50)
    assert rising == pytest.approx([step / 100 for step in range(1, 51)])


@EACH
def test_a_schedule_is_chosen_by_kind_and_checked(kind: type[Schedule]):
    adapter: TypeAdapter[ScheduleSpec] = TypeAdapter(ScheduleSpec)
    schedule = kind(peak=0.25, warmup=3)
    assert adapter.validate_python(schedule.model_dump()) == schedule
    for wrong in ({"peak": 0.0}, {"warmup": -1}, {"peak": math.inf}, {"decay": 1}):
        with pytest.raises(ValidationError):
            kind.model_validate(wrong)


@EACH
@pytest.mark.parametrize(
    ("steps", "warmup"),
    [(1, 1), (15, 2), (420, 34), (14_000, 1_120), (50_000, 4_000), (1_000_000, 4_000), (None, USUAL_WARMUP)],
)
def test_warm_up_that_is_left_out_is_a_share_of_the_steps(
    kind: type[Schedule], steps: int | None, warmup: int
):
    assert kind(peak=0.5).settled(steps) == kind(peak=0.5, warmup=warmup)


@EACH
@pytest.mark.parametrize("warmup", [0, 7, 5000])
def test_warm_up_that_is_said_stays(kind: type[Schedule], warmup: int):
    said = kind(peak=0.5, warmup=warmup)
    assert said.settled(10) is said


@EACH
def test_while_nothing_has_decided_it_warm_up_is_the_usual_one(kind: type[Schedule]):
    assert rates(kind(peak=0.5)) == rates(kind(peak=0.5, warmup=USUAL_WARMUP))


@EACH
@pytest.mark.parametrize("steps", [1, 3, 40, 420, 60_000])
def test_warm_up_that_is_left_out_is_never_too_long(kind: type[Schedule], steps: int):
    settled = kind(peak=0.5).settled(steps)
    assert max(rates(settled, steps)) == pytest.approx(0.5, rel=2e-4) or steps == 1
    assert steps == 1 or not settled.warmup_fault(steps)


@EACH
@pytest.mark.parametrize(("warmup", "steps", "share"), [(2000, 420, "21%"), (400, 100, "25%"), (7, 4, "57%")])
def test_too_long_a_warm_up_is_said_with_the_numbers(
    kind: type[Schedule], warmup: int, steps: int, share: str
):
    fault = kind(peak=0.5, warmup=warmup).warmup_fault(steps)
    assert f"{warmup:,} steps, but this training has {steps:,}" in fault
    assert f"never passes {share} of its peak" in fault
    assert f"(it would be {math.ceil(0.08 * steps)})" in fault
    assert max(rates(kind(peak=0.5, warmup=warmup), steps)) == pytest.approx(0.5 * steps / warmup)


@EACH
def test_a_warm_up_of_more_than_half_of_the_steps_is_said_too(kind: type[Schedule]):
    assert kind(warmup=51).warmup_fault(100).startswith("warm-up takes 51 of the 100 steps")
    assert not kind(warmup=50).warmup_fault(100)
