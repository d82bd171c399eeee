"""Drawings of the book: what stands where, what is said of it, and how little of it there is."""

import math
import re
from collections.abc import Mapping

import pytest

from why.toy import QUESTION, Toy
from whyformer.plots.chart import Language
from whyformer.why.arms import SCALED, UNSCALED
from whyformer.why.book.figures.charts import figure_svg
from whyformer.why.book.figures.description import described
from whyformer.why.book.figures.dots import beyond_text, bounds_text, dot_axis, within_text
from whyformer.why.book.figures.frame import Frame, names_beside
from whyformer.why.book.figures.plot import MOST_POINTS, MOST_THIN, Plot, log_ticks
from whyformer.why.book.figures.svg import HATCHED, inline
from whyformer.why.book.numbers import brief
from whyformer.why.question import Bounds, Claim, Figure, Findings, Measurements, Place, Text

STEP, RIGHT, SIZE = Text("step", "步"), Text("% right", "正确率（%）"), Text("size", "大小")
OTHER = Text("another arm with a name that is far too long", "名字长得放不下的另一组，图里没有它的位置")
CURVE = Figure(Text("curve", "曲线"), STEP, RIGHT, "line")
LOGARITHMIC = Figure(Text("growth", "增长"), SIZE, RIGHT, "line", "xy")
BARS = Figure(Text("bars", "条形"), SIZE, RIGHT, "bar")
CELLS = Figure(Text("cells", "格子"), SIZE, RIGHT, "heat")


Numbers = dict[tuple[Text, Place], float]


def plot(figure: Figure, numbers: Numbers, seeds: int = 3, lang: Language = "en") -> Plot:
    """A figure with the same numbers for every seed."""
    measured = Measurements({(figure, arm, place): value for (arm, place), value in numbers.items()})
    return shown(figure, dict.fromkeys(range(seeds), measured), lang)


def shown(figure: Figure, measured: Mapping[int, Measurements], lang: Language = "en") -> Plot:
    return Plot(Findings(QUESTION, measured, [], "supported", 0.0), figure, lang)


def lines(arms: Mapping[Text, float], last: int = 10) -> Numbers:
    """Lines from 0 that rise by so much at each place."""
    return {(arm, at): slope * at for arm, slope in arms.items() for at in range(last)}


def test_names_stand_beside_lines_and_not_on_each_other():
    names = names_beside(
        curve := plot(CURVE, lines({SCALED: 9, UNSCALED: 8.9})), Frame.around(curve, 300, 210)
    )
    assert [row["text"] for row in names.texts] == ["scaled (÷√dₖ)", "not scaled"]
    top, low = sorted(row["y"] for row in names.texts)
    assert low - top >= 16
    assert not re.search(r"symbol|legend", inline(figure_svg(curve), "a", "", ""))


@pytest.mark.parametrize("arms", [{SCALED: 9, OTHER: 1}, {SCALED: 9}])
def test_a_name_that_is_too_long_goes_to_a_legend_and_one_alone_needs_none(arms: Mapping[Text, float]):
    curve = plot(CURVE, lines(arms))
    assert names_beside(curve, Frame.around(curve, 300, 210)).texts == []
    drawn = "".join(re.findall(r">([^<]*)</t", inline(figure_svg(curve), "a", "", "")))
    assert ("far too long" in drawn) == (OTHER in arms)
    assert ("scaled" in drawn) == (OTHER in arms)


def test_lines_that_end_early_have_a_legend():
    numbers = {**lines({SCALED: 9}, last=4), **lines({UNSCALED: 2}, last=20)}
    curve = plot(CURVE, numbers)
    assert names_beside(curve, Frame.around(curve, 300, 210)).texts == []
    assert "not scaled" in figure_svg(curve)


def test_in_the_mean_a_seed_that_ended_keeps_its_last_number():
    seeds = {
        1: Measurements({(CURVE, SCALED, at): 10.0 * at for at in (1, 2)}),
        2: Measurements({(CURVE, SCALED, at): 20.0 * at for at in (1, 2, 3)}),
    }
    curve = shown(CURVE, seeds)
    assert curve.is_uneven
    assert [row["value"] for row in curve.mean_curves()] == [15.0, 30.0, 40.0]
    assert not plot(CURVE, lines({SCALED: 1})).is_uneven


def test_a_long_curve_is_thinned_and_keeps_its_ends():
    curve = plot(CURVE, lines({SCALED: 1.0}, last=1000))
    thin = [row for row in curve.curves() if row["seed"] == 0]
    for rows, most in ((thin, MOST_THIN), (curve.mean_curves(), MOST_POINTS)):
        assert len(rows) == most
        assert (rows[0]["at"], rows[-1]["at"]) == (0, 999)
    assert len(inline(figure_svg(curve), "a", "", "")) < 6_000


