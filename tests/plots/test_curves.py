"""The curves of a training, from legal but odd logs too."""

import math
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whyformer.plots.curves import curves_chart, save_curves
from whyformer.plots.panels import Curve, Curves

TRAIN: dict[str, Any] = {
    "event": "train",
    "loss": 3.2,
    "nll": 3.0,
    "learning_rate": 1e-3,
    "gradient_norm": 1.0,
}
VALID: dict[str, Any] = {"event": "valid", "loss": 3.5, "nll": 3.3, "bleu": 12.0}
LOSS = "loss (nats per token)"
CURVES = Curves(scores=(Curve("bleu", "BLEU"), Curve("chrf", "chrF")))


def panels(records: list[dict[str, Any]]) -> dict[str, list[tuple[str, float, float | None]]]:
    """The points (line, step, value) of every panel by its title, from the top down."""
    chart: Any = curves_chart(records, CURVES)
    titles = [panel["layer"][0]["encoding"]["y"]["title"] for panel in chart["vconcat"]]
    assert titles == list(chart["datasets"])
    return {
        title: [(row["line"], row["step"], row["value"]) for row in rows]
        for title, rows in chart["datasets"].items()
    }


def test_only_panels_with_figures_appear() -> None:
    assert list(panels([{"step": 1, **TRAIN}])) == [LOSS, "learning rate", "gradient norm"]
    both = panels([{"step": 1, **TRAIN}, {"step": 1, **VALID}])
    assert list(both) == [LOSS, "score (%)", "learning rate", "gradient norm"]
    assert both["score (%)"] == [("BLEU", 1, 12.0)]
    assert {line for line, _, _ in both[LOSS]} == {
        "training loss",
        "training, not smoothed",
        "validation loss",
        "validation, not smoothed",
    }


def test_a_task_says_which_figures_are_drawn_and_in_what_panels() -> None:
    curves = Curves(
        per="example",
        scores=(
            Curve("accuracy", "accuracy"),
            Curve("macro_f1", "macro F1"),
            Curve("bits", "bits", axis="bits"),
        ),
    )
    record = {"step": 1, "event": "valid", "loss": 1.0, "accuracy": 50.0, "macro_f1": 40.0, "bits": 2.0}
    chart: Any = curves_chart([record], curves)
    drawn = {title: [row["line"] for row in rows] for title, rows in chart["datasets"].items()}
    assert drawn == {
        "loss (nats per example)": ["validation loss"],
        "score (%)": ["accuracy", "macro F1"],
        "bits": ["bits"],
    }


def test_what_is_not_a_number_leaves_a_cross_and_no_point() -> None:
    records = [{"step": 1, **TRAIN}, {"step": 2, **TRAIN, "loss": math.nan, "nll": math.inf}]
    assert panels(records)[LOSS] == [
        ("training loss", 1, 3.2),
        ("training, not smoothed", 1, 3.0),
        ("training loss", 2, None),
        ("training, not smoothed", 2, None),
    ]
    marked: Any = curves_chart(records, CURVES)["vconcat"]
    assert [panel["title"]["text"] for panel in marked] == ["× infinite or not a number", "", ""]


def test_a_line_that_lies_on_another_appears_once() -> None:
    assert panels([{"step": 1, "event": "train", "loss": 2.0, "nll": 2.0}])[LOSS] == [
        ("training loss", 1, 2.0)
    ]


def test_what_a_resumed_run_logs_again_counts_once_and_in_order() -> None:
    records = [
        {"step": step, "event": "train", "loss": loss} for step, loss in [(1, 9.0), (2, 8.0), (1, 7.0)]
    ]
    assert [point[1:] for point in panels(records)[LOSS]] == [(1, 7.0), (2, 8.0)]


def test_a_long_run_is_thinned_but_keeps_its_peaks() -> None:
    records = [{"step": step, "event": "train", "loss": 1.0 + step % 7} for step in range(20_000)]
    records[12_345]["loss"], records[54]["loss"] = 99.0, -1.0
    points = panels(records)[LOSS]
    assert len(points) <= 1000
    assert {("training loss", 12_345, 99.0), ("training loss", 54, -1.0)} <= set(points)
    assert [step for _, step, _ in points] == sorted(step for _, step, _ in points)


NUMBERS = st.one_of(st.none(), st.booleans(), st.integers(), st.just(10**400), st.floats(), st.text())
NAMES = st.sampled_from(["step", "loss", "nll", "bleu", "learning_rate", "tokens_per_second", "other"])
RECORDS = st.dictionaries(NAMES, NUMBERS).flatmap(
    lambda figures: st.sampled_from(["train", "valid", "average"]).map(
        lambda event: {**figures, "event": event}
    )
)


@given(st.lists(RECORDS, max_size=6))
@settings(max_examples=25)
def test_no_log_is_too_odd(records: list[dict[str, Any]]) -> None:
    chart: Any = curves_chart(records, CURVES)
    assert ("datasets" in chart) == ("vconcat" in chart)
    for rows in chart.get("datasets", {}).values():
        assert all(math.isfinite(row["step"]) for row in rows)
        assert all(row["value"] is None or math.isfinite(row["value"]) for row in rows)


@pytest.mark.parametrize(
    "records",
    [
        [],
        [{"step": 1, "event": "valid"}],
        [{"step": 1, **TRAIN}],
        [{"step": 0, "event": "train", "loss": math.nan}],
        [{"step": step, **TRAIN} for step in range(6000)],
    ],
    ids=["empty", "without figures", "one", "nothing but NaN", "beyond altair's limit"],
)
def test_a_picture_is_always_written(records: list[dict[str, Any]], tmp_path: Path) -> None:
    save_curves(records, CURVES, tmp_path / "curves.png")
    data = (tmp_path / "curves.png").read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", data[16:24])
    assert width > 100
    assert height > 20
    assert [path.name for path in tmp_path.iterdir()] == ["curves.png"]
