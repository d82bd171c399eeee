"""Labels of tokens: what they look like, and how much room is kept for them."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from whyformer.plots.chart import Language
from whyformer.plots.inspection.tokens import (
    cut_row_to_width,
    cut_to_width,
    every_nth,
    percent,
    text_width,
    token_label,
    wrapped,
)


@pytest.mark.parametrize(
    ("token", "lang", "label"),
    [
        ("▁the", "en", "·the"),
        ("ing", "en", "ing"),
        ("▁", "zh", "·"),
        ("。", "zh", "「。」"),
        ("▁.", "en", "·“.”"),
        ("--", "en", "“--”"),
        ("a.b", "en", "a.b"),
        ("$", "en", "$"),
        ("</s>", "zh", "</s>"),
        ("a b", "en", "a␣b"),
        ("", "en", "∅"),
        ("x" * 30, "en", "x" * 23 + "…"),
    ],
)
def test_a_label_is_legible(token: str, lang: Language, label: str) -> None:
    assert token_label(token, lang) == label


@given(st.text(), st.floats(20, 400))
def test_a_shortened_text_fits(text: str, width: float) -> None:
    assert text_width(cut_to_width(text, 12, width), 12) <= max(width, text_width("…", 12))


@pytest.mark.parametrize(
    ("label", "begins", "ends"),
    [
        ("a → b", "a → ", " → b"),
        ("internationalization → internationalization", "intern", "… → inter"),
        ("internationalization → b", "internation", "… → b"),
        ("a → internationalization", "a → internation", "…"),
        ("internationalization internationalization", "internationa", "…"),
    ],
)
def test_of_a_row_both_tokens_stay(label: str, begins: str, ends: str) -> None:
    shown = cut_row_to_width(label, 12, 125)
    assert shown.startswith(begins)
    assert ends in shown
    assert text_width(shown, 12) <= 125


@given(st.text(alphabet="ab ,中文。「」–W"), st.floats(30, 300))
def test_lines_fit_and_lose_nothing(text: str, width: float) -> None:
    lines = wrapped(text, 12, width)
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert all(text_width(line, 12) <= width + 24 for line in lines)


@given(st.integers(1, 500), st.floats(0.5, 80))
@example(2, 0.7)
def test_labels_have_room(count: int, cell: float) -> None:
    every = every_nth(count, cell, 14)
    assert count == 1 or every * cell >= 14 - 1e-6
    assert count == 1 or every == 1 or (every - 1) * cell < 14


@given(st.floats(0, 1))
def test_a_probability_is_0_or_100_percent_only_where_it_is(probability: float) -> None:
    said = percent(probability)
    assert (said == "0 %") == (probability == 0)
    assert (said == "100 %") == (probability == 1)