@pytest.mark.parametrize("figure", [CURVE, BARS, CELLS])
def test_what_is_missing_is_no_zero(figure: Figure):
    numbers: Numbers = {
        (arm, at): math.nan if (arm, at) == (UNSCALED, 3) else 10.0 * at
        for arm in (SCALED, UNSCALED)
        for at in (1, 2, 3)
    }
    chart = plot(figure, numbers)
    drawn = inline(figure_svg(chart), "a", "", "")
    assert ('url(#a-h)"' in drawn) == (figure is not CURVE)
    assert ("refused" in drawn) == (figure is not CURVE)
    assert HATCHED not in drawn
    assert ("refused at 3" in described(chart)) == (figure is not CURVE)
    assert "拒绝" in described(plot(BARS, numbers, lang="zh")).replace("BARS", "")


def test_bars_of_places_and_arms_have_a_legend_others_their_names():
    both: Numbers = {(arm, at): 10.0 for arm in (SCALED, UNSCALED) for at in (1, 2)}
    assert figure_svg(plot(BARS, both)).count(">not scaled<") == 1
    alone: Numbers = {(arm, Text("x", "甲")): 10.0 for arm in (SCALED, UNSCALED)}
    assert ">not scaled<" in figure_svg(plot(BARS, alone))
    assert ">x<" not in figure_svg(plot(BARS, alone))


def test_logarithmic_axes_have_few_round_numbers():
    assert log_ticks(0.9, 1200.0, most=6)["values"] == [1, 10, 100, 1000]
    assert log_ticks(2.0, 30.0, most=6)["values"] == [3, 10, 30]
    drawn = inline(figure_svg(plot(LOGARITHMIC, {(SCALED, 2**at): 3.0**at for at in range(6)})), "a", "", "")
    assert {"1", "10", "100"} <= {*re.findall(r">([\d.]+)<", drawn)}


def test_a_line_on_a_logarithmic_axis_leaves_0_out():
    numbers: Numbers = {(SCALED, 1.0): 10.0, (SCALED, 10.0): 100.0, (SCALED, 100.0): 0.0}
    curve = plot(LOGARITHMIC, numbers)
    assert [row["at"] for row in curve.mean_curves()] == [1.0, 10.0]
    assert {row["at"] for row in curve.curves()} == {1.0, 10.0}
    assert len(plot(CURVE, {(SCALED, 1.0): 10.0, (SCALED, 2.0): 0.0}).mean_curves()) == 2


@pytest.mark.parametrize("figure", [CURVE, BARS, CELLS])
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_a_drawing_becomes_small_and_loses_no_word(figure: Figure, lang: Language):
    numbers: Numbers = {(arm, at): 10.0 * at for arm in (SCALED, UNSCALED) for at in (1, 2, 3)}
    raw = figure_svg(plot(figure, numbers, lang=lang))
    small = inline(raw, "a", "", "")
    assert len(small) < len(raw) / 3
    words = re.compile(r"<text[^>]*>(.*?)</text>", re.DOTALL)

    def read(svg: str) -> list[str]:
        return sorted(re.sub(r"<[^>]*>|\s", "", word) for word in words.findall(svg))

    assert read(small) == read(raw)


@pytest.mark.parametrize(
    ("bounds", "inside", "outside"),
    [
        (Bounds(low=2.0), "≥ 2", "below 2"),
        (Bounds(high=1e-5), "≤ 1×10⁻⁵", "above 1×10⁻⁵"),
        (Bounds(0.9, 1.1), "within 0.9 to 1.1", "outside of 0.9 to 1.1"),
    ],
)
def test_bounds_in_words(bounds: Bounds, inside: str, outside: str):
    assert within_text(bounds, "en") == inside
    assert beyond_text(bounds, "en") == outside
    assert bounds_text(bounds, "zh")


@pytest.mark.parametrize("values", [(1.0, 1.0, 1.0), (0.0, 1e-7, 3e-8), (5.0, 8.0, 900.0), (-3.0, 2.0, 4.0)])
def test_every_seed_is_a_dot_on_the_axis_of_its_claim(values: tuple[float, ...]):
    at = iter(values)
    claim = Claim("it", Text("it", "它"), lambda measured: next(at), Bounds(high=2.0), Bounds(high=4.0))
    drawn = dot_axis(claim.judge([Toy.measured(1)] * 3), "en")
    dots = re.findall(r'class="seeds" d="([^"]*)"', drawn)[0]
    assert dots.count("h0") == 3
    assert all(0 <= float(x) <= 150 for x in re.findall(r"M([\d.]+),", dots))
    assert f"seeds: {', '.join(map(brief, values))}; allowed: ≤ 2" in drawn


def test_a_claim_that_cannot_be_measured_has_no_axis():
    claim = Claim("it", Text("it", "它"), lambda measured: math.nan, Bounds(high=2.0))
    assert dot_axis(claim.judge([Toy.measured(1)] * 3), "en") == ""
