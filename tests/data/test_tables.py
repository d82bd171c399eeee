"""Tables: quotes where they are asked for, CSV, JSON lines, headers, and what is said of mistakes."""

import csv
import io
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whyformer.data.corpora.detection.tables import find_delimiter, has_header, quote_marks
from whyformer.data.corpora.documents import DocumentsSpec
from whyformer.data.corpora.formats.tables import TableRow, read_rows
from whyformer.data.corpora.labelled import LabelledSpec
from whyformer.data.corpora.lines import BadLine, Reason
from whyformer.data.corpora.pair_files import CsvPairs, JsonlPairs, TextPairs, TsvPairs
from whyformer.data.corpora.pairs.cleaning import Cleaning
from whyformer.data.corpora.parallel import read_test_set
from whyformer.errors import DataError

PAIRS = [
    ('He said "no".', 'Er sagte „nein“ und "nie".'),
    ("First, we eat; then we go.", "Erst essen wir, dann gehen wir."),
    ('"Quoted" at the front', "Zitat am Anfang"),
    ("Two\nlines", "Zwei\nZeilen"),
    ("A tab\tinside", "Ein Tab"),
    ("Plain", "Schlicht"),
]


def written(path: Path, rows: Sequence[Sequence[str]], delimiter: str, *, always: bool) -> Path:
    """The table as a spreadsheet writes it."""
    text = io.StringIO()
    quoting = csv.QUOTE_ALL if always else csv.QUOTE_MINIMAL
    csv.writer(text, delimiter=delimiter, quoting=quoting, lineterminator="\r\n").writerows(rows)
    path.write_bytes(text.getvalue().encode())
    return path


@pytest.mark.parametrize("always", [False, True])
@pytest.mark.parametrize("delimiter", ["\t", ",", ";"])
def test_quotes_are_read_where_asked_for(delimiter: str, always: bool, tmp_path: Path) -> None:
    path = written(tmp_path / "data.tsv", PAIRS, delimiter, always=always)
    table = (
        TsvPairs(path=path, quotes=True)
        if delimiter == "\t"
        else CsvPairs(path=path, delimiter="," if delimiter == "," else ";")
    )
    assert table.held_out() == [(a.replace("\n", " "), b.replace("\n", " ")) for a, b in PAIRS]


