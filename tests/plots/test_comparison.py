"""The drawn comparison: a panel a figure, a line a cell, nothing for what is not there."""

from typing import Any

import pytest

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


def test_all_numbers_and_settings_stand_in_tables():
    settings = {"a": {"model.heads": "4"}, "b": {}, "c": {"model.heads": "8", "training.clip": "1"}}
    nll, steps, cells = comparison_page("demo", FIGURES, settings).tables
    assert nll.header == ["cell", "mean", "low", "high", "seed 1", "seed 2"]
    assert nll.rows == [
        ["a", "2", "1", "3", "1", "3"],
        ["b", "–", "–", "–", "–", "–"],
        ["c", "2", "2", "2", "2", "–"],
    ]
    assert steps.caption == "steps"
    assert cells.header == ["cell", "model.heads", "training.clip"]
    assert cells.rows == [["a", "4", "–"], ["b", "–", "–"], ["c", "8", "1"]]
    assert '<th scope="row">c</th><td>8</td><td>1</td>' in comparison_page("demo", FIGURES, settings).html()


@pytest.mark.parametrize(("values", "said"), [([1.0], "One seed"), ([1.0, 2.0, 3.0], "An interval over")])
def test_one_seed_says_nothing_of_chance(values: list[float], said: str):
    page = comparison_page("demo", {"nll": [row("a", *values)]})
    assert any(paragraph.startswith(said) for paragraph in page.paragraphs)


def test_the_page_is_said_in_chinese():
    page = comparison_page("demo", FIGURES, {"a": {"k": "1"}}, "zh")
    html = page.html()
    assert (page.heading, page.tables[0].header[:3]) == ("比较：demo", ["设置", "平均值", "下限"])
    assert "负对数似然" in html
    assert "保存为 PNG" in html
    assert '<html lang="zh-CN">' in html
