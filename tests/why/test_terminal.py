"""Figures are drawn by characters so that they can be read, and questions are found by any of their words."""

from collections.abc import Mapping
from dataclasses import replace
from io import StringIO
from itertools import pairwise
from math import exp, nan
from typing import Literal

import pytest
from rich.console import Console

from why.toy import ARM, OTHER, QUESTION, SIZE, Toy
from whyformer.plots.chart import Language
from whyformer.why.book.plain import plain_formula, plain_text
from whyformer.why.catalogue import QUESTIONS
from whyformer.why.question import Figure, Findings, Level, Measurements, Place, Question, Text
from whyformer.why.terminal.plots import arm_colors, draw_figure
from whyformer.why.terminal.search import nearest, search_questions

PERCENT = Text("%", "%")
CHANCE = (Level(6.25, Text("chance", "随机水平")),)


def drawn(figure: Figure, numbers: Mapping[tuple[Text, Place], float], lang: Language = "en") -> list[str]:
    measured = Measurements({(figure, arm, place): value for (arm, place), value in numbers.items()})

    class Fixed(Toy):
        def measure(self, seed: int) -> Measurements:
            return measured

    question = replace(QUESTION, figures=(figure,), claims=(), experiment=Fixed())
    findings: Findings = question.conclude({1: measured, 2: measured}, 1.0)
    console = Console(width=100, markup=False, record=True, file=StringIO())
    for line in draw_figure(findings, figure, lang):
        console.print(line)
    return console.export_text().splitlines()


def canvas(lines: list[str]) -> list[str]:
    """What stands right of the vertical axis."""
    return [line[line.index("│" if "│" in line else "┤") + 1 :] for line in lines if set(line) & set("│┤")]


def test_a_line_that_rises_goes_from_the_lower_left_to_the_upper_right():
    figure = Figure(Text("curve", "曲线"), SIZE, PERCENT, "line")
    lines = drawn(figure, {(ARM, step): 100 / (1 + exp(5 - step)) for step in range(11)})
    rows = canvas(lines)
    assert len(rows) == 14
    assert rows[0].rstrip().endswith("A")
    assert rows[-1].startswith(("⣀", "⢀", "⠤"))
    first = [len(row) - len(row.lstrip()) for row in rows if row.strip()]
    assert first == sorted(first, reverse=True)  # each row begins left of the one above
    assert lines[1].lstrip().startswith("99.3 ┤")
    assert "━━ A arm  → 99.3" in "\n".join(lines)


def test_logarithmic_axes_make_a_power_a_straight_line():
    figure = Figure(Text("power", "幂"), SIZE, PERCENT, "line", "xy")
    rows = canvas(drawn(figure, {(ARM, 2**power): 4.0**power for power in range(9)}))
    steps = [len(row) - len(row.lstrip()) for row in rows]
    widths = [above - below for above, below in pairwise(steps)]
    assert max(widths) - min(widths) <= 2


def test_what_cannot_be_said_leaves_a_gap():
    figure = Figure(Text("gap", "缺口"), SIZE, PERCENT, "line", levels=CHANCE)
    lines = drawn(figure, {(ARM, 0): 50.0, (ARM, 1): nan, (ARM, 2): 50.0, (OTHER, 2): nan}, "zh")
    top = canvas(lines)[0]
    assert "⠤⠤" not in top and "⠉⠉" not in top  # noqa: PT018
    assert "  ━━ B 乙组" in lines
    assert "  ┈┈ 随机水平：6.25" in lines


@pytest.mark.parametrize("log", [None, "y"])
def test_bars_are_as_long_as_their_numbers(log: Literal["y"] | None):
    places: tuple[Place, Place] = Text("small", "小"), Text("large", "大")
    figure = Figure(Text("bars", "柱"), SIZE, PERCENT, "bar", log, levels=CHANCE)
    numbers: dict[tuple[Text, Place], float] = {
        (arm, place): value for (arm, value) in ((ARM, 20.0), (OTHER, 80.0)) for place in places
    }
    lines = drawn(figure, numbers | {(OTHER, places[1]): nan})
    assert lines[0] == "bars · %"
    bars = [line.count("█") for line in lines if "█" in line]
    assert len(bars) == 3
    assert bars[0] == bars[2] < bars[1]
    if log is None:
        assert bars[1] == pytest.approx(4 * bars[0], abs=3)
    assert "  other refused" in lines


def test_cells_say_their_numbers_and_what_was_refused():
    figure = Figure(Text("cells", "格子"), SIZE, PERCENT, "heat")
    places: tuple[Place, Place] = Text("here", "此处"), Text("there", "彼处")
    numbers: dict[tuple[Text, Place], float] = {
        (ARM, places[0]): 12.3,
        (ARM, places[1]): 98.7,
        (OTHER, places[0]): nan,
    }
    text = "\n".join(drawn(figure, numbers, "zh"))
    assert [word for word in ("此处", "彼处", "12", "99", "拒绝", "大小") if word not in text] == []


@pytest.mark.parametrize("log", [None, "xy"])
def test_an_axis_of_equal_numbers_is_drawn(log: Literal["xy"] | None):
    figure = Figure(Text("flat", "平"), SIZE, PERCENT, "line", log)
    assert any("━━ A" in line for line in drawn(figure, {(ARM, 1): 5.0}))


def test_no_two_arms_have_one_colour():
    arms = [ARM, OTHER, *(Text(str(number), str(number)) for number in range(5))]
    assert len({*arm_colors(arms).values()}) == len(arms)


@pytest.mark.parametrize(
    ("latex", "expected"),
    [
        (r"\frac{QK^\top}{\sqrt{d_k}}", "(QKᵀ)/(√dₖ)"),
        (r"O(n^2 d)", "O(n² d)"),
        (r"x_{t+1} \le \hat{y}", "xₜ₊₁ ≤ y"),
        (r"\mathrm{softmax}(z)_i = e^{z_i} / \sum_j e^{z_j}", "softmax(z)ᵢ = e^(zᵢ) / Σⱼ e^(zⱼ)"),
        (r"W \in \mathbb{R}^{d \times h}", "W ∈ R^(d × h)"),
    ],
)
def test_formulas_can_be_typed(latex: str, expected: str):
    assert plain_formula(latex) == expected
    assert plain_text(f"a ${latex}$ b") == f"a {expected} b"


def numbers_of(query: str) -> list[int]:
    return [question.number for question in search_questions(QUESTIONS.values(), query)]


def readable(question: Question) -> bool:
    from whyformer.errors import WhyformerError

    try:
        return bool(search_questions([question], question.stem))
    except WhyformerError:
        return False


def test_every_question_is_found_by_its_title_and_its_words():
    for question in filter(readable, QUESTIONS.values()):
        for words in (question.title.en, question.title.zh, question.topic.words):
            assert question in search_questions([question], words), words


@pytest.mark.parametrize(
    ("one", "other"), [("点积", "点乘"), ("MASK", "掩码"), ("RoPE", "旋转"), ("multi-head", "多头")]
)
def test_two_words_for_one_thing_find_the_same(one: str, other: str):
    if not all(map(readable, QUESTIONS.values())):
        pytest.skip("a question has no prose yet")
    assert numbers_of(one) == numbers_of(other) != []


def test_a_slip_of_the_pen_is_answered_by_words_that_are_there():
    known = [question for question in QUESTIONS.values() if readable(question)]
    if known:
        assert "attention" in nearest(known, "atention")