@given(
    rows=st.lists(
        st.lists(st.text('ab",\n; \u2028\x0c', max_size=6), min_size=2, max_size=3), min_size=1, max_size=5
    )
)
@settings(max_examples=150, deadline=None)
def test_any_table_that_python_writes_is_read(
    rows: list[list[str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = written(tmp_path_factory.mktemp("tables") / "t.csv", rows, ",", always=False)
    found = [
        row.cells for row in read_rows(path, ",", quotes=True, line_end="\n") if isinstance(row, TableRow)
    ]
    assert [list(cells) for cells in found] == rows


def test_a_quote_that_is_never_closed_is_named_by_its_line(tmp_path: Path) -> None:
    path = tmp_path / "data.tsv"
    path.write_text("a\tb\n" * 4 + '"open\tc\n' + "d\te\n" * 200, encoding="utf-8")
    with pytest.raises(
        DataError, match=r"data\.tsv:5: a field begins with a double quote here and none closes"
    ):
        TsvPairs(path=path, quotes=True).held_out()


def test_text_behind_a_closing_quote_is_one_bad_line(tmp_path: Path) -> None:
    path = tmp_path / "data.tsv"
    path.write_text('"Yes," he said.\tJa.\n"No"\tNein\n', encoding="utf-8")
    pairs, report = TsvPairs(path=path, quotes=True).training(Cleaning())
    assert pairs == [("No", "Nein")]
    assert report.bad == (BadLine(path, 1, Reason.QUOTES),)


EXCEL = ['"He said ""no""."\t"Er sagte ""nein""."', '"Yes, please."\t"Ja, bitte."', "Plain\tSchlicht"]


@pytest.mark.parametrize(
    ("lines", "syntax"),
    [
        (EXCEL, True),
        (['"a"\t"b"'] * 30, True),
        (['plain\t"over two', 'lines"', *["plain\ttext"] * 50], True),
        (['"one ""two"""\tb', *["plain\ttext"] * 500], True),
        (['"Yes!"\t"Ja!"', *["He went.\tEr ging."] * 20], False),
        (['"Yes," he said.\t"Ja", sagte er.'] * 30, False),
        (['5" pipe\t5"-Rohr'] * 30, False),
        (["a\tb"], False),
    ],
)
def test_quotes_of_the_table_are_told_from_quotes_of_the_text(lines: list[str], syntax: bool) -> None:
    assert quote_marks(lines).are_syntax == syntax


@pytest.mark.parametrize("make", [lambda p: TsvPairs(path=p), lambda p: TsvPairs(path=p, header=True)])
def test_quotes_that_are_taken_for_text_are_said_with_the_remedy(
    make: Callable[[Path], TsvPairs], tmp_path: Path
) -> None:
    path = tmp_path / "data.tsv"
    path.write_text("\n".join(["en\tde", *EXCEL * 20]), encoding="utf-8")
    (note,) = [note for note in make(path).notes("data.train") if "double quotes" in note]
    assert "80 of 122 fields" in note
    assert f"data.train: {{path: {path}, quotes: true}}" in note
    assert not [note for note in TsvPairs(path=path, quotes=True).notes("data.train") if "double" in note]


SENTENCES = [["It rains.", "Es regnet."], ["We go home now.", "Wir gehen nach Hause."]] * 20
CHINESE = [["Go on", "继续"], ["It rains", "下雨了"]] * 20


@pytest.mark.parametrize(
    ("first", "rest", "header"),
    [
        (["en", "de"], SENTENCES, True),
        (["Source", "Target"], SENTENCES[:1], True),
        (["Quelltext", "Zieltext"], SENTENCES, True),
        (["english", "chinese"], CHINESE, True),
        (["left", "right"], CHINESE, True),
        (["原文", "译文"], CHINESE, True),
        (["size", "words"], [["12", "Es regnet."], ["7", "Wir gehen."]] * 20, True),
        (["label", "text"], [["pos", "Very good."], ["neg", "Not good at all."]] * 20, True),
        (["It rains.", "Es regnet."], SENTENCES, False),
        (["Hello", "Hallo"], [["Thanks", "Danke"], ["Bye", "Tschüss"]] * 30, False),
        (["Go on", "继续"], CHINESE, False),
        (["pos", "Very good."], [["neg", "Not good at all."]] * 30, False),
        (["", ""], SENTENCES, False),
    ],
)
def test_a_header_is_unlike_the_rest(first: list[str], rest: list[list[str]], header: bool) -> None:
    assert has_header([first, *rest]) == header


def test_a_header_that_is_trained_on_is_said(tmp_path: Path) -> None:
    path = tmp_path / "data.tsv"
    path.write_text("\n".join("\t".join(row) for row in [["en", "de"], *SENTENCES]), encoding="utf-8")
    (note,) = TsvPairs(path=path).notes("data.valid")
    assert "(en, de); say header: true" in note
    assert not list(TsvPairs(path=path, header=True).notes("data.valid"))
    source, target = tmp_path / "a.en", tmp_path / "a.de"
    source.write_text("\n".join(["english", *(row[0] for row in SENTENCES)]), encoding="utf-8")
    target.write_text("\n".join(["german", *(row[1] for row in SENTENCES)]), encoding="utf-8")
    (note,) = TextPairs(source=source, target=target).notes("data.train")
    assert "(english, german) are unlike the others" in note


@pytest.mark.parametrize("text", ["a,b\nc,d\n", '"x, y";z\n"a";b\n', "Yes, he did.,Ja.\n" * 30])
def test_commas_for_tabs_are_said(text: str, tmp_path: Path) -> None:
    path = tmp_path / "data.tsv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=r"data\.tsv: no line has a tab, but there are commas; is this CSV\?"):
        TsvPairs(path=path).training(Cleaning())
    with pytest.raises(DataError, match=r"is this CSV\?"):
        LabelledSpec(train=(path,)).load()


@pytest.mark.parametrize(("column", "header"), [(3, True), (9, True), (3, False), (7, False)])
def test_a_column_that_is_not_there_is_said(column: int, header: bool, tmp_path: Path) -> None:
    path = tmp_path / "data.tsv"
    path.write_text("en\tde\nIt rains.\tEs regnet.\n", encoding="utf-8")
    said = (
        f"has no column {column}; its header names 2: 'en', 'de'"
        if header
        else (f"column {column} is asked for, but no line has more than 2")
    )
    with pytest.raises(DataError, match=said):
        TsvPairs(path=path, source_column=column, header=header).training(Cleaning())


@pytest.mark.parametrize(("delimiter", "text"), [(";", "a;b\n"), ("\t", "a\tb\n"), ("|", "a|b\n")])
def test_another_delimiter_is_said(delimiter: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text(text * 9, encoding="utf-8")
    with pytest.raises(
        DataError, match=re.escape(f"columns parted by ',', but {delimiter!r} parts them evenly")
    ):
        CsvPairs(path=path, delimiter=",").training(Cleaning())


@pytest.mark.parametrize(
    ("lines", "delimiter"),
    [
        (["a\tb, c", "d\te"], "\t"),
        (["a,b", "c,d"], ","),
        (['"a, b";c', "d;e"], ";"),
        (["It rains, and we go.", "No.", "Well, yes, no."], None),
        (["one", "two"], None),
        ([], None),
    ],
)
def test_the_delimiter_cuts_evenly(lines: list[str], delimiter: str | None) -> None:
    assert find_delimiter(lines) == delimiter


def test_json_lines_are_read_by_key(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    rows = [{"translation": {"en": "It\nrains.", "de": "Es regnet."}, "id": 1}] * 2
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows) + "no json\n", encoding="utf-8")
    spec = JsonlPairs(path=path, source_key="translation.en", target_key="translation.de")
    pairs, report = spec.training(Cleaning())
    assert pairs == [("It rains.", "Es regnet.")] * 2
    assert report.bad == (BadLine(path, 3, Reason.NOT_JSON),)
    with pytest.raises(
        DataError, match=r"data\.jsonl:1: has no key 'source'; its keys are 'translation', 'id'"
    ):
        JsonlPairs(path=path).held_out()
    with pytest.raises(DataError, match=r"data\.jsonl:1: under 'translation' stands no text"):
        JsonlPairs(path=path, source_key="translation").held_out()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"source": "a", "target": null}', Reason.NO_TEXT),
        ('{"source": "a"}', Reason.NO_TEXT),
        ('{"source": ["a"], "target": "b"}', Reason.NO_TEXT),
        ('{"source": "a", "target": true}', Reason.NO_TEXT),
    ],
)
def test_one_object_without_a_text_is_left_out(line: str, reason: Reason, tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text(f'{{"source": "x", "target": "y"}}\n{line}\n{{"source": "z", "target": 7}}\n')
    pairs, report = JsonlPairs(path=path).training(Cleaning())
    assert pairs == [("x", "y"), ("z", "7")]
    assert report.bad == (BadLine(path, 2, reason),)
    with pytest.raises(DataError, match=r"data\.jsonl:2: "):
        JsonlPairs(path=path).held_out()


@pytest.mark.parametrize("delimiter", ["\t", ",", ";"])
@pytest.mark.parametrize("header", [False, True])
def test_a_header_is_told_of_whatever_stands_in_quotes(
    delimiter: Literal["\t", ",", ";"], header: bool, tmp_path: Path
) -> None:
    rows = [("en", "de"), *((f'{a} {n}, "so"', f"{b}; {n}\t") for n, (a, b) in enumerate(PAIRS))]
    path = written(tmp_path / "data.tsv", rows, delimiter, always=False)
    spec = (
        TsvPairs(path=path, quotes=True, header=header)
        if delimiter == "\t"
        else CsvPairs(path=path, delimiter=delimiter, header=header)
    )
    notes = list(spec.notes("data.train"))
    assert any("may name the columns (en, de)" in note for note in notes) != header


@pytest.mark.parametrize("text", ["\n\n", " \n", "\r\n\r\n"])
def test_a_table_of_blank_lines_is_called_that(text: str, tmp_path: Path) -> None:
    path = tmp_path / "data.tsv"
    path.write_text(text)
    with pytest.raises(DataError, match="blank"):
        TsvPairs(path=path).training(Cleaning())


ENDS_NO_LINE = "one\u2028two\u0085three\x0cfour\x0bfive\x1csix\x1dseven\u2029eight\rnine"


def test_only_lf_ends_a_line_in_every_reader(tmp_path: Path) -> None:
    text, other = ENDS_NO_LINE, "eins"

    def file(name: str, content: str) -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode())
        return path

    tsv = file("a.tsv", f"{other}\t{text}\n{other}\t{text}\n")
    expected = [(other, text)] * 2
    assert TsvPairs(path=tsv).held_out() == expected
    assert TsvPairs(path=tsv, quotes=True).held_out() == expected
    quoted = file("q.tsv", f'"{other}"\t"{text}"\n' * 2)
    assert TsvPairs(path=quoted, quotes=True).held_out() == expected
    assert CsvPairs(path=file("a.csv", f"{other},{text}\n" * 2)).held_out() == expected
    line = json.dumps({"source": other, "target": text}, ensure_ascii=False)
    assert JsonlPairs(path=file("a.jsonl", f"{line}\n" * 2)).held_out() == expected
    source, target = file("a.x", f"{other}\n" * 2), file("a.y", f"{text}\n" * 2)
    assert TextPairs(source=source, target=target).held_out() == expected
    assert read_test_set(source, [target]) == [(other, [text])] * 2
    assert DocumentsSpec(train=(target,), valid=(source,)).held_out("valid") == [f"{other}\n{other}"]
    assert DocumentsSpec(train=(target,), valid=(source,), repeated=True).load().train == [f"{text}\n{text}"]
    labelled = LabelledSpec(train=(tsv,), valid=(tsv,)).held_out("valid")
    assert [example.texts for example in labelled] == [(text,)] * 2


