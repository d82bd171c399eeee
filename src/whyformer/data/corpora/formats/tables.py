"""Rows of tables: columns parted by a character, with quotes where they are asked for, or JSON lines."""

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from shlex import quote
from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from whyformer.data.corpora.detection.tables import (
    SAMPLE,
    find_delimiter,
    has_commas_for_tabs,
    has_header,
    quote_marks,
    split_row,
)
from whyformer.data.corpora.lines import BadLine, Reason, scan_lines
from whyformer.errors import DataError

Column = Annotated[int, Field(ge=1)] | str
"""A column's number, counted from 1 as ``cut -f`` does, or its name in the header."""

_LONGEST_FIELD = 100
"""Lines that a quoted field may have; beyond, its quote was never closed."""


class TableRow(NamedTuple):
    """One row of a table."""

    number: int
    """Of its (first) line, counted from 1."""
    cells: Sequence[str]


TableFormat = Literal["tsv", "csv", "jsonl"]
"""Columns parted by tabs, columns parted by commas (or ; or |) with quotes around fields, or a JSON object a
line."""
_FORMATS: dict[str, TableFormat] = {
    ".tsv": "tsv",
    ".tab": "tsv",
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}


def format_of(name: str) -> TableFormat | None:
    """The format of a table, by the ending of its file's name or address; None where that does not tell.

    >>> format_of("a.csv"), format_of("https://x.org/a.b.tsv.gz?raw=1"), format_of("a.txt")
    ('csv', 'tsv', None)
    """
    endings = [ending.lower() for ending in Path(name.partition("?")[0]).suffixes if ending.lower() != ".gz"]
    return _FORMATS.get(endings[-1]) if endings else None


def read_columns(
    path: Path,
    form: TableFormat,
    columns: Sequence[Column],
    *,
    header: bool,
    quotes: bool,
    line_end: str = " ",
) -> Iterator[TableRow | BadLine]:
    """Yield the cells of ``columns`` (in JSON lines: what is under these keys) of each row.

    Raises:
        DataError: see ``read_rows``, ``read_json_lines`` and ``column_index``.
    """
    if form == "jsonl":
        yield from read_json_lines(path, [str(column) for column in columns], line_end)
        return
    delimiter = delimiter_of(path, form)
    rows = read_rows(path, delimiter, quotes=quotes or form == "csv", line_end=line_end)
    names: Sequence[str] = []
    if header:
        first = next(rows)
        if isinstance(first, BadLine):
            raise first.error()
        names = first.cells
    indices = [column_index(column, names, path) for column in columns]
    for row in rows:
        if isinstance(row, BadLine):
            yield row
        elif len(row.cells) <= max(indices):
            yield BadLine(path, row.number, Reason.TOO_FEW_COLUMNS)
        else:
            yield TableRow(row.number, [row.cells[index] for index in indices])


def read_rows(
    path: Path, delimiter: str, *, quotes: bool, line_end: str = " "
) -> Iterator[TableRow | BadLine]:
    """Yield each row, or the line that cannot be read.

    With ``quotes``, a field that begins with a double quote ends at the next one that is not doubled, as
    spreadsheets write it; a line end inside becomes ``line_end``. Without, a quote is text like any other.

    Raises:
        DataError: see ``scan_lines``; a quote is not closed; or the file has commas where tabs are due.
    """
    lines = enumerate(scan_lines(path), start=1)
    if delimiter == "\t":
        _refuse_commas(path)
    for number, line in lines:
        if isinstance(line, BadLine):
            yield line
        elif not quotes or '"' not in line:
            yield TableRow(number, line.split(delimiter))
        else:
            row = _quoted_row(path, number, line, lines, delimiter)
            if isinstance(row, TableRow):
                row = TableRow(number, [cell.replace("\n", line_end) for cell in row.cells])
            yield row


def _quoted_row(
    path: Path, number: int, line: str, lines: Iterator[tuple[int, str | BadLine]], delimiter: str
) -> TableRow | BadLine:
    """The row that begins on ``line``, and takes from ``lines`` those that its fields go on in."""
    record = line
    for _ in range(_LONGEST_FIELD):
        try:
            cells = _cells(record, delimiter)
        except ValueError:
            return BadLine(path, number, Reason.QUOTES)
        if cells is not None:
            return TableRow(number, cells)
        _, following = next(lines, (0, None))
        if following is None:
            break
        if isinstance(following, BadLine):
            return following
        record += "\n" + following
    raise DataError(
        f"{path}:{number}: a field begins with a double quote here and none closes it; correct this line, or "
        "leave out `quotes` if quotes are text in this file."
    )


def _cells(record: str, delimiter: str) -> list[str] | None:
    """The cells of a record; None where it ends inside quotes.

    Raises:
        ValueError: something follows a closing quote.
    """
    cells: list[str] = []
    start = 0
    while True:
        if record[start : start + 1] == '"':
            end = start + 1
            while (end := record.find('"', end)) >= 0 and record[end + 1 : end + 2] == '"':
                end += 2
            if end < 0:
                return None
            cells.append(record[start + 1 : end].replace('""', '"'))
            end += 1
            if end < len(record) and record[end] != delimiter:
                raise ValueError(record)
        else:
            end = record.find(delimiter, start)
            end = len(record) if end < 0 else end
            cells.append(record[start:end])
        if end == len(record):
            return cells
        start = end + 1


