"""Error against latency, drawn: a line for each number of left chunks, the whole signal at the edge."""

from typing import Any

import pytest

from whyformer.plots.streams.error_latency import error_latency_page


def record(milliseconds: int | None, left: str, rate: float) -> dict[str, Any]:
    """An evaluation, as ``whyformer evaluate --json`` tells it."""
    maximum = None if milliseconds is None else milliseconds / 1000 + 0.0075
    return {
        "chunks": "full" if milliseconds is None else f"{milliseconds}ms, left {left}",
        "wer": rate,
        "wer_interval": [0.8 * rate, 1.2 * rate],
        "latency": {
            "maximum": maximum,
            "mean": None if maximum is None else maximum / 2,
            "look_ahead": 0.0075,
            "emission": {"p50": 0.07, "p90": 0.2, "p99": 0.3},
        },
    }


GRID = [record(ms, left, 5.0) for ms in (80, 320) for left in ("1", "4", "all")] + [record(None, "", 2.0)]


def points(panel: Any) -> list[dict[str, Any]]:
    """The points of the lines of a panel."""
    return panel["layer"][-1]["data"]["values"]


def test_each_set_has_a_panel_with_all_its_evaluations() -> None:
    chart: Any = error_latency_page("a run", {"seen": GRID, "unheard": GRID[:3]}).interactive
    first, second = chart["concat"]
    assert [panel["title"]["text"] for panel in (first, second)] == ["seen", "unheard"]
    assert [(each["left"], each["rate"]) for each in points(first)] == [
        (left, 5.0) for _ in range(2) for left in ("1", "4", "all")
    ]
    (whole,) = first["layer"][0]["data"]["values"]
    assert whole["chunks"] == "full"
    assert whole["place"] > max(each["place"] for each in points(first))
    assert second["layer"][0]["data"]["values"] == []


def test_bars_of_one_latency_do_not_lie_on_one_another() -> None:
    chart: Any = error_latency_page("a run", {"seen": GRID}).interactive
    places = [each["place"] for each in points(chart["concat"][0])]
    assert len(set(places)) == len(places)
    assert places[1] == pytest.approx(87.5)


def test_left_chunks_are_ordered_by_number_and_all_comes_last() -> None:
    records = [record(80, left, 1.0) for left in ("all", "16", "2")]
    chart: Any = error_latency_page("a run", {"seen": records}).interactive
    color = chart["concat"][0]["layer"][-1]["encoding"]["color"]
    assert color["scale"]["domain"] == ["2", "16", "all"]


def test_the_table_has_every_latency() -> None:
    (table,) = error_latency_page("a run", {"seen": [GRID[0], GRID[-1]]}).tables
    assert table.rows[0] == [
        "80ms, left 1",
        "5.00",
        "4.00",
        "6.00",
        "87.5",
        "43.75",
        "7.5",
        "70",
        "200",
        "300",
    ]
    assert table.rows[1][4:6] == ["–", "–"]


@pytest.mark.parametrize("sets", [{}, {"seen": [GRID[-1]]}, {"seen": [record(80, "4", 0.0)]}])
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_little_to_draw_is_drawn(sets: dict[str, Any], lang: Any) -> None:
    page = error_latency_page("a run", sets, lang)
    assert page.png().startswith(b"\x89PNG")
    assert (page.heading == "a run 的错误率与延迟") == (lang == "zh")


def test_the_dashed_line_is_told_where_it_is_drawn() -> None:
    assert len(error_latency_page("a run", {"seen": GRID}).paragraphs) == 2
    assert len(error_latency_page("a run", {"seen": GRID[:1]}).paragraphs) == 1