@pytest.mark.parametrize("bad", ["a\0b\tc", "\0\tc", "a\tb\0"])
def test_a_line_with_nul_is_named(bad: str, tmp_path: Path) -> None:
    path = tmp_path / "data.tsv"
    path.write_text(f"one\teins\n{bad}\ntwo\tzwei\n", encoding="utf-8")
    pairs, report = TsvPairs(path=path).training(Cleaning())
    assert len(pairs) == 2
    assert f"1 a NUL character ({path}:2)" in report.summary()
    with pytest.raises(DataError, match=r"data\.tsv:2: a NUL character"):
        TsvPairs(path=path).held_out()


@pytest.mark.parametrize(
    "rows",
    [
        ["\tx", "y\t", "a\tb"],
        ["a\tb", " \t ", "c\td", "\u3000\tx"],
        ["a\tb", "c\t\u00a0\u2003", "e\t", "g\th"],
        ["\t", "a\tb", "\t\u200a"],
    ],
)
def test_empty_fields_are_told_by_line(rows: list[str], tmp_path: Path) -> None:
    path = tmp_path / "data.tsv"
    path.write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
    empty = [n for n, row in enumerate(rows, 1) if not all(cell.strip() for cell in row.split("\t"))]
    summary = TsvPairs(path=path).training(Cleaning())[1].summary()
    assert f"{len(empty)} empty ({path}:{', '.join(map(str, empty))})" in summary