def read_json_lines(path: Path, keys: Sequence[str], line_end: str = " ") -> Iterator[TableRow | BadLine]:
    """Yield what stands under ``keys`` in the JSON object of each line; a dot leads into an inner object.

    An object without one of the keys, or with null there, is a bad line among others.

    Raises:
        DataError: see ``scan_lines``; or the first object lacks a key, or has no text there.
    """
    is_first = True
    for number, line in enumerate(scan_lines(path), start=1):
        if isinstance(line, BadLine):
            yield line
            continue
        try:
            record = json_object(line)
        except ValueError:
            yield BadLine(path, number, Reason.NOT_JSON)
            continue
        try:
            found = [_text_under(record, key, f"{path}:{number}") for key in keys]
        except DataError:
            # Where the first object has it not, the key is wrong; later on, the line is.
            if is_first:
                raise
            found = [None]
        is_first = False
        texts = [text.replace("\n", line_end) for text in found if text is not None]
        yield TableRow(number, texts) if len(texts) == len(keys) else BadLine(path, number, Reason.NO_TEXT)


def json_object(line: str) -> dict[str, object]:
    """The JSON object on a line.

    Raises:
        ValueError: there is none.
    """
    value: object = json.loads(line)
    if not isinstance(value, dict):
        raise ValueError(line)
    return value


def _text_under(record: dict[str, object], key: str, place: str) -> str | None:
    """The text under ``key``, None if null stands there.

    Raises:
        DataError: the key is not there, or something else is under it.
    """
    value: object = record
    for step in [key] if key in record else key.split("."):
        inner: dict[str, object] = value if isinstance(value, dict) else {}
        if step not in inner:
            raise DataError(f"{place}: has no key {key!r}; its keys are {', '.join(map(repr, record))}.")
        value = inner[step]
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise DataError(f"{place}: under {key!r} stands no text; name another key, or correct this line.")
    return str(value)


def column_index(column: Column, names: Sequence[str], path: Path) -> int:
    """Index of a column, from 0; ``names`` are those of the header, and empty where there is none.

    Raises:
        DataError: the header has no such column.
    """
    if isinstance(column, int):
        if names and column > len(names):
            raise DataError(
                f"{path}: has no column {column}; its header names {len(names)}: "
                f"{', '.join(map(repr, names))}."
            )
        return column - 1
    stripped = [name.strip() for name in names]
    if column not in stripped:
        raise DataError(f"{path}: has no column {column!r}; its header names {', '.join(map(repr, names))}.")
    return stripped.index(column)


def head_of(path: Path) -> list[str]:
    """The first lines of a file that can be read, enough of them to judge its form."""
    return [line for line in islice(scan_lines(path), SAMPLE) if isinstance(line, str)]


def delimiter_of(path: Path, form: TableFormat) -> str:
    """The character between the columns of a table: a tab, or in CSV what parts its first lines evenly.

    Spreadsheets write semicolons where the comma is the decimal point. Of a pipe nothing is read beforehand.
    """
    if form == "tsv":
        return "\t"
    found = find_delimiter(head_of(path)) if path.is_file() else None
    return found if found in (";", "|") else ","


def columns_note(file: Path, lines: Sequence[str]) -> str | None:
    """A sentence on ``lines`` of a ``file`` that are taken for texts, but most of which have columns."""
    filled = [line for line in lines[:SAMPLE] if line.strip()]
    if sum("\t" in line for line in filled) <= len(filled) / 2:
        return None
    width = max(line.count("\t") for line in filled) + 1
    return (
        f"{file}: its lines have up to {width} columns, parted by tabs, and are taken whole; give the texts "
        f"alone, as in `cut -f 1 {quote(str(file))}`."
    )


def table_notes(path: Path, delimiter: str, *, header: bool, quotes: bool, key: str) -> Iterator[str]:
    """Sentences on what is likely wrong with the way a table is read; ``key`` is the recipe's for it."""
    lines = head_of(path)
    marks = quote_marks(lines, delimiter)
    if not quotes and marks.are_syntax:
        yield (
            f"{path}: {marks.quoted:,} of {marks.fields:,} fields in its first {len(lines):,} lines stand in "
            "double quotes, as a spreadsheet writes them, and quotes are taken for text; say quotes: true "
            f"({key}: {{path: {path}, quotes: true}}) to read what is in them."
        )
    rows = [split_row(line, delimiter, quotes=quotes) for line in lines]
    yield from header_notes(path, rows, header=header, key=key)


def header_notes(path: Path, rows: Sequence[Sequence[str]], *, header: bool, key: str) -> Iterator[str]:
    """A sentence where the first of ``rows`` seems to be a header and is not read as one, or the reverse."""
    if not header and has_header(rows):
        yield (
            f"{path}: its first line is unlike the others and may name the columns "
            f"({', '.join(cell.strip() for cell in rows[0])}); say header: true "
            f"({key}: {{path: {path}, header: true}}) to skip it."
        )


def _refuse_commas(path: Path) -> None:
    lines = head_of(path)
    if has_commas_for_tabs(lines):
        raise DataError(
            f"{path}: no line has a tab, but there are commas; is this CSV? Read it with kind: csv, or name "
            "it .csv."
        )
