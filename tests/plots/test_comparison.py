"""The drawn comparison: a panel a figure, a line a cell, nothing for what is not there."""

from typing import Any

from whyformer.plots.comparison import comparison_chart, comparison_page


def row(cell: str, *values: float) -> dict[str, Any]:
    """A row of ``comparison.json``; without values, of a cell that failed."""
    span = {"mean": sum(values) / len(values), "low": min(values), "high": max(values)} if values else None
    return {"cell": cell, "values": dict(enumerate(values, start=1)), "estimate": span, "difference": None}


FIGURES = {
    "nll": [row("a", 1.0, 3.0), row("b"), row("c", 2.0)],
    "steps": [row("a", 5), row("b"), row("c", 5)],
}


def layers(panel: Any) -> list[list[dict[str, Any]]]:
    """The points of the dashed line, the bars, the circles and the diamonds."""
    return [layer["data"]["values"] for layer in panel["layer"]]


def test_each_figure_has_a_panel_with_all_cells_in_their_order():
    chart: Any = comparison_chart(FIGURES)
    assert len(chart["concat"]) == 2
    for panel in chart["concat"]:
        assert panel["layer"][1]["encoding"]["y"]["scale"]["domain"] == ["a", "b", "c"]
    first, bars, circles, diamonds = layers(chart["concat"][0])
    assert first == [{"mean": 2.0, "low": 1.0, "high": 3.0}]
    assert [point["cell"] for point in bars] == [point["cell"] for point in diamonds] == ["a", "c"]
    assert [(point["cell"], point["seed"], point["value"]) for point in circles] == [
        ("a", "1", 1.0),
        ("a", "2", 3.0),
        ("c", "1", 2.0),
    ]


def test_pointing_at_a_seed_marks_it_in_every_panel():
    chart: Any = comparison_chart(FIGURES)
    names = [layer["name"] for panel in chart["concat"] for layer in panel["layer"] if "name" in layer]
    assert len(names) == 2
    assert chart["params"][0]["views"] == names


def test_a_first_cell_that_failed_leaves_no_line():
    chart: Any = comparison_chart({"nll": [row("a"), row("b", 1.0)]})
    assert layers(chart["concat"][0])[0] == []


def test_nothing_measured_is_said():
    for figures in ({}, {"nll": [row("a")]}):
        page = comparison_page("Nothing", figures)
        assert "nothing measured" in page.html()
        assert page.png().startswith(b"\x89PNG")
