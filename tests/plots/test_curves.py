"""The curves of a training, from legal but odd logs too."""

import ast
import math
import re
import struct
from pathlib import Path
from typing import Any

import pytest
import vl_convert
from hypothesis import given, settings
from hypothesis import strategies as st

from whyformer import tasks
from whyformer.plots import curves as drawn_curves
from whyformer.plots.curve_words import WORDS
from whyformer.plots.curves import _ticks, curves_chart, save_curves
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
    titles = [panel["title"]["text"] for panel in chart["vconcat"]]
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
        "training, with label smoothing",
        "training, without label smoothing",
        "validation, with label smoothing",
        "validation, without label smoothing",
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
        "loss (nats per example)": ["validation"],
        "score (%)": ["accuracy", "macro F1"],
        "bits": ["bits"],
    }


def test_what_is_not_a_number_leaves_a_cross_and_no_point() -> None:
    records = [{"step": 1, **TRAIN}, {"step": 2, **TRAIN, "loss": math.nan, "nll": math.inf}]
    assert panels(records)[LOSS] == [
        ("training, with label smoothing", 1, 3.2),
        ("training, without label smoothing", 1, 3.0),
        ("training, with label smoothing", 2, None),
        ("training, without label smoothing", 2, None),
    ]
    marked: Any = curves_chart(records, CURVES)["vconcat"]
    notes = [panel["title"].get("subtitle") for panel in marked]
    assert notes == ["× infinite or not a number", None, None]


@pytest.mark.parametrize("value", [2.0, math.nan, math.inf])
def test_without_label_smoothing_there_is_one_loss(value: float) -> None:
    shown = panels([{"step": 1, "event": "train", "loss": value, "nll": value}])[LOSS]
    assert [line for line, _, _ in shown] == ["training"]


def test_two_scores_that_are_equal_keep_both_their_names() -> None:
    shown = panels([{"step": 1, "event": "valid", "bleu": 0.0, "chrf": 0.0}])["score (%)"]
    assert [line for line, _, _ in shown] == ["BLEU", "chrF"]


@pytest.mark.parametrize(
    "values",
    [
        [2.355],
        [0.0],
        [1e-6, 3e-6],
        [12_345.6, 9_999.0],
        [-3.0, 5.0],
        [7.0, 7.0],
        [1e-320],
        [1e300],
        [-1.7e308, 1.7e308],
    ],
)
@pytest.mark.parametrize("from_zero", [False, True])
def test_ticks_enclose_the_values_and_differ_as_they_are_written(
    values: list[float], from_zero: bool
) -> None:
    ticks, form = _ticks(values, from_zero=from_zero)
    assert ticks[0] <= max(-1e300, min(values))
    assert min(1e300, max(values)) <= ticks[-1] or max(values) < 1e-300
    assert 2 <= len(ticks) <= 9
    chart = {
        "data": {"values": [{"value": value} for value in ticks]},
        "mark": "text",
        "encoding": {"text": {"field": "value", "type": "quantitative", "format": form}},
    }
    written = re.findall(r"<text[^>]*>([^<]+)</text>", vl_convert.vegalite_to_svg(chart))
    assert len(set(written)) == len(ticks)


def test_all_panels_share_one_axis_of_steps_and_each_has_a_legend() -> None:
    records = [
        {"step": step, **TRAIN, **VALID, "event": event} for step in (1, 2) for event in ("train", "valid")
    ]
    drawn: Any = curves_chart(records, CURVES)["vconcat"]
    encodings = [panel["layer"][0]["encoding"] for panel in drawn]
    assert [each["x"]["axis"]["labels"] for each in encodings] == [False, False, False, True]
    assert [each["x"]["title"] for each in encodings] == [None, None, None, "step"]
    assert all(each["color"]["legend"] for each in encodings)


def test_the_words_of_every_task_are_there_in_chinese() -> None:
    sources = (Path(tasks.__file__).parent).rglob("*.py")
    words: set[str] = set()
    for call in (node for path in sources for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))):
        if isinstance(call, ast.Call) and ast.unparse(call.func) in ("Curve", "Curves"):
            texts = [*call.args[1:], *(each.value for each in call.keywords if each.arg in ("axis", "per"))]
            words |= {str(text.value) for text in texts if isinstance(text, ast.Constant)}
    assert {"BLEU", "accuracy", "hidden token", "bits per character"} <= words
    assert words - {"BLEU", "chrF"} <= WORDS["zh"].known.keys()
    chart: Any = curves_chart([{"step": 1, **VALID}], CURVES, "zh")
    assert list(chart["datasets"]) == ["损失（nat / 词元）", "得分（%）"]


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
    assert {("training", 12_345, 99.0), ("training", 54, -1.0)} <= set(points)
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


def test_without_a_font_for_its_words_the_picture_is_english(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    drawn: list[Any] = []
    monkeypatch.setattr(drawn_curves, "missing_glyphs", lambda texts: frozenset("损"))
    monkeypatch.setattr(drawn_curves, "draw_png", lambda chart: drawn.append(chart) or b"")
    save_curves([{"step": 1, **TRAIN}], CURVES, tmp_path / "curves.png", "zh")
    assert list(drawn[0]["datasets"]) == [LOSS, "learning rate", "gradient norm"]
