"""The drawn words in time: every word once, none on another, in as many rows as the sound needs."""

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whyformer.errors import WhyformerError
from whyformer.plots import chart as charts
from whyformer.plots.streams import timeline as drawing
from whyformer.plots.streams.lanes import LaneSpan, lanes
from whyformer.plots.streams.timeline import HeardWord, SaidWord, Timeline, timeline_page


def words_of(count: int, names: list[str], *, known: bool = True, chunk: float | None = 0.32) -> Timeline:
    """So many words of ``names``, each a third of a second, and when they were shown."""
    random = np.random.default_rng(count)
    starts = 0.3 + np.cumsum(random.uniform(0.3, 0.8, count))
    total = float(starts[-1]) + 0.5 if count else 1.0
    said = [
        SaidWord(names[index % len(names)], float(at), float(at) + 0.25) for index, at in enumerate(starts)
    ]
    heard: list[HeardWord] = []
    for word in said:
        at = word.start + 0.15
        shown = total if chunk is None else (math.floor(at / chunk) + 1) * chunk
        heard.append(HeardWord(word.text, at, at + 0.04, shown, word.end, True if known else None))
    loudness = [0.1] * round(100 * total)
    return Timeline(loudness, 0.01, total, heard, said if known else None, chunk)


def values(page: Any, mark: str) -> list[list[dict[str, Any]]]:
    """The data of all layers of one mark, row by row."""
    return [
        [
            value
            for layer in row["layer"]
            if layer["mark"]["type"] == mark
            for value in layer["data"]["values"]
        ]
        for row in page.interactive["vconcat"]
    ]


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize(("count", "chunk"), [(1, 0.32), (3, 0.08), (40, 0.32), (12, None)])
def test_every_word_is_named_once_and_shown_once(count: int, chunk: float | None, known: bool) -> None:
    timeline = words_of(count, ["seven", "one"], known=known, chunk=chunk)
    page = timeline_page("a.wav", timeline)
    texts = [value["text"] for row in values(page, "text") for value in row]
    assert len(texts) == count * (2 if known else 1)
    shown = [value["x"] for row in values(page, "point") for value in row]
    assert sorted(shown) == pytest.approx(sorted(word.shown for word in timeline.heard))
    assert [len(table.rows) for table in page.tables] == [count] * (2 if known else 1)


@pytest.mark.parametrize("names", [["a"], ["internationalization", "x"], ["你好世界", "seven"]])
@pytest.mark.parametrize("count", [3, 40])
def test_no_label_lies_on_another_or_leaves_its_row(names: list[str], count: int) -> None:
    page = timeline_page("a.wav", words_of(count, names))
    for row, labels in zip(page.interactive["vconcat"], values(page, "text"), strict=True):  # pyright: ignore[reportArgumentType]
        first, last = row["layer"][0]["encoding"]["x"]["scale"]["domain"]
        pixel = (last - first) / row["width"]
        spans = sorted(
            (each["y"], each["x"], each["x"] + drawing._room(each["text"]) * pixel) for each in labels
        )
        for (y, start, end), (below, following, _) in zip(spans, [*spans[1:], (None, 0, 0)], strict=True):
            assert first - 1e-9 <= start <= end <= last + 1e-9
            assert y != below or end <= following + 1e-9


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.floats(0, 50), st.floats(0.1, 5), st.floats(0, 30)), max_size=40), st.integers(1, 9)
)
def test_spans_of_one_lane_do_not_meet_where_there_are_lanes_enough(
    drawn: list[tuple[float, float, float]], most: int
) -> None:
    spans = [LaneSpan.of(start, start + label, start + hangs) for start, label, hangs in sorted(drawn)]
    found = lanes(spans, most)
    assert all(0 <= lane < most for lane in found)
    plenty = lanes(spans, 1000)
    for lane in set(plenty):
        mine = [span for span, taken in zip(spans, plenty, strict=True) if taken == lane]
        assert all(one.end <= other.start for one, other in pairwise(mine))
    if max(plenty, default=0) < most:
        assert found == plenty


def test_a_wrong_word_has_another_mark_and_is_told() -> None:
    heard = [HeardWord("so", 0.3, 0.34, 0.64, 0.34, False), HeardWord("la", 0.9, 0.94, 0.96, 1.0, True)]
    page = timeline_page("a.wav", Timeline([0.1] * 200, 0.01, 2.0, heard, [SaidWord("la", 0.8, 1.0)], 0.32))
    (marks,) = values(page, "point")
    assert [(mark["word"], mark["wrong"]) for mark in marks] == [("so", True), ("la", False)]
    assert page.tables[0].rows[0] == ["so (not said)", "0.30", "0.34", "0.64", "0.30"]
    assert page.tables[0].rows[1][-1] == "-0.04"


def test_a_long_sound_is_cut_and_that_is_said() -> None:
    timeline = words_of(600, ["la"])
    page = timeline_page("a.wav", timeline)
    assert len(values(page, "text")) == 15
    assert any("are the first 120 of" in each for each in page.paragraphs)
    assert len(page.tables[0].rows) == 600


def test_silence_and_nothing_at_all_are_drawn() -> None:
    silence = timeline_page("a.wav", Timeline([0.0] * 100, 0.01, 1.0, [], None, 0.32))
    assert silence.png().startswith(b"\x89PNG")
    nothing = timeline_page("a.wav", Timeline([], 0.01, 0.0, [], None, None), "zh")
    assert "没有声音" in nothing.html()


def test_words_that_no_font_has_are_numbered_in_the_picture_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "missing_glyphs", lambda _: frozenset("你"))
    page = timeline_page("a.wav", words_of(2, ["你", "la"]))
    assert page.note is not None
    assert "#1" in charts.draw_svg(page.still)
    assert "你" in page.html()


@pytest.mark.parametrize(
    ("name", "made"), [("w.png", ["w.png"]), ("w.html", ["w.html"]), ("w", ["words.html", "words.png"])]
)
def test_a_page_is_saved_as_its_path_says(name: str, made: list[str], tmp_path: Any) -> None:
    path = tmp_path / name
    charts.check_plot_path(path)
    files = timeline_page("a.wav", words_of(2, ["la"])).save_as(path)
    assert [file.name for file in files] == made
    assert all(file.stat().st_size > 1000 for file in files)


def test_another_kind_of_file_is_refused_before_any_work(tmp_path: Any) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    for name in ("w.svg", "w.pdf", "file"):
        with pytest.raises(WhyformerError, match=r"name a \.png or an \.html file"):
            charts.check_plot_path(tmp_path / name)
