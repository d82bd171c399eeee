"""Trainings that minutes end: what is foretold of their schedule, and the time that is left."""

import re
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from whyformer.plots.panels import Curves
from whyformer.training.optimization.schedule import ScheduleSpec
from whyformer.training.settings import TrainingSpec, forecast, steps_in_time
from whyformer.training.storage.report import Report
from whyformer.training.storage.run import RunFolder


def settings(kind: str, total: int | None, minutes: float, warmup: int | None = None) -> TrainingSpec:
    schedule = TypeAdapter[ScheduleSpec](ScheduleSpec).validate_python({"kind": kind, "warmup": warmup})
    return TrainingSpec(schedule=schedule, steps=total, minutes=minutes).settled(total)


@given(
    kind=st.sampled_from(["linear", "cosine", "wsd"]),
    total=st.integers(100, 100_000),
    step=st.integers(10, 90),
    seconds=st.floats(0.1, 100.0),
    minutes=st.floats(0.5, 1000.0),
)
def test_a_decay_that_will_not_end_is_foretold_with_the_steps_that_it_might_have(
    kind: str, total: int, step: int, seconds: float, minutes: float
) -> None:
    spec = settings(kind, total, minutes)
    told = forecast(spec, total, step, seconds)
    steps = steps_in_time(minutes, step, seconds)
    assert (told is not None) == (steps < 0.9 * total)
    if told is not None:
        found = re.search(r"training\.steps=(\d+)", told)
        assert found is not None
        assert int(found[1]) == steps
        # Whoever does as told hears nothing more.
        assert forecast(settings(kind, steps, minutes), steps, step, seconds) is None


@given(step=st.integers(10, 90), seconds=st.floats(0.1, 100.0), minutes=st.floats(0.5, 1000.0))
def test_a_warm_up_that_fills_the_minutes_is_foretold(step: int, seconds: float, minutes: float) -> None:
    told = forecast(settings("inverse_sqrt", None, minutes), None, step, seconds)
    steps = steps_in_time(minutes, step, seconds)
    assert (told is not None) == (steps < 4000)
    if told is not None:
        found = re.search(r"training\.schedule\.warmup=(\d+)", told)
        assert found is not None
        assert forecast(settings("inverse_sqrt", None, minutes, int(found[1])), None, step, seconds) is None


def test_without_minutes_nothing_is_foretold() -> None:
    spec = TrainingSpec(steps=1000).settled(1000)
    assert forecast(spec, 1000, 10, 1e9) is None


@pytest.mark.parametrize("total", [None, 20, 1_000_000])
@pytest.mark.parametrize("seconds", [None, -5.0, 30.0, 1e5])
def test_the_time_left_is_never_more_than_the_minutes_allow(
    total: int | None, seconds: float | None, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run").mkdir()
    with Report(RunFolder(tmp_path / "run"), total, 0, Curves(), seconds) as report:
        time.sleep(0.01)
        report.entry({"step": 10, "event": "train", "loss": 1.0, "tokens_per_second": 5.0})
    told = re.search(r"time_left (?:(\d+) days?, )?(\d+):(\d\d):(\d\d)", capfd.readouterr().err)
    assert (told is not None) == (total is not None or seconds is not None)
    if told is not None and seconds is not None:
        days, hours, minutes, rest = (int(part or 0) for part in told.groups())
        assert days * 86_400 + hours * 3600 + minutes * 60 + rest <= max(0.0, seconds)
