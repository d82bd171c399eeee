from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whyformer.serve.protocols.openai.completions.stops import StopCutter

SMALL = st.text("ab中\n", max_size=4)
TEXTS = st.lists(SMALL, max_size=12)
STOPS = st.lists(st.text("ab中\n", min_size=1, max_size=4), max_size=4)


def cut(pieces: Sequence[str], stops: Sequence[str]) -> tuple[str, bool]:
    cutter = StopCutter(stops)
    shown = "".join(cutter.feed(piece) for piece in pieces) + cutter.finish()
    return shown, cutter.stopped


@given(TEXTS, STOPS)
def test_a_text_ends_before_the_stop_that_is_complete_first(pieces: list[str], stops: list[str]) -> None:
    text = "".join(pieces)
    for end in range(len(text) + 1):
        complete = [stop for stop in stops if text[:end].endswith(stop)]
        if complete:
            assert cut(pieces, stops) == (text[: end - max(map(len, complete))], True)
            return
    assert cut(pieces, stops) == (text, False)


@given(TEXTS, STOPS)
def test_pieces_of_any_size_give_the_same(pieces: list[str], stops: list[str]) -> None:
    assert cut(pieces, stops) == cut(["".join(pieces)], stops) == cut([*"".join(pieces)], stops)


@given(TEXTS, STOPS)
def test_nothing_is_held_back_that_begins_no_stop(pieces: list[str], stops: list[str]) -> None:
    cutter, shown, text = StopCutter(stops), "", ""
    for piece in pieces:
        text += piece
        shown += cutter.feed(piece)
        if cutter.stopped:
            return
        held = text[len(shown) :]
        assert text.startswith(shown)
        assert not held or any(stop.startswith(held) for stop in stops)


@pytest.mark.parametrize(
    ("pieces", "stops", "shown"),
    [
        (["one tw", "o three"], [" two"], "one"),
        (["one\n", "\ntwo"], ["\n\n"], "one"),
        (["ab"], ["abc"], "ab"),
        (["abcd"], ["abcd", "bc"], "a"),
    ],
)
def test_examples(pieces: list[str], stops: list[str], shown: str) -> None:
    assert cut(pieces, stops)[0] == shown
