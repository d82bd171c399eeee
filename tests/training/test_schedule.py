"""Schedules: a rise, a peak, a fall, each as its paper says."""

import math
from itertools import pairwise

import pytest
from pydantic import TypeAdapter, ValidationError

from whyformer.training.schedule import Constant, Cosine, InverseSqrt, LinearDecay, ScheduleSpec

STEPS = 1000
Schedule = InverseSqrt | LinearDecay | Cosine | Constant
KINDS: list[type[Schedule]] = [InverseSqrt, LinearDecay, Cosine, Constant]
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


@pytest.mark.parametrize("kind", [LinearDecay, Cosine])
@pytest.mark.parametrize("warmup", [0, 100])
def test_schedules_with_an_end_are_zero_there_and_beyond(kind: type[LinearDecay | Cosine], warmup: int):
    schedule = kind(peak=0.5, warmup=warmup)
    assert schedule.rate(STEPS, STEPS) == pytest.approx(0.0, abs=1e-12)
    assert schedule.rate(STEPS + 1, STEPS) == pytest.approx(0.0, abs=1e-12)
    assert schedule.rate(STEPS - 1, STEPS) > 0


def test_who_needs_to_know_the_end():
    assert [kind.needs_end for kind in KINDS] == [False, True, True, False]


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
