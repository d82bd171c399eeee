"""Texts and documents come apart and together again, and nothing but sentences is touched."""

import re
import sys
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whyformer.serve.protocols.libretranslate.markup import stretches
from whyformer.serve.protocols.libretranslate.texts import TextFormat, TextPart, put_together, take_apart
from whyformer.tasks.output import TextOutput

PIECES = (
    *("<p>", "</p>", "<b class='x'>", "</b>", "<br/>", "text", " &amp; ", "<!-- c -->", "<script>"),
    *("</script>", "<code>", "</code>", '<a translate="no">', "</a>", "<i translate=yes>", "</i>"),
    *("<", "1 < 2", "&lt;"),
)
LIKE_HTML = st.text(st.sampled_from("<>/=!-?'\"& ;ab\n\té你"), max_size=80) | st.lists(
    st.sampled_from(PIECES), max_size=12
).map("".join)


def outputs(texts: Sequence[str]) -> list[list[TextOutput]]:
    return [[TextOutput(text, 0.0, (), [], finished=True)] for text in texts]


def sentences_of(parts: Sequence[TextPart]) -> list[str]:
    return [sentence for part in parts for sentence in part.sentences]


def whole_line(line: str) -> list[str]:
    return [line]


@given(st.text(max_size=80))
def test_a_text_that_nothing_changes_is_the_same(text: str):
    parts = take_apart(text, "text", whole_line)
    assert put_together(parts, outputs(sentences_of(parts)), 0) == text


@given(LIKE_HTML)
def test_a_document_is_the_sum_of_its_stretches(document: str):
    found = list(stretches(document))
    assert "".join(stretch.raw for stretch in found) == document
    assert all(stretch.raw for stretch in found)
    kinds = [stretch.is_text for stretch in found]
    assert all(one != other for one, other in pairwise(kinds))


@given(LIKE_HTML)
def test_tags_stay_whatever_texts_become(document: str):
    parts = take_apart(document, "html", whole_line)
    written = put_together(parts, outputs(["Q<&>"] * len(sentences_of(parts))), 0)
    markup = [stretch.raw for stretch in stretches(document) if not stretch.is_text]
    assert [stretch.raw for stretch in stretches(written) if not stretch.is_text] == markup


@pytest.mark.parametrize(
    ("document", "sentences"),
    [
        ("<p>a</p>b", ["a", "b"]),
        ("a <b>c</b> d", ["a", "c", "d"]),
        ("1 &lt; 2 &amp; 3", ["1 < 2 & 3"]),
        ("1 < 2", ["1 < 2"]),
        ("<p title='a > b'>c</p>", ["c"]),
        ("<p title=a'b>c</p>", ["c"]),
        ("<p\ntitle = \"x\" data-y>c", ["c"]),
        ("<script>if (a<b) c</script>d", ["d"]),
        ("<SCRIPT>a</script >b", ["b"]),
        ("<style>a</style><code>b <i>c</i></code><kbd>d</kbd>e", ["e"]),
        ('<p translate="no">a <b>b</b></p>c', ["c"]),
        ('<p translate="no">a <b translate="yes">b</b></p>c', ["b", "c"]),
        ("<br translate=no>a", ["a"]),
        ("<x translate=no/>a", ["a"]),
        ("<!-- a --><!DOCTYPE b><?c?></>d", ["d"]),
        ("<!-- a", []),
        ("a<b", ["a"]),
        ("a\nb\n\n c", ["a", "b", "c"]),
        ("&nbsp;a&nbsp;", ["a"]),
        ("!&hellip;<b>…</b>", []),
        ("</code>a<code>b", ["a"]),
        ("<title>a</title>", ["a"]),
    ],
)  # fmt: skip
def test_text_nodes_alone_are_translated(document: str, sentences: list[str]):
    parts = take_apart(document, "html", whole_line)
    assert sentences_of(parts) == sentences
    assert put_together(parts, outputs(sentences), 0).replace("\xa0", "&nbsp;").count("<") == document.count(
        "<"
    ) - document.count(" < ")


def test_what_a_model_writes_is_no_markup():
    parts = take_apart("<p>a</p>", "html", whole_line)
    assert put_together(parts, outputs(["<script>&"]), 0) == "<p>&lt;script&gt;&amp;</p>"
    assert put_together(take_apart("a", "text", whole_line), outputs(["<b>"]), 0) == "<b>"


@pytest.mark.parametrize("form", ["text", "html"])
def test_sentences_of_a_line_are_joined_as_offline(form: TextFormat):
    def cut(line: str) -> list[str]:
        return re.findall(r"[^.]+\.", line)

    parts = take_apart(" One. Two.\n一。Three.", form, cut)
    assert sentences_of(parts) == ["One.", " Two.", "一。Three."]
    found = outputs(["Uno.", "二。", "三。"])
    found[0] += outputs(["Eins."])[0]
    assert put_together(parts, found, 0) == " Uno. 二。\n三。"
    assert put_together(parts, found, 1) == " Eins. 二。\n三。"


RUBBISH = (
    "<",
    "<a '",
    "<a =",
    "<a b=",
    '<a b="',
    "<!--",
    "<![",
    "</",
    "<a>",
    "<a></b>",
    "&",
    "<script>",
    "<a/",
)


@pytest.mark.parametrize("piece", RUBBISH)
def test_of_ten_times_the_rubbish_ten_times_the_steps_are_taken(piece: str):
    short, long = (_steps(piece * (length // len(piece))) for length in (200, 2_000))
    assert long <= 12 * short + 200


def _steps(document: str) -> int:
    """Number of lines of Python that run while ``document`` is scanned."""
    steps = 0

    def count(_frame: object, event: str, _argument: object) -> object:
        nonlocal steps
        steps += event == "line"
        return count

    before = sys.gettrace()
    sys.settrace(count)  # type: ignore[arg-type]
    try:
        list(stretches(document))
    finally:
        sys.settrace(before)
    return steps