SEMICOLONS = ("Well, yes", "Very good, he said", "One", "1,5 more", "So, so, so")


@pytest.mark.parametrize("delimiter", [",", ";", "|"])
@pytest.mark.parametrize("always", [True, False])
def test_what_parts_the_columns_of_csv_is_found(delimiter: str, always: bool, tmp_path: Path) -> None:
    pairs = [(text, str(number)) for number, text in enumerate(SEMICOLONS)]
    path = written(tmp_path / "a.csv", [("text", "label"), *pairs], delimiter, always=always)
    spec = CsvPairs(path=path, header=True, source_column="text", target_column="label")
    assert [row.source for row in spec.held_out()] == [*SEMICOLONS]
    documents = DocumentsSpec.model_validate({"train": [path], "valid": [path]})
    assert documents.held_out("valid") == [*SEMICOLONS]
    labelled = {"train": [path], "valid": [path], "header": True, "columns": ["label", "text"]}
    examples = LabelledSpec.model_validate(labelled).held_out("valid")
    assert [(each.texts[0], each.label) for each in examples] == pairs
    bare = written(tmp_path / "b.csv", [(label, text) for text, label in pairs], delimiter, always=always)
    examples = LabelledSpec.model_validate({"train": [bare], "valid": [bare]}).held_out("valid")
    assert [(each.texts[0], each.label) for each in examples] == pairs


def test_a_delimiter_that_is_said_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a;b,c\nd;e,f\n", encoding="utf-8")
    found = [CsvPairs(path=path, delimiter=each).held_out()[0].target for each in (",", ";")]
    assert found == ["c", "b,c"]
    assert CsvPairs(path=path).held_out()[0].target == "c"
