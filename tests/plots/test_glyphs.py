"""Which characters the renderer of the PNG can draw."""

from hypothesis import given
from hypothesis import strategies as st

from whyformer.plots.glyphs import drawable, missing_glyphs, visible

NOBODY_HAS = "\U000f1234"  # private use


def test_a_character_without_glyph_is_found_among_those_with_one() -> None:
    assert missing_glyphs(["plain", "é ß ▁the", NOBODY_HAS + "x"]) == {NOBODY_HAS}


def test_what_is_invisible_anyway_is_not_missing() -> None:
    assert not missing_glyphs(["a\tb\u00a0\u3000\u200b\n"])


def test_ascii_needs_no_look() -> None:
    assert not missing_glyphs([])
    assert not missing_glyphs(["".join(map(chr, range(128)))])


@given(st.text())
def test_a_label_is_never_blank_or_broken_into_lines(token: str) -> None:
    label = visible(token)
    assert label
    assert not any(character.isspace() for character in label)
    assert visible(label) == label


@given(st.lists(st.text(alphabet="abc爱")))
def test_only_labels_with_a_missing_glyph_become_numbers(labels: list[str]) -> None:
    for index, (before, after) in enumerate(zip(labels, drawable(labels, frozenset("爱")), strict=True), 1):
        assert after == (f"#{index}" if "爱" in before else before)
