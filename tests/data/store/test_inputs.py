"""Texts as streams: lines and documents are those that Python's text mode has, whatever the block."""

import csv
import gzip
import io
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from whyformer.data.corpora.detection.encoding import wide_encoding
from whyformer.data.corpora.documents import DocumentsSpec
from whyformer.data.store.text import inputs
from whyformer.data.store.text.inputs import TextInputs, text_lines
from whyformer.errors import DataError

# Line ends, all that others take for one, and texts that readers of tables take for something else.
PIECES = [
    "\n",
    "\r",
    "\r\n",
    "\u2028",
    "\u2029",
    "\x85",
    "\x0b",
    "\x0c",
    "\x1c",
    "\ufeff",
    '"',
    ",",
    "\t",
    "null",
]
texts = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=4)), min_size=1).map("".join)
texts = texts.map(lambda text: text.encode("utf-8", "replace").decode()).filter(bool)


def all_lines(path: Path) -> list[str]:
    return [line.decode() for lines in text_lines(path) for line in lines]


@given(text=texts, chunk=st.integers(1, 9), packed=st.booleans())
def test_lines_are_those_of_text_mode(
    tmp_path_factory: pytest.TempPathFactory, text: str, chunk: int, packed: bool
):
    data = b"x" + text.encode()  # no mark of a wide encoding in front
    # A few bytes with a NUL beside the only line end are rather UTF-16.
    assume(wide_encoding(data[: chunk + 8]) is None)
    path = tmp_path_factory.mktemp("lines") / ("a.gz" if packed else "a")
    path.write_bytes(gzip.compress(data) if packed else data)
    expected = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8").read().split("\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inputs, "_CHUNK", chunk + 8)
        assert all_lines(path) == (expected if expected[-1] else expected[:-1])


@given(lines=st.lists(st.text(st.sampled_from("ab \u3000\xa0\x0c\u2028"), max_size=4), min_size=1))
def test_documents_are_those_that_are_read_into_memory(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str]
):
    folder = tmp_path_factory.mktemp("documents")
    (folder / "a").write_bytes("\n".join([*lines, "", "last"]).encode())
    spec = DocumentsSpec(train=(folder / "a",), test={"all": (folder / "a",)})
    kept = [each.encode() for each in spec.held_out("all")]
    blocks = TextInputs("documents", ((folder / "a",),)).blocks(3)
    assert [text for block in blocks for text in block.columns[0]] == kept


@given(rows=st.integers(1, 9), counts=st.lists(st.integers(1, 20), min_size=1, max_size=3))
def test_blocks_keep_sides_together(tmp_path_factory: pytest.TempPathFactory, rows: int, counts: list[int]):
    folder = tmp_path_factory.mktemp("blocks")
    for place, count in enumerate(counts):
        for side in "st":
            lines = (f"{side}{place}.{number}" for number in range(count))
            (folder / f"{side}{place}").write_text("\n".join(lines))
    sides = tuple(tuple(folder / f"{side}{place}" for place in range(len(counts))) for side in "st")
    found = list(TextInputs("pairs", sides).blocks(rows))
    pairs = [pair for block in found for pair in zip(*block.columns, strict=True)]
    assert pairs == [
        (f"s{place}.{number}".encode(), f"t{place}.{number}".encode())
        for place, count in enumerate(counts)
        for number in range(count)
    ]
    assert all(len(block.columns[0]) <= rows for block in found)
    assert all(block.columns[0][0].decode().endswith(f".{block.first - 1}") for block in found)


@pytest.mark.parametrize(("left", "right"), [(3, 2), (2, 3), (4, 2), (1, 5)])
def test_files_of_different_length_are_refused(tmp_path: Path, left: int, right: int):
    for name, count in (("a", left), ("b", right)):
        (tmp_path / name).write_text("x\n" * count)
    blocks = TextInputs("pairs", ((tmp_path / "a",), (tmp_path / "b",))).blocks(2)
    with pytest.raises(DataError, match=f"a has {left} lines but .*b has {right}"):
        list(blocks)


def test_a_line_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(inputs, "_LONGEST", 1 << 10)
    monkeypatch.setattr(inputs, "_CHUNK", 1 << 8)
    (tmp_path / "a").write_text("short\n" + "x" * 5000)
    with pytest.raises(DataError, match="a:2: this line has more than"):
        all_lines(tmp_path / "a")


def test_a_file_in_a_wide_encoding_is_refused(tmp_path: Path):
    (tmp_path / "a").write_bytes("some text\nmore\n".encode("utf-16"))
    with pytest.raises(DataError, match="UTF-16"):
        all_lines(tmp_path / "a")


def test_an_empty_file_is_refused(tmp_path: Path):
    (tmp_path / "a").touch()
    with pytest.raises(DataError, match="empty"):
        all_lines(tmp_path / "a")


def test_a_reader_of_tables_would_swallow_lines():
    text = '"Yes, he said\nNo\nend" of it\n'
    assert len([*csv.reader(io.StringIO(text))]) == 1
    assert len(text.splitlines()) == 3


def test_text_would_be_cut_elsewhere_than_its_bytes():
    text = "one\u2028two\x85three\x0cfour\nfive"
    assert len(text.splitlines()) == 5
    assert len(text.encode().splitlines()) == 2
