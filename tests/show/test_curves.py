"""The curves of a training, from legal but odd logs too."""

import math
import struct
from pathlib import Path
from typing import Any

import pytest

from whyformer.show.curves import curves_chart, save_curves

TRAIN: dict[str, Any] = {
    "event": "train",
    "loss": 3.2,
    "nll": 3.0,
    "learning_rate": 1e-3,
    "gradient_norm": 1.0,
}
VALID: dict[str, Any] = {"event": "valid", "loss": 3.5, "nll": 3.3, "bleu": 12.0}


def panels(records: list[dict[str, Any]]) -> list[str]:
    charts: Any = curves_chart(records)["vconcat"]
    encodings = [chart["encoding"] for chart in charts if "encoding" in chart]
    return [encoding["y"]["title"] for encoding in encodings if "y" in encoding]


def test_only_panels_with_figures_appear() -> None:
    assert panels([{"step": 1, **TRAIN}]) == ["loss (nats per token)", "learning rate", "gradient norm"]
    assert "score (%)" in panels([{"step": 1, **TRAIN}, {"step": 1, **VALID}])


def test_what_is_not_a_number_is_left_out() -> None:
    records = [{"step": 1, **TRAIN}, {"step": 2, **TRAIN, "loss": math.nan, "nll": math.inf}]
    loss: Any = curves_chart(records)["vconcat"][0]  # pyright: ignore[reportIndexIssue]
    assert {point["step"] for point in loss["data"]["values"]} == {1}


@pytest.mark.parametrize("records", [[], [{"step": 1, "event": "valid"}], [{"step": 1, **TRAIN}]])
def test_a_picture_is_always_written(records: list[dict[str, Any]], tmp_path: Path) -> None:
    save_curves(records, tmp_path / "curves.png")
    data = (tmp_path / "curves.png").read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", data[16:24])
    assert width > 100
    assert height > 20
